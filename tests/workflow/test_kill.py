"""Killed with -9 at random moments and started again, the toy workflow ends with the same bytes."""

import subprocess
import time
from contextlib import suppress

import numpy as np
import psutil
import pytest

from ace_steps import parquet
from ace_steps.tables import TRAINING_CURVE
from tests.workflow.conftest import make_checkout

N_KILLS = 10
CLOCKED = ["seconds", "targets_per_s"]  # the only columns that may differ


def _tables(checkout):
    files = sorted((checkout.folder / "results").rglob("*.parquet"))
    files += sorted((checkout.folder / "results").rglob("*.safetensors"))
    return {
        str(file.relative_to(checkout.folder)): file for file in files if "state" not in file.parts
    }


def _steps(process):
    """The step processes that a Snakemake process has running."""
    with suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
        return [child for child in family if _is_step(child)]
    return []


def _is_step(child):
    with suppress(psutil.NoSuchProcess):
        return "ace_steps.steps." in " ".join(child.cmdline()) and "bash" not in child.name()
    return False


def _kill_once(checkout, seconds, *, only_steps):
    """Start the workflow and kill it some time after a step began; False if it ended before."""
    process = subprocess.Popen(
        checkout.command(),
        cwd=checkout.folder,
        env=checkout.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not _steps(process):
        if process.poll() is not None:
            assert process.returncode == 0
            return False
        time.sleep(0.05)
    time.sleep(seconds)
    victims = _steps(process)
    if not only_steps:
        process.kill()
    for victim in victims:
        with suppress(psutil.NoSuchProcess):
            victim.kill()
    process.wait()
    psutil.wait_procs(victims)
    assert checkout.snakemake("--unlock").returncode == 0
    return bool(victims)


@pytest.mark.slow
def test_ten_kills_at_random_moments_change_no_byte(finished, tmp_path):
    seed = time.time_ns()
    print("seed", seed)
    rng, n_killed, round_ = np.random.default_rng(seed), 0, 0
    while n_killed < N_KILLS:
        round_ += 1
        checkout = make_checkout(tmp_path / str(round_) / "ace")
        while n_killed < N_KILLS and _kill_once(
            checkout, rng.uniform(0, 6), only_steps=bool(n_killed % 2)
        ):
            n_killed += 1
        done = checkout.snakemake()
        assert done.returncode == 0, done.stdout + done.stderr
        _compare(finished, checkout)


def _compare(finished, checkout):
    wanted, found = _tables(finished), _tables(checkout)
    assert wanted.keys() == found.keys()
    for name, file in wanted.items():
        if file.name == "training_curve.parquet":
            curves = [
                parquet.read_table(f, TRAINING_CURVE).drop(CLOCKED) for f in (file, found[name])
            ]
            assert curves[0].equals(curves[1]), name
        else:
            assert file.read_bytes() == found[name].read_bytes(), name
