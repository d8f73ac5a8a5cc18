"""The toy workflow through a real Slurm, and what happens there to jobs, nodes and controller."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cluster import slurm
from tests.cluster.conftest import PATIENCE_S, make_small
from tests.workflow.same import assert_same_tables, copy_of

WITH_GPU = ("embed_items", "train_backbone", "rank_targets")  # by the profile
SCATTERED = ("embed_items", "gram_vectors", "rank_targets")
N_SHARDS = 2  # of each stage that has some; on one core there is one
SHARDS = [f"results/toy/factor/toy/toy/shards/{number}-of-2.safetensors" for number in (1, 2)]
FOLDER = "factor/toy/toy/shards"  # of the shards that the faults happen to


def command(*options):
    """Snakemake with the profile as it is, but for what this machine is too small for."""
    return [
        *(sys.executable, str(slurm.HERE / "often.py")),
        *("--workflow-profile", "workflow/profiles/slurm"),
        *("--configfile", "workflow/config/toy.yaml"),
        *("--set-scatter", "embed=2", "gram=2", "rank=2"),
        *("--set-threads", *(f"{rule}=1" for rule in (*WITH_GPU, "refine_vectors"))),
        *("--group-components", "points=2", "ranks=2"),
        *("--latency-wait", "10"),
        *options,
    ]


def without_real_gpus(checkout):
    """Let Slurm hand out its nodes' GPUs, which are not real, and the steps use the CPU."""
    checkout.edit("workflow/profiles/slurm/config.yaml", "device: cuda", "device: cpu")
    return checkout


def start(checkout, cluster, *options, forks=None):
    """Snakemake on its way; what it prints goes to a file beside the checkout."""
    with (checkout.folder.parent / "printed.txt").open("a") as printed:
        return subprocess.Popen(
            command(*options),
            cwd=checkout.folder,
            env=checkout.environment() | slurm_names(cluster, forks),
            stdout=printed,
            stderr=subprocess.STDOUT,
        )


def slurm_names(cluster, forks):
    """What a job needs to find this cluster, and the programs that it needs to find."""
    environment = cluster.environment()
    names = {name: environment[name] for name in ("SLURM_CONF", "ACE_SLURM_CONF")}
    python = forks / "python" if forks else sys.executable
    shims, interpreter = slurm.HERE / "shims", Path(python).parent
    names["ACE_TEST_PYTHON"] = str(python)
    return names | {"PATH": f"{shims}:{interpreter}:{environment['PATH']}"}


def printed(checkout):
    return (checkout.folder.parent / "printed.txt").read_text()


def finish(checkout, process):
    try:
        assert process.wait(timeout=PATIENCE_S) == 0, printed(checkout)
    finally:
        process.kill()


@pytest.fixture(scope="session")  # as one_core is, which would else be waited for before this runs
def through_slurm(begun_on_one_core, cluster, forks, tmp_path_factory):
    checkout = without_real_gpus(make_small(tmp_path_factory.mktemp("slurm") / "ace"))
    finish(checkout, start(checkout, cluster, forks=forks))
    return checkout


def test_the_tables_are_those_of_one_core_with_another_number_of_shards(through_slurm, one_core):
    assert_same_tables(through_slurm, one_core, without="shards")


def jobs_of(cluster, checkout, rule):
    """The jobs that Slurm ran for one rule of a checkout, or for all, the oldest first."""
    return [
        job
        for job in cluster.jobs()
        if job["WorkDir"] == str(checkout.folder) and job["Comment"].startswith(f"rule_{rule}")
    ]


def test_the_shards_ran_on_both_nodes(through_slurm, cluster):
    for rule in SCATTERED:
        nodes = {job["NodeList"] for job in jobs_of(cluster, through_slurm, rule)}
        assert nodes == set(slurm.NODES), rule


