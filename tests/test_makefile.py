"""What ``make`` would do, asked with --dry-run in a folder that holds the Makefile alone."""

import os
import shutil
import subprocess

import pytest

from tests.conftest import ROOT

PYTEST = "python -m pytest -n auto --maxprocesses 4 --dist loadfile"
INSTALL = "pip install"


@pytest.fixture
def folder(tmp_path):
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def planned(folder, *targets):
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    call = ["make", "--dry-run", *targets]
    # The tests are themselves run by make, whose flags are not meant for this one.
    env = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFL"))
    }
    done = subprocess.run(call, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def make_ready(folder, seconds_later=60):
    """An environment that looks installed, that much later than the lock was written."""
    ready = folder / ".venv/.ready"
    ready.parent.mkdir()
    ready.touch()
    then = (folder / "requirements.lock").stat().st_mtime + seconds_later
    os.utime(ready, (then, then))


@pytest.mark.parametrize(("target", "command"), [("demo", "snakemake"), ("test", PYTEST)])
def test_a_fresh_checkout_installs_the_lock_and_then_runs(folder, target, command):
    lines = planned(folder, target)
    installs = [place for place, line in enumerate(lines) if INSTALL in line]
    assert "-r requirements.lock" in lines[installs[0]]
    assert "-e ." in lines[installs[-1]]
    assert lines[-1] == command
    assert installs[-1] < len(lines) - 1


def test_an_installed_environment_is_not_installed_again(folder):
    make_ready(folder)
    assert planned(folder, "demo") == ["snakemake"]


def test_a_newer_lock_is_installed(folder):
    make_ready(folder, seconds_later=-60)
    assert any(INSTALL in line for line in planned(folder, "test"))


def test_check_runs_every_check(folder):
    make_ready(folder)
    assert planned(folder, "check") == [
        "ruff check .",
        "ruff format --check .",
        "snakefmt --check Snakefile workflow",
        "snakemake --lint",
        PYTEST,
    ]


def test_plain_make_is_the_demo(folder):
    make_ready(folder)
    assert planned(folder) == planned(folder, "demo")


def test_clean_leaves_experiments_of_ones_own_and_embedded_texts(folder):
    kept = ["results/shop/config.yaml", "logs/shop/a.log", "resources/vectors/a.parquet"]
    kept += ["shop.yaml", "models/config.json", ".snakemake/metadata/a"]
    gone = ["results/demo/config.yaml", "logs/demo/a.log"]
    for name in kept + gone:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    subprocess.run(["make", "clean"], cwd=folder, check=True, capture_output=True)
    assert [name for name in kept if not (folder / name).exists()] == []
    assert [name for name in gone if (folder / name).exists()] == []
