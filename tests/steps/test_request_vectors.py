"""The step request_vectors, through its command line: what is sent, kept, paid for; its key."""

import errno
import itertools
import json

import numpy as np
import pytest

from ace_steps.embed import api_client
from ace_steps.embed.store import VectorStore
from ace_steps.io.parquet import read_provenance
from ace_steps.io.vectors import read_vectors
from ace_steps.steps import merge_vectors
from tests.embed.fault_server import KEY, WIDTH, Reply, body_of, error
from tests.steps.made_items import write_items
from tests.steps.made_requests import TEXTS, estimate_of, expected, found_in, last_line


@pytest.mark.parametrize("encoding_format", ["base64", "float"])
def test_every_text_gets_its_own_vector(request_vectors, server, tmp_path, encoding_format):
    code, log = request_vectors(encoding_format=encoding_format, concurrency=3)
    assert code == 0
    np.testing.assert_array_equal(found_in(tmp_path / "shard.parquet", TEXTS), expected(TEXTS))
    assert sorted(server.texts_sent()) == TEXTS  # each once
    assert len(server.calls) == 5
    assert {call.path for call in server.calls} == {"/v1/embeddings"}
    assert {call.headers["Authorization"] for call in server.calls} == {f"Bearer {KEY}"}
    assert "5 requests answered; the server counted 280 tokens" in log
    assert "20 texts of 80 tokens, 0 truncated; 20 new: 80 tokens" in last_line(log)


def test_the_file_tells_how_it_was_made_and_merges(request_vectors, tmp_path):
    for number in (1, 2):
        assert request_vectors(shard=f"{number}-of-2", name=f"{number}.parquet")[0] == 0
    shards = [str(tmp_path / f"{number}.parquet") for number in (1, 2)]
    merged = tmp_path / "item_vectors.parquet"
    items = ["--items", str(tmp_path / "items.parquet")]
    assert merge_vectors.main([*items, "--shards", *shards, "--vectors", str(merged)]) == 0
    np.testing.assert_array_equal(read_vectors(merged).matrix, expected(TEXTS))
    note = read_provenance(merged)
    assert note.settings["api"]["key_variable"] == "ACE_TEST_KEY"
    assert note.facts == {
        **{"model": "toy", "revision": None, "max_tokens": 100, "normalized": False},
        **{"dim": WIDTH, "n_texts": 20, "n_tokens": 80, "n_truncated": 0, "device": "api"},
        "n_tokens_longest": 4,
        "tokens_counted_by": "4 characters a token",
        "taken_from": dict.fromkeys(["prompt", "max_tokens", "normalize"], "configuration"),
    }


def test_a_shard_without_texts_asks_nothing_and_has_the_right_width(
    request_vectors, server, tmp_path, monkeypatch
):
    monkeypatch.delenv("ACE_TEST_KEY")
    write_items(tmp_path / "items.parquet", ["one"])
    codes = [request_vectors(shard=f"{k}-of-2", name=f"{k}.parquet")[0] for k in (1, 2)]
    assert sorted(codes) == [0, 2]  # no key is needed where nothing is sent
    empty = tmp_path / f"{codes.index(0) + 1}.parquet"
    assert read_vectors(empty, "text_sha256").matrix.shape == (0, WIDTH)
    assert not server.calls


def test_both_caps_hold(request_vectors, server):
    assert request_vectors(max_inputs=3, max_request_tokens=8)[0] == 0  # four tokens a text
    assert {len(call.texts) for call in server.calls} == {2}
    server.calls.clear()
    assert request_vectors(max_inputs=3)[0] == 0
    assert [len(call.texts) for call in server.calls] == [3] * 6 + [2]
    server.calls.clear()
    assert request_vectors(max_request_tokens=1)[0] == 0  # a text beyond the cap goes alone
    assert [len(call.texts) for call in server.calls] == [1] * 20


def test_dimensions_are_asked_for_only_where_the_settings_say_so(request_vectors, server):
    assert request_vectors()[0] == 0
    assert not any("dimensions" in call.payload for call in server.calls)
    server.calls.clear()
    assert request_vectors(send_dimensions=True, dim=6, name="6.parquet")[0] == 0
    assert {call.payload["dimensions"] for call in server.calls} == {6}


