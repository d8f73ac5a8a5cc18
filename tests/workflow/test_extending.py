"""docs/extending.md, followed word for word in a copy of the repository, and run."""

import json
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from ace_steps.io import parquet
from ace_steps.io.tables import RANKS
from tests.conftest import ROOT
from tests.workflow.conftest import Checkout

PAGE = (ROOT / "docs/extending.md").read_text()


def blocks(language):
    """Each code block with the last line of text before it."""
    return re.findall(rf"^(\S[^\n]*)\n\n```{language}\n(.*?)```", PAGE, re.M | re.S)


@pytest.fixture(scope="module")
def extended(finished, tmp_path_factory):
    """The finished toy checkout after everything on the page was done."""
    folder = tmp_path_factory.mktemp("extended") / "ace"
    shutil.copytree(finished.folder, folder, symlinks=True)
    for before, code in blocks("python"):
        name = re.search(r"`([\w/]+\.py)`:$", before)[1]
        kind = re.search(r"^In `(\w+)` of", before)
        if kind is None:
            (folder / name).write_text(code)
        else:
            head = f"{kind[1]} = {{\n"
            text = (folder / name).read_text()
            assert text.count(head) == 1
            (folder / name).write_text(text.replace(head, head + code))
    (folder / "docs").mkdir(exist_ok=True)
    shutil.copy(ROOT / "docs/configuration.md", folder / "docs")
    (entry,) = [code for before, code in blocks("yaml") if "data/encoders.yaml" in before]
    with (folder / "data/encoders.yaml").open("a") as registry:
        registry.write(entry)
    return Checkout(folder)


def test_no_run_of_before_is_planned_again(extended):
    done = extended.snakemake("--dry-run")
    assert "Nothing to be done" in done.stdout + done.stderr


def test_the_reference_can_be_made_of_it(extended):
    command = [sys.executable, "-m", "ace_steps.config.reference"]
    done = subprocess.run(command, cwd=extended.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (extended.folder / "docs/configuration.md").read_text()
    for word in ("ceiling", "running_mean", "clicks"):
        assert word in page


def test_the_code_of_the_page_passes_the_linter(extended):
    options = ["--no-cache", "--config", str(ROOT / "pyproject.toml")]
    for command in ("check", "format"):
        call = ["ruff", command, *options, *(["--check"] if command == "format" else [])]
        done = subprocess.run(
            [*call, "ace_steps"], cwd=extended.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout


def test_all_four_run_to_ranks(extended):
    config = yaml.safe_load(next(code for _, code in blocks("yaml") if "clipped" in code))
    clicks, products = [], []
    for line in (extended.folder / "data/toy/toy.inter").read_text().splitlines()[1:]:
        user, item, time = line.split("\t")
        clicks.append({"visitor": user, "product": item, "seconds": float(time)})
    for line in (extended.folder / "data/toy/toy.item").read_text().splitlines()[1:]:
        products.append({"id": line.split("\t")[0], "name": line.split("\t")[1]})
    for name, rows in (("clicks", clicks), ("products", products)):
        lines = "".join(f"{json.dumps(row)}\n" for row in rows)
        (extended.folder / f"{name}.jsonl").write_text(lines)
    (extended.folder / "mine.yaml").write_text(yaml.safe_dump(config))
    run = "shop/toy-last/clipped-dim_16-ceiling_2/running_mean-batch_size_8-epochs_2/1"
    target = f"results/mine/rank/{run}/ranks.parquet"
    done = extended.snakemake("--configfile", "mine.yaml", "--", target)
    assert done.returncode == 0, done.stdout + done.stderr
    ranks = parquet.read_table(extended.folder / target, RANKS)
    assert len(ranks) == 2 * 40  # validation and test item of every user
    assert ranks["rank"].is_between(1, 24).all()