def test_a_gpu_job_had_one_gpu_and_no_other_job_had_any(through_slurm, cluster):
    with_gpu = {job["JobId"] for rule in WITH_GPU for job in jobs_of(cluster, through_slurm, rule)}
    n_runs = len(list(through_slurm.folder.glob("results/toy/train/**/best.safetensors")))
    assert len(with_gpu) == N_SHARDS + n_runs * (1 + N_SHARDS)  # embedding; training and ranking
    for job in jobs_of(cluster, through_slurm, ""):
        assert job.get("TresPerJob") == ("gres:gpu:1" if job["JobId"] in with_gpu else None), job


@pytest.fixture
def summing(through_slurm, cluster, tmp_path):
    """A checkout that stands before the Gram matrix, whose shards are sent to Slurm."""
    checkout = copy_of(through_slurm, tmp_path / "ace", "preprocess", "embed")
    process = start(checkout, cluster, "--", *SHARDS)
    yield checkout, process
    process.kill()
    process.wait()


def running_job(cluster, checkout):
    """Wait until one of the checkout's shards runs; that job."""
    return slurm.wait_until(
        lambda: next(
            (j for j in jobs_of(cluster, checkout, "gram_vectors") if j["JobState"] == "RUNNING"),
            None,
        ),
        "a running job",
    )


def states(cluster, checkout):
    return [job["JobState"] for job in jobs_of(cluster, checkout, "gram_vectors")]


def test_a_job_that_is_cancelled_is_sent_again_with_more_memory(summing, through_slurm, cluster):
    checkout, process = summing
    cluster.run("scancel", running_job(cluster, checkout)["JobId"])
    finish(checkout, process)
    jobs = jobs_of(cluster, checkout, "gram_vectors")
    assert sorted(job["JobState"] for job in jobs) == ["CANCELLED", "COMPLETED", "COMPLETED"]
    memory = [int(job["MinMemoryNode"].removesuffix("M")) for job in jobs]
    assert memory[2] > memory[0] == memory[1]
    assert_same_tables(checkout, through_slurm, under=FOLDER)


def test_a_node_that_dies_with_its_job_costs_the_job_alone(summing, through_slurm, cluster):
    checkout, process = summing
    lost = running_job(cluster, checkout)
    node = lost["NodeList"]
    cluster.kill_node(node)
    finish(checkout, process)
    assert_same_tables(checkout, through_slurm, under=FOLDER)
    jobs = jobs_of(cluster, checkout, "gram_vectors")
    *_, last = [job for job in jobs if job["Comment"] == lost["Comment"]]  # the rule and its shard
    assert last["JobState"] == "COMPLETED"
    assert last["NodeList"] != node
    others = [job for job in jobs if job["Comment"] != lost["Comment"]]
    assert [(job["JobState"], job["Restarts"]) for job in others] == [("COMPLETED", "0")]
    cluster.start_node(node)
    slurm.wait_until(lambda: cluster.node_states()[node] == "idle", "the node's return")


def test_a_controller_that_is_restarted_loses_no_job(summing, through_slurm, cluster):
    checkout, process = summing
    slurm.wait_until(lambda: len(cluster.steps()) == len(SHARDS), "both jobs at work")
    cluster.stop_controller()
    time.sleep(3)  # so that Snakemake asks in vain
    cluster.start_controller()
    finish(checkout, process)
    assert states(cluster, checkout) == ["COMPLETED", "COMPLETED"]
    assert_same_tables(checkout, through_slurm, under=FOLDER)


def test_snakemake_that_is_killed_and_started_again_does_not_mind_its_old_jobs(
    summing, through_slurm, cluster
):
    checkout, process = summing
    running_job(cluster, checkout)
    process.kill()
    process.wait()
    again = start(checkout, cluster)  # all of it: its old jobs may end meanwhile, these are not all
    assert again.wait(timeout=PATIENCE_S) == 1
    assert "--unlock" in printed(checkout)
    finish(checkout, start(checkout, cluster, "--unlock"))
    finish(checkout, start(checkout, cluster, "--", *SHARDS))
    assert_same_tables(checkout, through_slurm, under=FOLDER)