def test_vectors_are_cut_and_scaled_after_the_store(request_vectors, server, tmp_path):
    store = ["--store", str(tmp_path / "store")]
    assert request_vectors(*store)[0] == 0
    assert request_vectors(*store, settings={"truncate_dim": 5, "normalize": True})[0] == 0
    assert len(server.texts_sent()) == 20
    wanted = expected(TEXTS)[:, :5]
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    np.testing.assert_allclose(found_in(tmp_path / "shard.parquet", TEXTS), wanted, rtol=1e-6)


def test_several_requests_are_under_way_at_once_but_no_more(request_vectors, server):
    def reply(number, call):
        server.wait_for(3)
        return Reply(seconds=0.2)  # a fourth would be seen

    server.reply = reply
    assert request_vectors(concurrency=3)[0] == 0
    assert server.most_at_once == 3


def test_a_dry_run_says_what_it_would_cost_and_sends_nothing(
    request_vectors, server, tmp_path, monkeypatch
):
    monkeypatch.delenv("ACE_TEST_KEY")
    code, log = request_vectors("--dry-run", max_inputs=7)
    assert code == 0
    # 20 texts of 14 characters are 4 tokens each; half a dollar a million tokens
    wanted = {"new": 20, "requests": 3, "tokens": 80, "cost": "0.0000 US dollars"}
    assert estimate_of(log) == wanted
    assert "no price given" in request_vectors("--dry-run", price=None)[1]
    assert "40.0000 US dollars" in request_vectors("--dry-run", price=500_000)[1]
    assert not server.calls
    assert [path.name for path in tmp_path.iterdir()] == ["items.parquet"]


def test_a_dry_run_counts_what_is_in_the_store(request_vectors, tmp_path):
    store = ["--store", str(tmp_path / "store")]
    assert request_vectors(*store)[0] == 0
    write_items(tmp_path / "items.parquet", [*TEXTS, "one more"])
    assert estimate_of(request_vectors(*store, "--dry-run")[1])["new"] == 1


def test_long_texts_are_cut_and_counted_and_the_prompt_stays(request_vectors, server, tmp_path):
    write_items(tmp_path / "items.parquet", ["short", "y" * 100_000])
    code, log = request_vectors(settings={"prompt": "An item: {text}!", "max_tokens": 10})
    assert code == 0
    assert "1 truncated" in last_line(log)
    assert sorted(server.texts_sent()) == ["An item: short!", "An item: " + "y" * 30 + "!"]


@pytest.mark.parametrize(
    "changes", [{"model": "other"}, {"chars_per_token": 3}, {"send_dimensions": True}]
)
def test_a_store_keeps_other_ways_apart(request_vectors, server, tmp_path, changes):
    store = ["--store", str(tmp_path / "store")]
    assert request_vectors(*store)[0] == 0
    assert request_vectors(*store, **changes)[0] == 0
    assert len(server.texts_sent()) == 40


def test_a_store_does_not_care_how_requests_are_sent(request_vectors, server, tmp_path):
    store = ["--store", str(tmp_path / "store")]
    assert request_vectors(*store)[0] == 0
    other = {"concurrency": 2, "max_inputs": 9, "encoding_format": "float", "price": None}
    assert request_vectors(*store, **other, key_variable=None, timeout_s=5, attempts=9)[0] == 0
    assert len(server.texts_sent()) == 20


def test_a_width_that_changes_midway_is_refused_and_what_is_done_is_kept(
    request_vectors, server, tmp_path
):
    server.reply = lambda number, call: Reply(body=body_of(call, dim=6)) if number == 3 else None
    code, log = request_vectors()
    assert code == 2
    assert f"expected vectors of dim = {WIDTH}, got 6" in last_line(log)
    assert len(server.calls) == 4
    assert not (tmp_path / "shard.parquet").exists()
    server.reply = lambda number, call: None
    assert request_vectors()[0] == 0
    assert len(server.calls) == 4 + 2  # the two requests that were not answered
    np.testing.assert_array_equal(found_in(tmp_path / "shard.parquet", TEXTS), expected(TEXTS))


def zeros(call):
    data = [{"index": row, "embedding": [0.0] * WIDTH} for row in range(len(call.texts))]
    return Reply(body=json.dumps({"data": data}).encode())


FAILURES = {
    "a refused request": (lambda call: error(404, "gone"), "HTTP 404"),
    "a refused vector": (zeros, "is all zeros"),
    "a defect of ours": (lambda call: Reply(body=b"defect"), None),
}


