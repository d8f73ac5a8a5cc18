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


def _kill_after(checkout, seconds, *, only_steps):
    """Start the workflow, then kill its running steps, or all of it; how many processes died."""
    process = subprocess.Popen(
        checkout.command(),
        cwd=checkout.folder,
        env=checkout.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(seconds)
        return 0
    except subprocess.TimeoutExpired:
        family = psutil.Process(process.pid).children(recursive=True)
    if only_steps:
        victims = [child for child in family if "ace_steps.steps" in " ".join(child.cmdline())]
        for victim in victims:
            victim.kill()
        process.wait()
        return len(victims)
    process.kill()
    process.wait()
    for child in family:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs(family)
    assert checkout.snakemake("--unlock").returncode == 0
    return 1 + len(family)


@pytest.mark.slow
def test_ten_kills_at_random_moments_change_no_byte(finished, tmp_path):
    moments = np.random.default_rng(time.time_ns()).uniform(4, 25, N_KILLS)
    print("kills after", moments.round(1).tolist(), "seconds")
    checkout = make_checkout(tmp_path / "ace")
    killed = [
        _kill_after(checkout, seconds, only_steps=bool(i % 2))
        for i, seconds in enumerate(moments.tolist())
    ]
    assert sum(killed) > 0
    done = checkout.snakemake()
    assert done.returncode == 0, done.stdout + done.stderr

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
