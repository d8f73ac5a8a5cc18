"""The workflow as a module of another one, from that one's folder."""

import shutil
import subprocess

import numpy as np
import pytest

from ace_steps.io.vectors import read_vectors
from tests.workflow.conftest import ACE_5, RESULTS
from tests.workflow.same import tables_of

OUTER = """
configfile: "shop.yaml"


module ace:
    snakefile:
        "{checkout}/Snakefile"
    config:
        config


use rule * from ace{renamed}


rule copy_report:
    input:
        "results/toy/report/report.html",
    output:
        "copy.html",
    shell:
        "cp {{input}} {{output}}"
"""


@pytest.fixture
def run(finished, tmp_path):
    """Snakemake in another workflow's folder, with the rules' names as they are or renamed."""
    config = (finished.folder / "workflow/config/toy.yaml").read_text()
    config = config.replace("data/toy/", f"{finished.folder}/data/toy/")
    (tmp_path / "shop.yaml").write_text(config)

    def snakemake(renamed, *options):
        text = OUTER.format(checkout=finished.folder, renamed=renamed)
        (tmp_path / "Snakefile").write_text(text)
        done = subprocess.run(
            ["python", "-m", "snakemake", "--cores=2", *options],
            cwd=tmp_path,
            env=finished.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return snakemake


def test_its_rules_run_from_another_workflows_folder(run, finished, tmp_path):
    target = f"{RESULTS}/refine/toy/toy/{ACE_5}/item_vectors.parquet"
    run("", "--", target)
    made, known = (read_vectors(folder / target) for folder in (tmp_path, finished.folder))
    assert made.ids.equals(known.ids)
    np.testing.assert_array_equal(made.matrix, known.matrix)


def test_it_plans_to_its_report_with_every_rule_renamed(run):
    said = run(" as ace_*", "-p", "--dry-run", "--", "copy.html")
    for rule in ("ace_write_config", "ace_embed_items", "ace_select_points", "copy_report"):
        assert rule in said


def test_another_working_directory_is_the_folder_of_its_results(finished, tmp_path):
    config = (finished.folder / "workflow/config/toy.yaml").read_text()
    (tmp_path / "toy.yaml").write_text(config.replace("data/toy/", f"{finished.folder}/data/toy/"))
    before = tables_of(finished)
    done = finished.snakemake(
        *("--directory", str(tmp_path), "--configfile", str(tmp_path / "toy.yaml")),
        *("--", f"{RESULTS}/preprocess/toy/items.parquet"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / RESULTS / "preprocess/toy/items.parquet").is_file()
    assert tables_of(finished) == before


def test_it_is_fetched_from_a_repository_file_by_file(run, finished, tmp_path):
    """Beside an installed package; the repository's address leads to a folder here."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    repository = tmp_path / "repository"
    parts = ("Snakefile", "workflow", "data", "environment.yml")
    for part in parts:
        source = finished.folder / part
        copy = shutil.copytree if source.is_dir() else shutil.copy2
        repository.mkdir(exist_ok=True)
        copy(source, repository / part)
    name = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    for command in (("init", "-q"), ("add", "."), (*name, "commit", "-q", "-m", "all")):
        subprocess.run(["git", *command], cwd=repository, check=True)
    head = ["git", "rev-parse", "HEAD"]
    commit = subprocess.run(head, cwd=repository, check=True, capture_output=True, text=True)
    run("", "--dry-run", "--", f"{RESULTS}/config.yaml")  # writes the outer workflow
    outer = (tmp_path / "Snakefile").read_text()
    there = f'github("own/ace", path="Snakefile", commit="{commit.stdout.strip()}")'
    (tmp_path / "Snakefile").write_text(outer.replace(f'"{finished.folder}/Snakefile"', there))
    redirect = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{repository}.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/own/ace",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    done = subprocess.run(
        ["python", "-m", "snakemake", "--cores=1", f"{RESULTS}/preprocess/toy/items.parquet"],
        cwd=tmp_path,
        env=finished.environment() | redirect,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / RESULTS / "preprocess/toy/items.parquet").is_file()
