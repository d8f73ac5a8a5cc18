"""Killed with -9 again and again, a shard ends with the bytes of one that was left alone.

The jobs are forks of one process that has imported everything. Each is held once it has begun a few
batches, so that none can end before its kill, however busy the machine is.
"""

import itertools
import json
import multiprocessing
import os
import random
import signal
import sys
import time

import pytest

from ace_steps.embed import encode
from ace_steps.steps import embed_items, request_vectors
from tests.embed.conftest import SETTINGS
from tests.embed.fault_server import FOREVER_S, KEY, Reply, fault_server
from tests.steps.made_items import write_items
from tests.steps.made_requests import CONNECTION
from tests.steps.made_requests import SETTINGS as API_SETTINGS

N_TEXTS, N_KILLS, PATIENCE_S = 2000, 10, 600
MOST_BEGUN, SLOW_S = 6, 0.03  # batches of a job that is to be killed, and how long each takes
CHANCE = random.SystemRandom()
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([__name__])


def arguments(folder, model, name):
    return [
        *("--items", str(folder / "items.parquet"), "--model", str(model), "--shard", "1-of-1"),
        *("--settings", json.dumps({**SETTINGS, "batch_tokens": 256}), "--device", "cpu"),
        *("--vectors", str(folder / name)),
    ]


def n_pieces(folder):
    return len(list(folder.glob(".killed.parquet.pieces/*/[!.]*.parquet")))


def start(job, *given):
    process = FORKS.Process(target=job, args=given, daemon=True)
    process.start()
    return process


def finish(process):
    process.join(PATIENCE_S)
    assert process.exitcode == 0


def kill_soon(process, has_begun, longest_s):
    """Kill a job at a random moment after it has begun its work; it is never over by then."""
    until = time.monotonic() + PATIENCE_S
    while not has_begun():
        assert process.is_alive()
        assert time.monotonic() < until
        time.sleep(0.001)
    time.sleep(CHANCE.uniform(0, longest_s))
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def embed(given, journal, most_begun):
    """The step, which notes the texts of each batch before it takes its time over it."""
    begin, numbers = encode._vectors, itertools.count(1)

    def begun(encoder, tokens, rows, *more):
        starts, stops = tokens.offsets[rows], tokens.offsets[rows + 1]
        spans = zip(starts, stops, strict=True)
        texts = [tokens.ids[start:stop].tobytes().hex() for start, stop in spans]
        with journal.open("a") as file:
            file.write(json.dumps(texts) + "\n")
        time.sleep(FOREVER_S if next(numbers) > most_begun else SLOW_S)
        return begin(encoder, tokens, rows, *more)

    encode._vectors = begun  # in this process alone
    sys.exit(embed_items.main(given))


def batches_of(journal):
    return [json.loads(line) for line in journal.read_text().splitlines()]


def test_a_batch_is_on_disk_before_the_next_one_is_begun(decoder_folder, tmp_path, monkeypatch):
    """So that a kill, whenever it comes, can cost one batch and no more."""
    write_items(tmp_path / "items.parquet", [f"text {n} " * (n % 5 + 1) for n in range(300)])
    kept, begin = [], encode._vectors

    def begun(*given):
        kept.append(n_pieces(tmp_path))
        return begin(*given)

    monkeypatch.setattr(encode, "_vectors", begun)
    assert embed_items.main(arguments(tmp_path, decoder_folder, "killed.parquet")) == 0
    assert len(kept) > N_KILLS
    assert kept == list(range(len(kept)))


@pytest.mark.slow
def test_a_kill_costs_the_batch_under_way_and_changes_no_byte(decoder_folder, tmp_path):
    write_items(tmp_path / "items.parquet", [f"text {n} " * (n % 5 + 1) for n in range(N_TEXTS)])
    whole, journals = tmp_path / "whole", [tmp_path / f"run-{n}" for n in range(N_KILLS + 1)]
    alone = arguments(tmp_path, decoder_folder, "alone.parquet")
    finish(start(embed, alone, whole, sys.maxsize))
    assert len(batches_of(whole)) > N_KILLS * MOST_BEGUN
    given = arguments(tmp_path, decoder_folder, "killed.parquet")
    for journal in journals[:-1]:
        job = start(embed, given, journal, MOST_BEGUN)
        kill_soon(job, journal.is_file, MOST_BEGUN * SLOW_S)
    finish(start(embed, given, journals[-1], sys.maxsize))
    runs = [batches_of(journal) for journal in journals]
    for number, run in enumerate(runs[:-1]):
        later = {text for other in runs[number + 1 :] for batch in other for text in batch}
        kept = {text for batch in run[:-1] for text in batch}
        assert not kept & later, f"run {number}"
    assert len({text for run in runs for batch in run for text in batch}) == N_TEXTS
    assert (tmp_path / "killed.parquet").read_bytes() == (tmp_path / "alone.parquet").read_bytes()


IN_FLIGHT, MAX_INPUTS = 3, 16


def ask(given, environment):
    os.environ.update(environment)
    sys.exit(request_vectors.main(given))


def asking(folder, url, name):
    api = {**CONNECTION, "base_url": url, "concurrency": IN_FLIGHT, "max_inputs": MAX_INPUTS}
    settings = {**API_SETTINGS, "api": {**api, "timeout_s": FOREVER_S}}
    return [
        *("--items", str(folder / "items.parquet"), "--settings", json.dumps(settings)),
        *("--vectors", str(folder / name), "--shard", "1-of-1"),
    ]


def ask_and_kill(given, environment, server):
    """Run the step and kill it; what it asks beyond a few requests is not answered."""
    n_before = len(server.calls)
    held = n_before + MOST_BEGUN
    server.reply = lambda number, _: Reply(seconds=FOREVER_S if number >= held else SLOW_S)
    job = start(ask, given, environment)
    kill_soon(job, lambda: len(server.calls) > n_before, MOST_BEGUN / IN_FLIGHT * SLOW_S)


@pytest.mark.slow
def test_a_kill_asks_an_api_twice_for_no_more_than_was_under_way(tmp_path):
    environment = {"ACE_TEST_KEY": KEY, "no_proxy": "127.0.0.1"}
    texts = [f"text {n}" for n in range(N_TEXTS)]
    write_items(tmp_path / "items.parquet", texts)
    with fault_server() as server:
        alone = asking(tmp_path, server.url, "alone.parquet")
        finish(start(ask, alone, environment))
        assert sorted(server.texts_sent()) == sorted(texts)
        assert len(server.calls) > N_KILLS * (MOST_BEGUN + IN_FLIGHT)
        server.calls.clear()
        given = asking(tmp_path, server.url, "killed.parquet")
        for _ in range(N_KILLS):
            ask_and_kill(given, environment, server)
        server.reply = lambda number, call: None
        finish(start(ask, given, environment))
        sent = server.texts_sent()
    assert set(sent) == set(texts)
    assert len(sent) - N_TEXTS <= N_KILLS * IN_FLIGHT * MAX_INPUTS
    assert (tmp_path / "killed.parquet").read_bytes() == (tmp_path / "alone.parquet").read_bytes()
