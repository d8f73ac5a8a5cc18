"""One request that is sent until it is answered, to a server that does wrong on request."""

import itertools
import json
import math
from types import SimpleNamespace

import numpy as np
import pytest

from ace_steps.embed import api_client
from ace_steps.embed.api_client import ApiClient, RejectedError
from ace_steps.embed.settings import ApiConnection
from ace_steps.errors import InputError
from tests.embed.fault_server import (
    DIM,
    FOREVER_S,
    KEY,
    Reply,
    body_of,
    error,
    rows_of,
    vector_of,
)
from tests.steps.made_requests import CONNECTION

TEXTS = ["red shoe", "blue shoe", "a hat"]


@pytest.fixture
def client(server):
    """A client of the server with some of its settings changed."""

    def build(**changes):
        return ApiClient(ApiConnection(**{**CONNECTION, "base_url": server.url, **changes}))

    return build


def refusal_of(client, kind=InputError):
    """The one line of an error that ends the step."""
    with pytest.raises(kind) as refusal:
        client.embed(TEXTS)
    line = str(refusal.value)
    assert KEY[:12] not in line
    assert "\n" not in line
    return line


def with_number(call, value):
    """The right answer, but for one number."""
    rows = [{"index": row, "embedding": [1.0] * DIM} for row in range(len(call.texts))]
    rows[1]["embedding"][3] = value
    return Reply(body=body_of(rows))


@pytest.mark.parametrize("encoding_format", ["base64", "float"])
def test_vectors_come_in_the_order_of_the_texts(client, server, encoding_format):
    sender = client(encoding_format=encoding_format)
    np.testing.assert_array_equal(sender.embed(TEXTS), [vector_of(text) for text in TEXTS])
    (call,) = server.calls
    assert (call.path, call.texts) == ("/v1/embeddings", TEXTS)
    assert call.headers["Authorization"] == f"Bearer {KEY}"
    assert "dimensions" not in call.payload
    assert (sender.n_requests, sender.n_tokens) == (1, 22)


def test_dimensions_are_asked_for_where_the_settings_say_so(client, server):
    assert client(send_dimensions=True, dim=6).embed(TEXTS).shape == (3, 6)
    assert server.calls[0].payload["dimensions"] == 6


