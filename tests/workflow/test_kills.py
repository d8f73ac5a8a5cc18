"""Killed with -9 and started again, or started twice, the toy workflow ends with the same bytes."""

import subprocess
import time
from contextlib import suppress

import numpy as np
import psutil
import pytest

from tests.workflow.conftest import RANDOM, SASREC, make_checkout
from tests.workflow.same import assert_same_tables, copy_of, tables_of

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("real_python")]

N_KILLS = 8
WITH_SNAKEMAKE = (3, 6)  # at these kills, Snakemake dies too
LONGEST_PAUSE_S = 4.0  # on average, between two kills
PATIENCE_S = 600
# Snakemake's issue 823: a job to be tried again is forgotten when a checkpoint ends meanwhile. It
# says so and ends with code 1; started again, it goes on.
LOST = "Out of jobs ready to be started, but not all files built yet"
RUN = f"train/toy/toy/{RANDOM}/{SASREC}/1"
VECTORS = "results/toy/embed/toy/toy/item_vectors.parquet"


def start(checkout, *options):
    """Snakemake on its way; what it prints goes to a file beside the checkout."""
    with (checkout.folder.parent / "printed.txt").open("w") as printed:
        return subprocess.Popen(
            checkout.command(*options),
            cwd=checkout.folder,
            env=checkout.environment(),
            stdout=printed,
            stderr=subprocess.STDOUT,
        )


def finish(checkout, process):
    code = process.wait(timeout=PATIENCE_S)
    assert code == 0, (checkout.folder.parent / "printed.txt").read_text()


def refused(checkout, *options):
    """What a Snakemake says that ends with exit code 1."""
    done = checkout.snakemake(*options)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout + done.stderr


def unlock(checkout):
    assert checkout.snakemake("--unlock").returncode == 0


def steps(process):
    """The step processes that a Snakemake process has running."""
    with suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
        return [child for child in family if is_step(child)]
    return []


def is_step(child):
    with suppress(psutil.NoSuchProcess):
        return "ace_steps.steps." in " ".join(child.cmdline()) and "bash" not in child.name()
    return False


def wait_for_step(process):
    """Wait until a step runs."""
    while not steps(process):
        assert process.poll() is None
        time.sleep(0.05)


def kill(victims):
    for victim in victims:
        with suppress(psutil.NoSuchProcess):
            victim.kill()
    psutil.wait_procs(victims)


def kill_all(process):
    """Kill Snakemake with -9 and, as with a machine that dies, its steps with it."""
    victims = steps(process)
    process.kill()
    process.wait()
    kill(victims)


def seconds_of(checkout):
    """How long a run took, by the times of its files."""
    times = [file.stat().st_mtime for file in tables_of(checkout).values()]
    return max(times) - min(times)


def kill_and_go_on(checkout, pause_s, rng, n_killed):
    """Kill a random step at a random moment, again and again until the run ends; kills in all."""
    process, n_lost = start(checkout, "--retries", str(N_KILLS)), 0
    while is_at_work(checkout, process):
        if process.poll() is not None:
            n_lost += 1
            assert n_lost <= N_KILLS  # a kill loses it once at most
            process = start(checkout, "--retries", str(N_KILLS))
        time.sleep(rng.exponential(pause_s))
        running = steps(process)
        if not running or n_killed == N_KILLS:
            continue
        n_killed += 1
        if n_killed in WITH_SNAKEMAKE:
            kill_all(process)
            unlock(checkout)
            process = start(checkout, "--retries", str(N_KILLS))
        else:
            kill([running[rng.integers(len(running))]])
    finish(checkout, process)
    return n_killed


def is_at_work(checkout, process):
    """Whether a run goes on, or ended where a step that died has made Snakemake lose its way."""
    if process.poll() is None:
        return True
    return process.returncode == 1 and LOST in (checkout.folder.parent / "printed.txt").read_text()


def left_over(checkout):
    """Temporary files that nothing will ever take away."""
    return [file for file in (checkout.folder / "results/toy").rglob(".*.tmp") if file.is_file()]


def test_kills_at_random_moments_change_no_byte(finished, tmp_path):
    seed = time.time_ns()
    print("seed", seed)
    rng, n_killed, round_ = np.random.default_rng(seed), 0, 0
    while n_killed < N_KILLS:
        round_ += 1
        checkout = make_checkout(tmp_path / str(round_) / "ace")
        pause_s = min(seconds_of(finished) / (1.5 * N_KILLS), LONGEST_PAUSE_S)
        n_killed = kill_and_go_on(checkout, pause_s, rng, n_killed)
        assert_same_tables(checkout, finished)
        assert left_over(checkout) == []


@pytest.fixture
def at_training(finished, tmp_path):
    """A checkout in which everything before the trainings stands, and the files of one of them."""
    checkout = copy_of(finished, tmp_path / "ace", "preprocess", "embed", "factor", "refine")
    return checkout, ("--", f"results/toy/{RUN}/best.safetensors")


def test_snakemake_that_was_killed_says_how_to_go_on_and_goes_on(at_training, finished):
    checkout, target = at_training
    process = start(checkout, *target)
    wait_for_step(process)
    kill_all(process)
    assert "--unlock" in refused(checkout, *target)
    unlock(checkout)
    finish(checkout, start(checkout, *target))
    assert_same_tables(checkout, finished, under=RUN)


def test_a_second_snakemake_in_the_folder_is_refused_and_harms_nothing(at_training, finished):
    checkout, target = at_training
    first = start(checkout, *target)
    wait_for_step(first)
    psutil.Process(first.pid).suspend()  # so that it is still there when the second has spoken
    before = tables_of(checkout).keys()
    said = refused(checkout, *target)
    assert "Directory cannot be locked" in said
    assert "--unlock" in said
    assert before <= tables_of(checkout).keys()
    psutil.Process(first.pid).resume()
    finish(checkout, first)
    assert_same_tables(checkout, finished, under=RUN)


def test_a_table_harmed_between_stages_stops_the_run_and_its_deletion_mends_it(finished, tmp_path):
    checkout = copy_of(finished, tmp_path / "ace", "preprocess", "embed")
    target = ("--", "results/toy/factor/toy/toy/factor.safetensors")
    victim = checkout.folder / VECTORS
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 16
    victim.write_bytes(content)
    line = f"{VECTORS}: damaged, its checksum differs; delete it and run again."
    assert line in refused(checkout, *target)
    victim.unlink()
    finish(checkout, start(checkout, *target))
    assert_same_tables(checkout, finished, under="factor")
