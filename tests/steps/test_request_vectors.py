"""The step request_vectors, through its command line, against a server that does wrong."""

import numpy as np
import pytest

from ace_steps.io.parquet import read_provenance
from ace_steps.io.vectors import read_vectors
from ace_steps.steps import merge_vectors
from tests.embed.fault_server import KEY, WIDTH, Reply
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
