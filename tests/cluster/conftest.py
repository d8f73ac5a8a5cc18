"""A real Slurm, and what a run through it is compared with: the toy workflow on one core."""

import subprocess
from pathlib import Path

import pytest

from tests.cluster import slurm
from tests.workflow.conftest import Checkout, make_checkout
from tests.workflow.forking import shim

HERE = Path(__file__).parent
PATIENCE_S = 1500  # a machine of two cores may be busy with other things


def pytest_collection_modifyitems(items):
    """Everything here takes minutes or needs a machine of its own."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.cluster)


RANDOM = "  random: {}\n"


def make_small(folder: Path) -> Checkout:
    """A checkout with the toy configuration on one seed and one point of one refinement."""
    checkout = make_checkout(folder)
    checkout.edit("workflow/config/toy.yaml", RANDOM, "")
    checkout.edit("workflow/config/toy.yaml", "lambda: [0, 5]", "lambda: [5]")
    checkout.edit("workflow/config/toy.yaml", "seeds: [1, 2]", "seeds: [1]")
    return checkout


@pytest.fixture(scope="session")
def forks(tmp_path_factory):
    """The folder of a ``python`` that starts in a tenth of a second, for jobs that nobody kills."""
    with shim(tmp_path_factory.mktemp("forks")) as folder:
        yield folder


@pytest.fixture(scope="session")
def begun_on_one_core(tmp_path_factory, forks):
    """A checkout in which the toy workflow runs on one core, beside what runs through Slurm."""
    checkout = make_small(tmp_path_factory.mktemp("one_core") / "ace")
    with (checkout.folder.parent / "printed.txt").open("w") as printed:
        process = subprocess.Popen(
            checkout.command("--cores=1", "--set-scatter", "embed=1", "gram=1", "rank=1"),
            cwd=checkout.folder,
            env=checkout.environment(forks),
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
    yield checkout, process
    process.kill()
    process.wait()


@pytest.fixture(scope="session")
def one_core(begun_on_one_core) -> Checkout:
    """A checkout in which the toy workflow has run on one core; not to be changed by a test."""
    checkout, process = begun_on_one_core
    code = process.wait(timeout=PATIENCE_S)
    assert code == 0, (checkout.folder.parent / "printed.txt").read_text()
    return checkout


@pytest.fixture(scope="session")
def cluster():
    """A real Slurm of two nodes, on this machine."""
    hindrance = slurm.install()
    if hindrance:
        pytest.skip(hindrance)
    with slurm.running() as found:
        yield found