@pytest.mark.parametrize(("failure", "text"), FAILURES.values(), ids=FAILURES)
def test_requests_under_way_when_another_fails_are_kept(
    request_vectors, server, monkeypatch, failure, text
):
    read = api_client.read_answer

    def with_defect(body, *more):
        return read(body, *more) if body != b"defect" else 1 / 0

    monkeypatch.setattr(api_client, "read_answer", with_defect)

    def reply(number, call):
        server.wait_for(3)
        return failure(call) if number == 0 else Reply(seconds=0.3)

    server.reply = reply
    if text is None:
        with pytest.raises(ZeroDivisionError):
            request_vectors(concurrency=3)
    else:
        code, log = request_vectors(concurrency=3)
        assert code == 2
        assert text in last_line(log)
    assert len(server.calls) >= 3
    server.reply = lambda number, call: None
    assert request_vectors()[0] == 0
    assert len(server.calls) == 1 + 5  # the failed one, and each of the five once


def test_a_full_disk_is_one_line_and_what_is_done_is_kept(request_vectors, server, monkeypatch):
    add, calls = VectorStore.add, itertools.count()

    def guarded(self, hashes, vectors):
        if next(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device", "shard.parquet")
        add(self, hashes, vectors)

    with monkeypatch.context() as patch:
        patch.setattr(VectorStore, "add", guarded)
        code, log = request_vectors()
    assert code == 2
    assert "shard.parquet: No space left on device" in last_line(log)
    n_before = len(server.calls)
    assert request_vectors()[0] == 0
    assert len(server.calls) == n_before + 3


ECHOES = {
    "whole": KEY,
    "far into a long message": "x" * 190 + KEY,  # a cut would leave half of it
    "quoted for an address": KEY.replace("/", "%2F").replace("+", "%2B"),
}


@pytest.mark.parametrize("words", ECHOES.values(), ids=ECHOES)
@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
def test_a_key_that_the_server_echoes_is_not_passed_on(request_vectors, server, status, words):
    server.reply = lambda number, call: error(status, f"bad: Bearer {words}")
    code, log = request_vectors(max_inputs=2)
    assert code == 2
    assert KEY[:12] not in log


def test_a_key_echoed_as_plain_text_is_not_passed_on(request_vectors, server):
    server.reply = lambda number, call: Reply(500, f"dump: {KEY} {call.headers}".encode())
    code, log = request_vectors()
    assert code == 2
    assert "dump: *** " in log


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "the environment variable ACE_TEST_KEY, which should hold the key of"),
        ("  ", "the environment variable ACE_TEST_KEY, which should hold the key of"),
        ("two words", "the environment variable ACE_TEST_KEY holds what can be no key"),
        ("schlüssel", "the environment variable ACE_TEST_KEY holds what can be no key"),
    ],
)
def test_a_missing_or_impossible_key_is_one_line(request_vectors, server, monkeypatch, value, text):
    monkeypatch.delenv("ACE_TEST_KEY")
    if value is not None:
        monkeypatch.setenv("ACE_TEST_KEY", value)
    code, log = request_vectors()
    assert code == 2
    assert text in last_line(log)
    assert "Traceback" not in log
    assert not server.calls


def test_no_key_is_sent_where_none_is_configured_even_with_a_netrc(
    request_vectors, server, tmp_path, monkeypatch
):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password something\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert request_vectors(key_variable=None)[0] == 0
    assert not any("Authorization" in call.headers for call in server.calls)
    server.calls.clear()
    assert request_vectors(name="again.parquet")[0] == 0
    assert {call.headers["Authorization"] for call in server.calls} == {f"Bearer {KEY}"}


@pytest.mark.parametrize("header", ["X-Gateway", "authorization", "Authorization"])
@pytest.mark.parametrize("key_variable", [None, "ACE_TEST_KEY"])
def test_no_other_secret_of_the_environment_is_sent(
    request_vectors, server, monkeypatch, key_variable, header
):
    for name in ("API_KEY", "ADMIN_KEY", "ORG_ID", "PROJECT_ID"):
        monkeypatch.setenv(f"OPENAI_{name}", "of-another-server")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"{header}: Bearer of-another-server")
    assert request_vectors(key_variable=key_variable)[0] == 0
    expected = f"Bearer {KEY}" if key_variable else None
    assert {call.headers.get("Authorization") for call in server.calls} == {expected}
    assert not any("of-another-server" in str(call.headers) for call in server.calls)
