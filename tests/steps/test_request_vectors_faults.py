"""The step request_vectors against a server that does wrong, and with bad input."""

import itertools
import json
import math
import re
from types import SimpleNamespace

import numpy as np
import pytest

from ace_steps.embed import api_client
from tests.embed.fault_server import FOREVER_S, KEY, WIDTH, Reply, body_of, error
from tests.steps.made_items import write_damaged_items, write_items
from tests.steps.made_requests import (
    TEXTS,
    estimate_of,
    expected,
    found_in,
    last_line,
)


def first(n, reply):
    """The reply to the first ``n`` calls."""
    return lambda number, call: reply(call) if number < n else None


PASSING = {
    "429": lambda call: error(429, "slow down"),
    "500": lambda call: Reply(500, b"<html>oops</html>"),
    "503": lambda call: error(503, "loading"),
    "truncated JSON": lambda call: Reply(body=body_of(call)[:-30]),
    "a body cut short": lambda call: Reply(lose=30),
    "half a batch": lambda call: Reply(
        body=body_of(call, data=json.loads(body_of(call))["data"][:2])
    ),
    "one vector twice": lambda call: Reply(
        body=body_of(call, data=json.loads(body_of(call))["data"][:3] * 2)
    ),
    "an error with status 200": lambda call: Reply(body=b'{"error": "no"}'),
    "no JSON": lambda call: Reply(body=b""),
    "a list": lambda call: Reply(body=b"[]"),
    "a number of 400 digits": lambda call: numbers(call, 10**400),
    "brackets in brackets": lambda call: Reply(body=b"[" * 100_000),
    "an error of brackets": lambda call: Reply(500, b"[" * 100_000),
}


@pytest.mark.parametrize("name", PASSING)
def test_what_may_pass_is_tried_again(request_vectors, server, tmp_path, name):
    server.reply = first(2, PASSING[name])
    code, log = request_vectors()
    assert code == 0
    assert log.count("attempt ") == 2
    np.testing.assert_array_equal(found_in(tmp_path / "shard.parquet", TEXTS), expected(TEXTS))


@pytest.mark.parametrize("name", list(PASSING)[-3:])
def test_what_does_not_pass_in_the_end_is_one_line(request_vectors, server, name):
    server.reply = lambda number, call: PASSING[name](call)
    code, log = request_vectors()
    assert code == 2
    assert "after 3 attempts; what was answered is kept" in last_line(log)
    assert "Traceback" not in log


def numbers(call, value):
    data = json.loads(body_of(call))["data"]
    for row in data:
        row["embedding"] = [1.0] * WIDTH
    data[1]["embedding"][3] = value
    return Reply(body=json.dumps({"data": data}).encode())


@pytest.mark.parametrize("value", [math.nan, math.inf, None, 1e300])
def test_a_vector_that_is_not_finite_is_asked_for_again_and_then_refused(
    request_vectors, server, tmp_path, value
):
    server.reply = lambda number, call: numbers(call, value)
    code, log = request_vectors()
    assert code == 2
    assert len(server.calls) == 3
    assert "a vector that holds NaN or infinity, after 3 attempts" in last_line(log)
    assert not (tmp_path / "shard.parquet").exists()


def test_a_vector_of_zeros_is_refused_with_its_item(request_vectors, server):
    zeros = {"data": [{"index": 0, "embedding": [0.0] * WIDTH}]}
    server.reply = lambda number, call: Reply(body=json.dumps(zeros).encode())
    code, log = request_vectors(max_inputs=1)
    assert code == 2
    assert re.search(r"item 'id\d+': the model's vector is all zeros", last_line(log))
    assert "what was embedded before is kept" in last_line(log)


def test_retry_after_is_obeyed_by_every_request(request_vectors, server):
    def reply(number, call):
        server.wait_for(2)
        slow = error(429, "slow", headers={"Retry-After": "1"})
        return slow if number == 0 else Reply(seconds=0.5 if number == 1 else 0.0)

    server.reply = reply
    assert request_vectors(concurrency=2)[0] == 0
    begun = server.calls[0].at
    later = [call.at - begun for call in server.calls[2:]]
    assert len(later) == 4
    assert min(later) >= 1.0


def test_a_rest_that_is_too_long_ends_the_step(request_vectors, server):
    server.reply = lambda number, call: error(429, "x", headers={"Retry-After": "86400"})
    code, log = request_vectors()
    assert code == 2
    assert "asks for a rest of 86400 s" in last_line(log)
    assert len(server.calls) == 1


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_batch_that_is_too_large_is_split_until_it_passes(
    request_vectors, server, tmp_path, status
):
    server.reply = lambda number, call: error(status, "too many") if len(call.texts) > 2 else None
    code, log = request_vectors(max_inputs=16)
    assert code == 0
    assert f"16 texts in one request: HTTP {status} (too many); sending halves" in log
    np.testing.assert_array_equal(found_in(tmp_path / "shard.parquet", TEXTS), expected(TEXTS))


