"""The profiles: each plans, GPU jobs ask for one GPU, other jobs for none; requests grow."""

import re
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tests.workflow.conftest import make_checkout

PROFILES = ("default", "gpu", "slurm")  # kubernetes: tests/cluster, which installs its plugin
SETTINGS = {
    path.parent.name: yaml.safe_load(path.read_text())
    for path in (ROOT / "workflow/profiles").glob("*/config.yaml")
}
BODIES = dict(
    pair
    for file in sorted((ROOT / "workflow/rules").glob("*.smk"))
    for pair in re.findall(
        r"^(?:rule|checkpoint) (\w+):\n(.*?)(?=^\S|\Z)", file.read_text(), re.M | re.S
    )
)
USE_DEVICE = {name for name, body in BODIES.items() if "--device {resources.device}" in body}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return make_checkout(tmp_path_factory.mktemp("profiles") / "ace")


@pytest.fixture(scope="module")
def planned(checkout):
    """What a dry run prints of each job's resources, by profile and rule."""

    def plan(profile):
        done = checkout.snakemake(
            "-p", "--dry-run", "--workflow-profile", f"workflow/profiles/{profile}"
        )
        assert done.returncode == 0, done.stdout + done.stderr
        text = done.stdout + done.stderr
        return dict(re.findall(r"rule (\w+):\n(?: +\w+: .*\n)*? +resources: (.*)", text))

    return {profile: plan(profile) for profile in PROFILES}


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_plans_every_stage(planned, profile):
    assert {"embed_items", "train_backbone", "write_report"} <= planned[profile].keys()


@pytest.mark.parametrize("profile", PROFILES)
def test_a_gpu_job_asks_for_one_gpu_and_no_other_job_for_any(planned, profile):
    for rule, resources in planned[profile].items():
        requested = re.findall(r"gpu=(\d+)", resources)
        assert requested == (["1"] if "device=cuda" in resources else []), rule
        assert ("device=" in resources) == (rule in USE_DEVICE), rule


@pytest.mark.parametrize("profile", SETTINGS)
def test_gpus_are_given_to_steps_that_can_use_one(profile):
    given = SETTINGS[profile].get("set-resources", {})
    assert {rule for rule, each in given.items() if "gpu" in each} <= USE_DEVICE
    assert (profile == "default") == (not given)


@pytest.mark.parametrize("profile", ["slurm", "kubernetes"])
def test_where_nodes_are_shared_a_step_without_a_gpu_of_its_own_looks_for_none(profile):
    given = SETTINGS[profile]["set-resources"]
    assert given.keys() == USE_DEVICE
    assert {each["device"] for each in given.values() if "gpu" not in each} <= {"cpu"}


@pytest.mark.parametrize("profile", SETTINGS)
def test_every_profile_says_what_it_needs_and_names_every_scatter(profile):
    assert "# Needs: " in (ROOT / f"workflow/profiles/{profile}/config.yaml").read_text()
    counts = [entry.partition("=")[0] for entry in SETTINGS[profile]["set-scatter"]]
    assert counts == re.findall(r"^    (\w+)=\d+,$", (ROOT / "Snakefile").read_text(), re.M)


def test_a_step_that_was_promised_a_gpu_and_has_none_fails_at_once(checkout):
    done = checkout.snakemake(
        *("--set-resources", "embed_items:device=cuda", "--"),
        "results/toy/embed/toy/toy/shards/1-of-2.parquet",
    )
    assert done.returncode == 1
    assert "device 'cuda': expected a GPU" in done.stdout + done.stderr


class Inputs(list):
    """The input files of a job, of which some may lie in a storage."""

    size_mb = 100


class Input(str):
    is_storage = False


class Stored(str):
    is_storage = True


def test_memory_and_time_grow_with_the_data_and_the_attempt(tmp_path):
    names = {}
    exec((ROOT / "workflow/rules/resources.smk").read_text(), names)
    memory, minutes = names["growing_mb"](1000, per_input=4), names["growing_minutes"](60)
    file = Input(tmp_path / "file")
    with Path(file).open("wb") as sparse:
        sparse.truncate(125 * 2**20)
    assert memory(None, Inputs(), attempt=1) == 1000
    assert memory(None, Inputs([file, file]), attempt=1) == 2000
    assert memory(None, Inputs([file, file]), attempt=3) == 6000
    assert memory(None, Inputs([Stored("x")]), attempt=1) == 1400
    with pytest.raises(FileNotFoundError):  # which a plan shows as not known yet
        memory(None, Inputs([Input("none")]), attempt=1)
    assert (minutes(None, attempt=1), minutes(None, attempt=2)) == (60, 120)


GROWING = sorted(
    BODIES.keys() - {"fetch_dataset", "fetch_encoder", "write_config"}
)  # which stream what they get


@pytest.mark.parametrize("rule", GROWING)
def test_what_depends_on_the_data_asks_by_its_size(rule):
    assert re.search(r"mem_mb=growing_mb\(", BODIES[rule])
    assert re.search(r"runtime=growing_minutes\(", BODIES[rule])
