"""The step request_vectors, through its command line, with a server of its own."""

import json

import numpy as np
import pytest

from ace_steps.embed import api_client
from ace_steps.io.files import sha256_text
from ace_steps.io.parquet import read_provenance
from ace_steps.io.vectors import read_vectors
from ace_steps.steps import merge_vectors, request_vectors
from tests.embed.fault_server import DIM, KEY, error, fault_server, vector_of
from tests.steps.made_items import write_items
from tests.steps.made_requests import CONNECTION, SETTINGS

TEXTS = [f"item number {number:02d}" for number in range(20)]


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(api_client, "FIRST_WAIT_S", 0.01)
    monkeypatch.setenv("ACE_TEST_KEY", KEY)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with fault_server() as running:
        yield running


@pytest.fixture
def request_items(server, tmp_path, capsys):
    """The step with some of its settings changed; its exit code and log.

    Wherever anything is written or said, the key must not be in it.
    """
    write_items(tmp_path / "items.parquet", TEXTS)

    def run(*more, shard="1-of-1", name="shard.parquet", settings=None, **changes):
        connection = {**CONNECTION, "base_url": server.url, **changes}
        resolved = {**SETTINGS, "api": connection, **(settings or {})}
        code = request_vectors.main(
            [
                *("--items", str(tmp_path / "items.parquet"), "--shard", shard),
                *("--settings", json.dumps(resolved), "--vectors", str(tmp_path / name), *more),
            ]
        )
        output = capsys.readouterr()
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        for secret in (KEY, KEY.replace("/", "%2F").replace("+", "%2B")):
            assert secret not in output.out + output.err
            assert not any(secret.encode() in path.read_bytes() for path in files)
        return code, output.err

    return run


def test_shards_merge_and_tell_how_they_were_made(request_items, tmp_path):
    for number in (1, 2):
        code, log = request_items(shard=f"{number}-of-2", name=f"{number}.parquet")
        assert code == 0
    assert "requests answered; the server counted" in log
    shards = [str(tmp_path / f"{number}.parquet") for number in (1, 2)]
    merged = tmp_path / "item_vectors.parquet"
    items = ["--items", str(tmp_path / "items.parquet")]
    assert merge_vectors.main([*items, "--shards", *shards, "--vectors", str(merged)]) == 0
    vectors = read_vectors(merged)
    np.testing.assert_array_equal(vectors.matrix, [vector_of(text) for text in TEXTS])
    note = read_provenance(merged)
    assert note.settings["api"]["key_variable"] == "ACE_TEST_KEY"
    assert note.facts == {
        **{"model": "toy", "revision": None, "max_tokens": 100, "normalized": False},
        **{"dim": DIM, "n_texts": 20, "n_tokens": 80, "n_truncated": 0, "device": "api"},
        "n_tokens_longest": 4,
        "tokens_counted_by": "4 characters a token",
        "taken_from": dict.fromkeys(["prompt", "max_tokens", "normalize"], "configuration"),
    }


def test_vectors_are_cut_and_scaled_after_the_store(request_items, server, tmp_path):
    store = ["--store", str(tmp_path / "store")]
    assert request_items(*store)[0] == 0
    assert request_items(*store, settings={"truncate_dim": 5, "normalize": True})[0] == 0
    assert len(server.texts_sent()) == 20
    vectors = read_vectors(tmp_path / "shard.parquet", "text_sha256").matrix
    raw = np.stack([vector_of(text)[:5] for text in sorted(TEXTS, key=sha256_text)])
    expected = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, expected, rtol=1e-6)


def test_a_shard_without_texts_needs_no_key(request_items, server, tmp_path, monkeypatch):
    monkeypatch.delenv("ACE_TEST_KEY")
    write_items(tmp_path / "items.parquet", ["one"])
    codes = [request_items(shard=f"{k}-of-2", name=f"{k}.parquet")[0] for k in (1, 2)]
    assert sorted(codes) == [0, 2]
    empty = tmp_path / f"{codes.index(0) + 1}.parquet"
    assert read_vectors(empty, "text_sha256").matrix.shape == (0, DIM)
    assert not server.calls


def test_a_dry_run_says_what_it_would_cost_and_sends_nothing(
    request_items, server, tmp_path, monkeypatch
):
    monkeypatch.delenv("ACE_TEST_KEY")
    code, log = request_items("--dry-run", price=500_000)
    assert code == 0
    assert "nothing sent: 20 texts, 0 of them in the store; the rest: 5 requests, 80 tokens" in log
    assert "40.0000 US dollars" in log
    assert not server.calls
    assert [path.name for path in tmp_path.iterdir()] == ["items.parquet"]


def test_a_refusal_is_one_line_and_leaves_no_table(request_items, server, tmp_path):
    server.reply = lambda number, call: error(401, f"wrong: {KEY}")
    code, log = request_items()
    assert code == 2
    assert "the key in ACE_TEST_KEY is refused" in log.splitlines()[-1]
    assert "Traceback" not in log
    assert not (tmp_path / "shard.parquet").exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("base_url", "https://user:secret@host/v1"),
        ("base_url", "ftp://host"),
        ("encoding_format", "int8"),
    ],
)
def test_settings_that_cannot_be_followed_are_refused(request_items, key, value):
    code, log = request_items(**{key: value})
    assert code == 2
    assert f"api.{key}" in log
    assert "secret@" not in log
