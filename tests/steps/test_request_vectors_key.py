"""The key of request_vectors: from the environment alone, and never told on."""

import pytest

from tests.embed.fault_server import KEY, Reply, error
from tests.steps.made_requests import last_line

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


@pytest.mark.parametrize("key_variable", [None, "ACE_TEST_KEY"])
def test_no_other_secret_of_the_environment_is_sent(
    request_vectors, server, monkeypatch, key_variable
):
    for name in ("API_KEY", "ADMIN_KEY", "ORG_ID", "PROJECT_ID"):
        monkeypatch.setenv(f"OPENAI_{name}", "of-another-server")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer of-another-server")
    assert request_vectors(key_variable=key_variable)[0] == 0
    expected = f"Bearer {KEY}" if key_variable else None
    assert {call.headers.get("Authorization") for call in server.calls} == {expected}
    assert not any("of-another-server" in call.headers.values() for call in server.calls)
