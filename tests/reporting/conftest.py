"""One finished run, one report of it, and one browser to look at reports in."""

import shutil

import pytest

from ace_steps.reporting.artifacts import read_artifacts
from tests.browser import Browser, find_chromium
from tests.reporting.made_report import CONFIG, make, write


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The folder of a finished run; not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    make(folder)
    return folder


@pytest.fixture(scope="session")
def artifacts(finished):
    return read_artifacts(CONFIG, *(finished / n for n in ("results", "benchmarks", "logs")))


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium: `apt-get install chromium`, or name one in $CHROMIUM")
    with Browser(chromium, tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture(scope="session")
def report(finished, tmp_path_factory):
    """A report with every kind of block in it, of a run that lost an artifact."""
    folder = tmp_path_factory.mktemp("browsed") / "run"
    shutil.copytree(finished, folder)
    (folder / "results/train/shop/small/random/sasrec/1/training_curve.parquet").unlink()
    assert write(folder) == 0
    return folder / "results/report/report.html"
