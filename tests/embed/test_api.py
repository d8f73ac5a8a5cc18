"""Texts to vectors through an API: what is sent, counted, kept and paid for."""

import errno
import itertools

import numpy as np
import polars as pl
import pytest

from ace_steps.embed import api_client
from ace_steps.embed.api import api_store_key, estimate, inputs_of, request_texts, requests_of
from ace_steps.embed.settings import ApiEncoderSettings
from ace_steps.embed.store import VectorStore
from ace_steps.embed.texts import distinct_texts
from ace_steps.errors import InputError
from ace_steps.io.files import sha256_text
from tests.embed.fault_server import DIM, Reply, body_of, error, vector_of
from tests.steps.made_requests import CONNECTION, SETTINGS
from tests.toy import save_toy_encoder

TEXTS = [f"item number {number:02d}" for number in range(20)]  # 4 tokens each


def settings_of(url="https://api.example.org/v1", **changes):
    """Settings with some keys changed, of the encoder or of its connection."""
    own = {name: changes.pop(name) for name in ("prompt", "max_tokens") if name in changes}
    api = {**CONNECTION, "base_url": url, **changes}
    return ApiEncoderSettings(**{**SETTINGS, **own, "api": api})


def catalog(texts):
    """The distinct texts of items whose ids are id1, id2..."""
    columns = {
        "item": range(1, len(texts) + 1),
        "item_id": [f"id{number}" for number in range(1, len(texts) + 1)],
        "text": texts,
        "text_sha256": [sha256_text(text) for text in texts],
    }
    return distinct_texts(pl.DataFrame(columns))


@pytest.fixture
def request_all(server, tmp_path):
    """The vectors of texts by the server, in a store that is kept from call to call."""

    def run(texts=TEXTS, **changes):
        table = catalog(texts)
        store = VectorStore(tmp_path / "store")
        embedded = request_texts(table, settings_of(server.url, **changes), store)
        np.testing.assert_array_equal(embedded.matrix, [vector_of(text) for text in table["text"]])
        return embedded

    return run


def test_every_text_is_paid_for_once(request_all, server):
    embedded = request_all(concurrency=3)
    assert (embedded.n_tokens, embedded.n_new, len(server.calls)) == (80, 20, 5)
    assert request_all([*TEXTS, "one more"]).n_new == 1
    assert sorted(server.texts_sent()) == [*TEXTS, "one more"]


def test_several_requests_are_under_way_at_once_but_no_more(request_all, server):
    def reply(number, call):
        server.wait_for(3)
        return Reply(seconds=0.2)  # a fourth would be seen

    server.reply = reply
    request_all(concurrency=3)
    assert server.most_at_once == 3


@pytest.mark.parametrize("status", [400, 413])
def test_a_request_that_is_too_large_is_halved_until_it_passes(request_all, server, status):
    server.reply = lambda number, call: error(status, "too many") if len(call.texts) > 2 else None
    request_all(max_inputs=16)


def test_one_text_that_is_refused_is_named_and_the_others_are_kept(request_all, server):
    server.reply = lambda number, call: error(400, "no") if TEXTS[7] in call.texts else None
    with pytest.raises(InputError, match=r"item 'id8': .*alone, HTTP 400 \(no\) for model 'toy'"):
        request_all(max_inputs=20)
    server.reply = lambda number, call: None
    server.calls.clear()
    request_all()
    assert 0 < len(server.texts_sent()) < 20


def zeros(call):
    return Reply(body=body_of([{"index": i, "embedding": [0.0] * DIM} for i in range(4)]))


FAILURES = {
    "a refused request": (lambda call: error(404, "gone"), InputError, "HTTP 404"),
    "a vector of zeros": (zeros, InputError, r"item 'id\d+': the model's vector is all zeros"),
    "a defect of ours": (lambda call: Reply(body=b"defect"), ZeroDivisionError, "zero"),
}


@pytest.mark.parametrize(("failure", "kind", "text"), FAILURES.values(), ids=FAILURES)
def test_requests_under_way_when_another_fails_are_kept(
    request_all, server, monkeypatch, failure, kind, text
):
    read = api_client.read_answer
    monkeypatch.setattr(
        api_client, "read_answer", lambda body, n: read(body, n) if body != b"defect" else 1 / 0
    )

    def reply(number, call):
        server.wait_for(3)
        return failure(call) if number == 0 else Reply(seconds=0.3)

    server.reply = reply
    with pytest.raises(kind, match=text):
        request_all(concurrency=3)
    assert len(server.calls) == 3
    server.reply = lambda number, call: None
    request_all()
    assert len(server.calls) == 1 + 5  # the failed one, and each of the five once


