"""What ``make`` would do, by --dry-run in a folder that holds the Makefile alone."""

import os
import shutil
import subprocess

import pytest

from tests.conftest import ROOT

PYTEST = "python -m pytest -n auto --maxprocesses 4 --dist loadfile"
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def folder(tmp_path):
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def planned(folder, *targets):
    # The tests are themselves run by make, whose flags are not meant for this one.
    env = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFL"))
    }
    call = ["make", "--dry-run", *targets]
    result = subprocess.run(call, cwd=folder, env=env, capture_output=True, text=True, check=True)
    return result.stdout.splitlines()


def make_ready(folder, seconds_later=60):
    """An environment that looks installed, that much later than the lock was written."""
    ready = folder / ".venv/.ready"
    ready.parent.mkdir()
    ready.touch()
    then = (folder / "requirements.lock").stat().st_mtime + seconds_later
    os.utime(ready, (then, then))


@pytest.mark.parametrize(("target", "command"), [("demo", "snakemake"), ("test", PYTEST)])
def test_a_fresh_checkout_or_one_with_a_newer_lock_installs_it_and_then_runs(
    folder, target, command
):
    fresh = planned(folder, target)
    make_ready(folder, seconds_later=-60)
    assert planned(folder, target) == fresh
    installs = [line for line in fresh if "pip install" in line]
    assert "-r requirements.lock" in installs[0]
    assert "-e ." in installs[-1]
    assert fresh[-1] == command


def test_an_installed_environment_runs_the_demo_or_every_check(folder):
    make_ready(folder)
    assert planned(folder) == planned(folder, "demo") == ["snakemake"]
    assert planned(folder, "check") == [
        "ruff check .",
        "ruff format --check .",
        "snakefmt --check Snakefile workflow",
        "snakemake --lint",
        PYTEST,
    ]


def test_clean_leaves_experiments_of_ones_own_and_embedded_texts(folder):
    kept = ["results/shop/config.yaml", "logs/shop/a.log", "resources/vectors/a.parquet"]
    kept += ["shop.yaml", "models/config.json", ".snakemake/metadata/a"]
    gone = ["results/demo/config.yaml", "logs/demo/a.log"]
    for name in kept + gone:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    subprocess.run(["make", "clean"], cwd=folder, check=True, capture_output=True)
    assert [name for name in kept + gone if (folder / name).exists()] == kept
