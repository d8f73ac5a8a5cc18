"""The step request_vectors keeps what was answered, whatever ends it; it is not asked for twice."""

import errno
import itertools
import json

import numpy as np
import pytest

from ace_steps.embed import api_client
from ace_steps.embed.store import VectorStore
from tests.embed.fault_server import WIDTH, Reply, body_of, error
from tests.steps.made_requests import TEXTS, expected, found_in, last_line


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


def test_requests_under_way_when_another_fails_are_kept(request_vectors, server):
    def reply(number, call):
        server.wait_for(3)
        return error(404, "gone") if number == 0 else Reply(seconds=0.3)

    server.reply = reply
    assert request_vectors(concurrency=3)[0] == 2
    n_answered = len(server.calls) - 1
    assert n_answered >= 2
    server.reply = lambda number, call: None
    assert request_vectors()[0] == 0
    assert len(server.calls) == 1 + 5  # the refused one, and each of the five once


@pytest.fixture
def defect(monkeypatch):
    """An answer that a defect of ours does not survive."""
    read = api_client.read_answer

    def broken(body, *more):
        if body == b"defect":
            raise ZeroDivisionError
        return read(body, *more)

    monkeypatch.setattr(api_client, "read_answer", broken)
    return Reply(body=b"defect")


def test_requests_under_way_when_a_defect_shows_are_kept(request_vectors, server, defect):
    def reply(number, call):
        server.wait_for(3)
        return defect if number == 0 else Reply(seconds=0.3)

    server.reply = reply
    with pytest.raises(ZeroDivisionError):
        request_vectors(concurrency=3)
    server.reply = lambda number, call: None
    assert request_vectors()[0] == 0
    assert len(server.calls) == 1 + 5  # the defect's, and each of the five once


def test_requests_under_way_when_a_vector_is_refused_are_kept(request_vectors, server):
    def reply(number, call):
        server.wait_for(3)
        zeros = [{"index": place, "embedding": [0.0] * WIDTH} for place in range(len(call.texts))]
        refused = Reply(body=json.dumps({"data": zeros}).encode())
        return refused if number == 0 else Reply(seconds=0.3)

    server.reply = reply
    code, log = request_vectors(concurrency=3)
    assert code == 2
    assert "is all zeros" in last_line(log)
    server.reply = lambda number, call: None
    assert request_vectors()[0] == 0
    assert len(server.calls) == 1 + 5  # the refused one, and each of the five once


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
