"""The API client against llama.cpp's server, with a real small model; compared with our own.

Takes wheels of some 130 MB from the package index, and is skipped where that cannot be reached.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from ace_steps.embed.api_client import ApiClient, RejectedError
from ace_steps.embed.settings import ApiConnection
from ace_steps.errors import InputError
from ace_steps.io.files import sha256_text
from ace_steps.io.vectors import read_vectors
from ace_steps.steps import embed_items
from tests.conftest import ROOT
from tests.embed.conftest import SETTINGS
from tests.packages import installed, public_model
from tests.steps.made_items import write_items
from tests.steps.made_requests import CONNECTION

pytestmark = pytest.mark.slow

PACKAGE = "xllamacpp==2026.10.11549"
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
SERVE = """
import sys, xllamacpp
model, key, n_tokens = sys.argv[1:]
params = xllamacpp.CommonParams()
params.model.path = model
params.embedding = True
params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
params.hostnames = ["127.0.0.1"]
params.port = 0
params.n_ctx = params.n_batch = params.n_ubatch = int(n_tokens)
params.n_parallel = 1
params.cpuparams.n_threads = 1
params.api_keys = [key]
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return public_model("smollm2-135m", tmp_path_factory.mktemp("smollm2") / "model", ROOT)


@pytest.fixture(scope="module")
def url(model, tmp_path_factory):
    """Address of the running server."""
    packages = installed(tmp_path_factory.mktemp("server"), PACKAGE)
    environment = {**os.environ, "PYTHONPATH": str(packages)}
    gguf = str(next(model.glob("*.gguf")))
    command = [sys.executable, "-c", SERVE, gguf, KEY, str(N_TOKENS)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as server:
        address = next((line for line in server.stdout if line.startswith("http://")), None)
        assert address, f"the server ended with exit code {server.wait()}"
        yield f"{address.strip()}/v1"
        server.kill()


@pytest.fixture
def embed(url, monkeypatch):
    """Vectors of the server, by a client with some of its settings changed."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    def run(texts=TEXTS, key=KEY, **changes):
        monkeypatch.setenv("ACE_TEST_KEY", key)
        connection = {**CONNECTION, "base_url": url, "dim": 576, **changes}
        return ApiClient(ApiConnection(**connection)).embed(texts)

    return run


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_the_servers_vectors_are_our_own(embed, model, tmp_path):
    vectors = unit(embed(encoding_format="base64"))
    np.testing.assert_allclose(unit(embed(encoding_format="float")), vectors, atol=1e-5)
    options = {"items": write_items(tmp_path / "items.parquet", TEXTS), "model": model}
    options |= {"shard": "1-of-1", "device": "cpu", "vectors": tmp_path / "own.parquet"}
    options |= {"settings": json.dumps({**SETTINGS, "max_tokens": N_TOKENS})}
    argv = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    assert embed_items.main(argv) == 0
    own = read_vectors(tmp_path / "own.parquet", "text_sha256")
    row = dict(zip(own.ids, range(len(TEXTS)), strict=True))
    own = own.matrix[[row[sha256_text(text)] for text in TEXTS]]
    cosines = (own * vectors).sum(axis=1)
    print("cosine with llama.cpp:", cosines.min(), "lowest,", cosines.mean(), "mean")
    # not closer: llama.cpp multiplies 4-bit weights by states rounded to 8 bits, we in float32
    assert cosines.min() > 0.99
    assert ((own @ vectors.T).argmax(axis=1) == np.arange(len(TEXTS))).all()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"key": "sk-another"}, r"the key in ACE_TEST_KEY is refused, HTTP 401 \(Invalid API Key"),
        ({"dim": 512}, "expected vectors of dim = 512, got 576"),
        ({"texts": ["word " * 400], "attempts": 1}, "too large"),
    ],
)
def test_what_the_server_refuses_is_one_line(embed, changes, text):
    with pytest.raises((InputError, RejectedError), match=text) as refusal:
        embed(**changes)
    assert "sk-" not in str(refusal.value)