def test_one_text_that_is_refused_is_named_and_the_others_are_kept(
    request_vectors, server, tmp_path
):
    server.reply = lambda number, call: error(400, "no") if TEXTS[7] in call.texts else None
    store = ["--store", str(tmp_path / "store")]
    code, log = request_vectors(*store, max_inputs=20)
    assert code == 2
    assert "item 'id8': the server refuses its text of 14 characters alone, HTTP 400 (no)" in log
    n_kept = 20 - estimate_of(request_vectors(*store, "--dry-run")[1])["new"]
    assert 0 < n_kept < 20
    server.reply = lambda number, call: None
    server.calls.clear()
    assert request_vectors(*store)[0] == 0
    assert len(server.texts_sent()) == 20 - n_kept


@pytest.mark.parametrize(
    ("send_dimensions", "asked_for"),
    [(False, "model 'toy', whatever"), (True, f"model 'toy' with dimensions = {WIDTH}, whatever")],
)
def test_a_model_that_is_refused_like_a_text_is_named_as_what_it_may_be(
    request_vectors, server, send_dimensions, asked_for
):
    server.reply = lambda number, call: error(400, "invalid model ID")
    code, log = request_vectors(send_dimensions=send_dimensions)
    assert code == 2
    assert f"HTTP 400 (invalid model ID). Either it refuses {asked_for}" in last_line(log)


def test_a_server_that_hangs_is_given_up(request_vectors, server):
    server.reply = lambda number, call: Reply(seconds=FOREVER_S)
    code, log = request_vectors(timeout_s=0.2, attempts=2)
    assert code == 2
    assert "no answer within 0.2 s" in last_line(log)


def test_a_server_that_dribbles_meets_the_same_deadline(request_vectors, server, monkeypatch):
    """The client's clock is made here: the deadline is over when the first byte has come.

    More bytes do not come in time: a client that waits for them says ReadTimeout.
    """
    clock = itertools.count(step=100.0)
    monkeypatch.setattr(api_client, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    server.reply = lambda number, call: Reply(seconds_a_byte=FOREVER_S)
    code, log = request_vectors(timeout_s=10, attempts=1)
    assert code == 2
    assert "no whole answer within 10 s" in last_line(log)


FINAL = {
    "a refused key": (401, f"Incorrect API key provided: {KEY}", r"the key in ACE_TEST_KEY is"),
    "a forbidden key": (403, "no", r"the key in ACE_TEST_KEY is refused, HTTP 403 \(no\)"),
    "an unknown model": (404, "no such model", r"HTTP 404 \(no such model\) for model 'toy'"),
    "a redirection": (302, "", r"HTTP 302, a redirection"),
}


@pytest.mark.parametrize(("status", "words", "text"), FINAL.values(), ids=FINAL)
def test_what_does_not_pass_is_one_line_at_once(request_vectors, server, status, words, text):
    server.reply = lambda number, call: error(status, words)
    code, log = request_vectors(concurrency=1)
    assert code == 2
    assert re.search(text, last_line(log))
    assert len(server.calls) == 1
    assert "Traceback" not in log


def test_money_that_is_spent_is_not_waited_for(request_vectors, server):
    code_of = {"code": "insufficient_quota"}
    server.reply = lambda number, call: error(429, "You exceeded your quota", error=code_of)
    code, log = request_vectors()
    assert code == 2
    assert "(You exceeded your quota)" in last_line(log)
    assert len(server.calls) == 1


def test_no_network_is_one_line_that_says_what_to_do(request_vectors):
    code, log = request_vectors(base_url="http://127.0.0.1:9/v1")
    assert code == 2
    assert "after 3 attempts" in last_line(log)
    assert "run again to go on" in last_line(log)


@pytest.mark.parametrize("text", ["", "   \n"])
def test_a_blank_text_is_refused_with_its_item_before_anything_is_sent(
    request_vectors, server, tmp_path, text
):
    write_items(tmp_path / "items.parquet", ["red shoe", text])
    code, log = request_vectors()
    assert code == 2
    assert "item 'id2': its text" in log
    assert "is blank" in log
    assert not server.calls
    assert request_vectors(settings={"prompt": "An item: {text}"})[0] == 0


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"base_url": "https://user:secret@host/v1"}, "use key_variable for the key"),
        ({"base_url": "ftp://host"}, "an address such as https://api.openai.com/v1"),
        ({"encoding_format": "int8"}, "api.encoding_format: expected one of base64, float"),
        ({"chars_per_token": 0}, "api.chars_per_token: expected"),
        ({"tokenizer": "nowhere"}, "no usable tokenizer.json"),
    ],
)
def test_settings_that_cannot_be_followed_are_refused(request_vectors, changes, text):
    code, log = request_vectors(**changes)
    assert code == 2
    assert text in last_line(log)
    assert "secret@" not in log
    assert "Traceback" not in log


def test_a_text_that_is_no_utf8_is_refused_before_anything_is_sent(
    request_vectors, server, tmp_path
):
    write_damaged_items(tmp_path / "items.parquet")
    code, log = request_vectors()
    assert code == 2
    assert "item 'id2': its text is not UTF-8" in log
    assert not server.calls