IN_2100 = "Fri, 01 Jan 2100 00:00:00 GMT"
PASSING = {
    **{str(status): lambda call, s=status: error(s, "slow down") for status in (408, 409, 425)},
    "429": lambda call: error(429, "slow down", {"Retry-After": "soon"}),
    "500": lambda call: Reply(500, b"<html>oops</html>"),
    "truncated JSON": lambda call: Reply(body=body_of(rows_of(call))[:-30]),
    "a body cut short": lambda call: Reply(lose=30),
    "half a batch": lambda call: Reply(body=body_of(rows_of(call)[:2])),
    "one vector twice": lambda call: Reply(body=body_of(rows_of(call)[:2] + rows_of(call)[:1])),
    "an error with status 200": lambda call: Reply(body=b'{"error": "no"}'),
    "no JSON": lambda call: Reply(body=b""),
    "a list": lambda call: Reply(body=b"[]"),
    "brackets in brackets": lambda call: Reply(body=b"[" * 100_000),
    "an error of brackets": lambda call: Reply(500, b"[" * 100_000),
    **{
        f"the number {value}"[:20]: lambda call, v=value: with_number(call, v)
        for value in (math.nan, math.inf, 1e300, None, 10**400)
    },
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_what_may_pass_is_tried_again(client, server, fault):
    server.reply = lambda number, call: fault(call) if number < 2 else None
    np.testing.assert_array_equal(client().embed(TEXTS), [vector_of(text) for text in TEXTS])
    assert len(server.calls) == 3


def test_what_does_not_pass_in_the_end_is_refused(client, server):
    server.reply = lambda number, call: with_number(call, math.nan)
    line = refusal_of(client())
    assert "a vector that holds NaN or infinity, after 3 attempts" in line
    assert "run again to go on" in line
    assert len(server.calls) == 3


FINAL = {
    "a refused key": (error(401, f"Incorrect API key provided: {KEY}"), "the key in ACE_TEST_KEY"),
    "a forbidden key": (error(403, "no"), "the key in ACE_TEST_KEY is refused, HTTP 403 (no)"),
    "an unknown model": (error(404, "no such"), "HTTP 404 (no such) for model 'toy'"),
    "a redirection": (error(307, "elsewhere", {"Location": "/v1/elsewhere"}), "HTTP 307"),
    "spent money": (error(429, "no credit", code="insufficient_quota"), "(no credit)"),
    "a long rest": (error(429, "x", {"Retry-After": "86400"}), "asks for a rest of 86400 s"),
    "a rest until a day": (error(429, "x", {"Retry-After": IN_2100}), "asks for a rest of"),
}


@pytest.mark.parametrize(("reply", "text"), FINAL.values(), ids=FINAL)
def test_what_does_not_pass_is_refused_at_once(client, server, reply, text):
    server.reply = lambda number, call: reply
    assert text in refusal_of(client())
    assert len(server.calls) == 1


def test_whole_vectors_of_another_dim_are_refused_at_once(client, server):
    server.reply = lambda number, call: Reply(body=body_of(rows_of(call, dim=6)))
    assert "expected vectors of dim = 8, got 6" in refusal_of(client())
    assert len(server.calls) == 1


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_fewer_texts_may_pass_is_told_apart(client, server, status):
    server.reply = lambda number, call: error(status, "too many")
    assert f"HTTP {status} (too many)" in refusal_of(client(), RejectedError)
    assert len(server.calls) == 1


def test_a_rest_that_the_server_asks_for_is_obeyed_by_every_request(client, server):
    server.reply = lambda number, call: (
        error(429, "slow", {"Retry-After": "0.5"}) if number == 0 else None
    )
    shared = client(attempts=1)
    refusal_of(shared)
    shared.embed(TEXTS)
    assert server.calls[1].at - server.calls[0].at >= 0.5


def test_a_server_that_hangs_is_given_up(client, server):
    server.reply = lambda number, call: Reply(seconds=FOREVER_S)
    assert "no answer within 0.2 s, after 2" in refusal_of(client(timeout_s=0.2, attempts=2))


def test_a_server_that_dribbles_meets_the_same_deadline(client, server, monkeypatch):
    """The deadline is over by a clock made here when most bytes have come; the rest never does."""
    clock = itertools.count(step=100.0)
    monkeypatch.setattr(api_client, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    server.reply = lambda number, call: Reply(lose=30, open_s=FOREVER_S)
    assert "no whole answer within 10 s" in refusal_of(client(timeout_s=10, attempts=1))


def test_a_server_that_is_not_there_is_given_up(client):
    assert "refused" in refusal_of(client(base_url="http://127.0.0.1:9/v1"))


ECHOES = {
    "whole": KEY,
    "far into a long message": "x" * 190 + KEY,  # a cut would leave half of it
    "quoted for an address": KEY.replace("/", "%2F").replace("+", "%2B"),
}


@pytest.mark.parametrize("words", ECHOES.values(), ids=ECHOES)
@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
def test_a_key_that_the_server_echoes_is_not_passed_on(client, server, caplog, status, words):
    caplog.set_level("INFO")
    is_json = status != 404
    message = f"bad: Bearer {words}"
    server.reply = lambda number, call: (
        error(status, message) if is_json else Reply(status, f"{message} {call.headers}".encode())
    )
    assert "bad: Bearer" in refusal_of(client(), (InputError, RejectedError))
    assert KEY[:12] not in caplog.text


@pytest.mark.parametrize("value", [None, "  ", "two words", "schlüssel"])
def test_a_missing_or_impossible_key_is_refused(client, monkeypatch, value):
    monkeypatch.delenv("ACE_TEST_KEY")
    if value is not None:
        monkeypatch.setenv("ACE_TEST_KEY", value)
    with pytest.raises(InputError, match="variable ACE_TEST_KEY: expected the key of http"):
        client()


def test_a_key_that_travels_unencrypted_is_a_warning(client, caplog):
    client(base_url="http://example.org/v1")
    assert "http://example.org/v1 is not https" in caplog.text


@pytest.mark.parametrize("header", ["X-Gateway", "authorization"])
@pytest.mark.parametrize("key_variable", [None, "ACE_TEST_KEY"])
def test_no_other_secret_of_the_environment_is_sent(
    client, server, tmp_path, monkeypatch, key_variable, header
):
    for name in ("API_KEY", "ADMIN_KEY", "ORG_ID", "PROJECT_ID"):
        monkeypatch.setenv(f"OPENAI_{name}", "of-another-server")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"{header}: Bearer of-another-server")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password of-another-server\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    client(key_variable=key_variable).embed(TEXTS)
    headers = server.calls[0].headers
    assert headers.get("Authorization") == (f"Bearer {KEY}" if key_variable else None)
    assert "of-another-server" not in json.dumps(headers)
