"""Killed with -9 again and again, a shard ends with the bytes of one that was left alone."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time

import pytest

from ace_steps.embed import encode
from ace_steps.steps import embed_items
from tests.conftest import ROOT
from tests.embed.conftest import SETTINGS
from tests.embed.fault_server import KEY, Reply, fault_server
from tests.steps.made_items import write_items
from tests.steps.made_requests import CONNECTION
from tests.steps.made_requests import SETTINGS as API_SETTINGS

N_TEXTS, N_KILLS, PATIENCE_S = 2000, 10, 120


def command(folder, model, name):
    return [
        *(sys.executable, "-m", "ace_steps.steps.embed_items", "--device", "cpu"),
        *("--items", str(folder / "items.parquet"), "--model", str(model), "--shard", "1-of-1"),
        *("--settings", json.dumps(SETTINGS), "--vectors", str(folder / name)),
    ]


def n_pieces(folder):
    return len(list(folder.glob(".killed.parquet.pieces/*/[!.]*.parquet")))


def start_and_kill(folder, model, n_more):
    """Run the step and kill it once it has kept ``n_more`` batches more."""
    wanted, until = n_pieces(folder) + n_more, time.monotonic() + PATIENCE_S
    job = subprocess.Popen(command(folder, model, "killed.parquet"), cwd=ROOT)
    while job.poll() is None and n_pieces(folder) < wanted and time.monotonic() < until:
        time.sleep(0.001)
    os.kill(job.pid, signal.SIGKILL)
    assert job.wait() == -signal.SIGKILL


def test_a_batch_is_on_disk_before_the_next_one_is_begun(decoder_folder, tmp_path, monkeypatch):
    """So that a kill, whenever it comes, can cost one batch and no more."""
    write_items(tmp_path / "items.parquet", [f"text {n} " * (n % 5 + 1) for n in range(300)])
    kept, begin = [], encode._vectors

    def begun(*arguments):
        kept.append(n_pieces(tmp_path))
        return begin(*arguments)

    monkeypatch.setattr(encode, "_vectors", begun)
    assert embed_items.main(command(tmp_path, decoder_folder, "killed.parquet")[3:]) == 0
    assert len(kept) > N_KILLS
    assert kept == list(range(len(kept)))


@pytest.mark.slow
def test_ten_kills_cost_no_batch_that_was_kept_and_change_no_byte(decoder_folder, tmp_path):
    write_items(tmp_path / "items.parquet", [f"text {n} " * (n % 5 + 1) for n in range(N_TEXTS)])
    subprocess.run(command(tmp_path, decoder_folder, "alone.parquet"), cwd=ROOT, check=True)
    chance = random.Random(0)
    kept = 0
    for _ in range(N_KILLS):
        start_and_kill(tmp_path, decoder_folder, chance.randint(1, 5))
        assert n_pieces(tmp_path) > kept
        kept = n_pieces(tmp_path)
    last = subprocess.run(
        command(tmp_path, decoder_folder, "killed.parquet"),
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert int(re.search(r"(\d+) new:", last.stderr)[1]) < N_TEXTS
    assert (tmp_path / "killed.parquet").read_bytes() == (tmp_path / "alone.parquet").read_bytes()


IN_FLIGHT, MAX_INPUTS = 3, 16


def asking(folder, url, name):
    api = {**CONNECTION, "base_url": url, "concurrency": IN_FLIGHT, "max_inputs": MAX_INPUTS}
    settings = {**API_SETTINGS, "api": api}
    return [
        *(sys.executable, "-m", "ace_steps.steps.request_vectors", "--shard", "1-of-1"),
        *("--items", str(folder / "items.parquet"), "--settings", json.dumps(settings)),
        *("--vectors", str(folder / name)),
    ]


def ask_and_kill(command, server, n_more):
    """Run the step and kill it once ``n_more`` more requests have come."""
    wanted, until = len(server.calls) + n_more, time.monotonic() + PATIENCE_S
    job = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    while job.poll() is None and len(server.calls) < wanted and time.monotonic() < until:
        time.sleep(0.001)
    os.kill(job.pid, signal.SIGKILL)
    assert job.wait() == -signal.SIGKILL


@pytest.mark.slow
def test_ten_kills_ask_an_api_twice_for_no_more_than_was_under_way(tmp_path, monkeypatch):
    monkeypatch.setenv("ACE_TEST_KEY", KEY)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    texts = [f"text {n}" for n in range(N_TEXTS)]
    write_items(tmp_path / "items.parquet", texts)
    chance = random.Random(1)
    with fault_server() as server:
        server.reply = lambda number, call: Reply(seconds=0.02)
        alone = asking(tmp_path, server.url, "alone.parquet")
        subprocess.run(alone, cwd=ROOT, check=True)
        assert sorted(server.texts_sent()) == sorted(texts)
        server.calls.clear()
        command = asking(tmp_path, server.url, "killed.parquet")
        for _ in range(N_KILLS):
            ask_and_kill(command, server, chance.randint(4, 10))
        subprocess.run(command, cwd=ROOT, check=True)
        sent = server.texts_sent()
    assert set(sent) == set(texts)
    assert len(sent) - N_TEXTS <= N_KILLS * IN_FLIGHT * MAX_INPUTS
    assert (tmp_path / "killed.parquet").read_bytes() == (tmp_path / "alone.parquet").read_bytes()
