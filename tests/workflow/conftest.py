"""A copy of the checkout, in which a test may run and edit."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from tests.conftest import ROOT
from tests.workflow.forking import shim

RESULTS = "results/toy"
RANDOM = "random-dim_16"  # names of the toy experiment's grid points
ACE_5 = "ace-dim_16-lambda_5-gamma_0.1"
SASREC = "sasrec-max_length_6-batch_size_8-epochs_3-patience_3-inner_dim_32"
HEAVY = ("embed_items", "refine_vectors", "train_backbone", "rank_targets")
PARTS = (
    *("Snakefile", "environment.yml", "workflow", "profiles", "ace_steps", "data"),
    "snakemake_logger_plugin_ace",
)


@dataclass(frozen=True)
class Checkout:
    """A copy of the product in a folder of its own."""

    folder: Path
    python_folder: ClassVar[Path] = Path(sys.executable).parent

    def command(self, *options: str) -> list[str]:
        """A Snakemake call with the toy configuration; options may name targets first."""
        config = str(self.folder / "workflow/config/toy.yaml")
        threads = ["--set-threads", *(f"{rule}=1" for rule in HEAVY)]
        scatter = ["--set-scatter", "embed=2", "gram=2", "rank=2"]
        snakemake = ["python", "-m", "snakemake", "--cores=2", *scatter, *threads]
        return [*snakemake, "--configfile", config, *options]

    def environment(self, python_folder: Path | None = None) -> dict[str, str]:
        """This interpreter, or what stands for it, first on the path."""
        first = python_folder or self.python_folder
        path = [first, Path(sys.executable).parent, os.environ["PATH"]]
        return {**os.environ, "PATH": os.pathsep.join(map(str, path))}

    def snakemake(self, *options: str) -> subprocess.CompletedProcess:
        """Run Snakemake to its end."""
        return subprocess.run(
            self.command(*options),
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    def jobs(self, *options: str) -> dict[str, int]:
        """How many jobs of each rule a dry run plans."""
        done = self.snakemake("--dry-run", *options)
        assert done.returncode == 0, done.stdout + done.stderr
        _, _, table = (done.stdout + done.stderr).partition("Job stats:\n")
        rows = (line.split() for line in table.split("\n\n")[0].splitlines()[2:])
        return {name: int(count) for name, count in rows if name != "total"}

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace text in a file of the copy."""
        text = (self.folder / path).read_text()
        assert old in text
        (self.folder / path).write_text(text.replace(old, new))


def make_checkout(folder: Path) -> Checkout:
    """Copy the product."""
    folder.mkdir(parents=True, exist_ok=True)
    ignored = shutil.ignore_patterns("__pycache__")
    for part in PARTS:
        source, target = ROOT / part, folder / part
        if source.is_dir():
            shutil.copytree(source, target, ignore=ignored)
        else:
            shutil.copy2(source, target)
    return Checkout(folder)


@pytest.fixture(scope="session", autouse=True)
def forked_python(tmp_path_factory):
    """Snakemake and the steps start in a tenth of a second; see ``forking``."""
    with shim(tmp_path_factory.mktemp("forking")) as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkout, "python_folder", folder)
        yield


@pytest.fixture
def real_python(monkeypatch):
    """Processes of their own, for a test that kills them or looks at what a terminal shows."""
    monkeypatch.setattr(Checkout, "python_folder", Path(sys.executable).parent)


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Checkout:
    """A checkout in which the toy workflow has run to its end; not to be changed by a test."""
    checkout = make_checkout(tmp_path_factory.mktemp("finished") / "ace")
    done = checkout.snakemake()
    assert done.returncode == 0, done.stdout + done.stderr
    (checkout.folder.parent / "printed.txt").write_text(done.stdout)
    return checkout


@pytest.fixture
def copied(finished, tmp_path) -> Checkout:
    """The finished checkout once more, for a test that edits."""
    shutil.copytree(finished.folder, tmp_path / "ace", symlinks=True)
    return Checkout(tmp_path / "ace")