def test_a_full_disk_costs_only_what_was_not_written(request_all, server, monkeypatch):
    add, calls = VectorStore.add, itertools.count()

    def guarded(self, hashes, vectors):
        if next(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        add(self, hashes, vectors)

    with monkeypatch.context() as patch:
        patch.setattr(VectorStore, "add", guarded)
        with pytest.raises(OSError, match="No space"):
            request_all()
    server.calls.clear()
    request_all()
    assert len(server.calls) == 3


@pytest.mark.parametrize(
    ("lengths", "caps", "sizes"),
    [
        ([4] * 20, {"max_inputs": 3}, [3] * 6 + [2]),
        ([4] * 20, {"max_inputs": 3, "max_request_tokens": 8}, [2] * 10),
        ([4, 9, 4, 4], {"max_request_tokens": 8}, [1, 1, 2]),  # a text beyond the cap goes alone
    ],
)
def test_both_caps_of_a_request_hold(lengths, caps, sizes):
    requests = requests_of(np.array(lengths), settings_of(**caps).api)
    assert [len(rows) for rows in requests] == sizes
    assert np.concatenate(requests).tolist() == list(range(len(lengths)))


@pytest.mark.parametrize("counter", ["characters", "tokenizer"])
def test_long_texts_are_cut_and_counted_and_the_prompt_stays(tmp_path, counter):
    api = {"chars_per_token": 1}
    if counter == "tokenizer":
        save_toy_encoder(tmp_path)  # its tokens are bytes
        api = {"tokenizer": str(tmp_path)}
    texts = catalog(["short", "y" * 1000])
    inputs = inputs_of(texts, settings_of(prompt="An item: {text}!", max_tokens=20, **api))
    assert sorted(inputs["input"]) == ["An item: short!", "An item: " + "y" * 10 + "!"]
    assert sorted(inputs["n_tokens"]) == [15, 20]
    assert inputs["is_truncated"].sum() == 1


@pytest.mark.parametrize(
    ("texts", "changes", "text"),
    [
        (["red shoe", ""], {}, "item 'id2': its text '' is blank"),
        (["red shoe", " \n"], {}, "item 'id2'"),
        (["red shoe"], {"prompt": "An item: {text}", "max_tokens": 2}, "no room for the text"),
        (["red shoe"], {"tokenizer": "nowhere"}, "no usable tokenizer.json"),
    ],
)
def test_what_cannot_be_sent_is_refused(texts, changes, text):
    with pytest.raises(InputError, match=text):
        inputs_of(catalog(texts), settings_of(**changes))


CHANGES = [
    *({"model": "other"}, {"url": "https://other.example.org"}, {"dim": 6}),
    *({"send_dimensions": True}, {"chars_per_token": 3}, {"max_tokens": 9}, {"prompt": "x{text}"}),
]
SAME = [
    *({"concurrency": 2, "max_inputs": 9, "max_request_tokens": 9, "encoding_format": "float"},),
    *({"price": None, "key_variable": None}, {"timeout_s": 5, "attempts": 9}),
]


@pytest.mark.parametrize(("changes", "is_same"), [(c, c in SAME) for c in [*CHANGES, *SAME]])
def test_a_store_keeps_apart_what_changes_a_vector_and_nothing_else(changes, is_same):
    assert (api_store_key(settings_of(**changes)) == api_store_key(settings_of())) == is_same


def test_an_estimate_is_what_hand_arithmetic_gives(tmp_path):
    # one text is there twice; 9 and 400 characters are 3 and 100 tokens, 800 are cut to 100
    texts = catalog(["nine char", "nine char", "x" * 400, "y" * 800, "known"])
    store = VectorStore(tmp_path)
    store.add(pl.Series([sha256_text("known")]), np.ones((1, DIM), np.float32))
    numbers = estimate(texts, settings_of(max_inputs=2), store)
    assert (numbers.n_texts, numbers.n_known, numbers.n_truncated) == (4, 1, 1)
    assert (numbers.n_requests, numbers.n_tokens) == (2, 203)
    assert numbers.cost_usd == pytest.approx(203 * 0.5 / 1e6)
    assert "no price given" in str(estimate(texts, settings_of(price=None), store))
