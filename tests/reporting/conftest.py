"""One browser, and one report to look at in it."""

import pytest

from tests.browser import Browser, find_chromium
from tests.reporting.made_report import make, write


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium: `apt-get install chromium`, or name one in $CHROMIUM")
    with Browser(chromium, tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture(scope="session")
def report(tmp_path_factory):
    """A report with every kind of block in it, of a run that lost an artifact and a job."""
    folder = tmp_path_factory.mktemp("browsed")
    make(folder)
    lost = "train/shop/small/random/sasrec/1"
    (folder / "results" / lost / "training_curve.parquet").unlink()
    log = folder / "logs" / lost.replace("train", "train_backbone", 1)
    log.parent.mkdir(parents=True)
    log.with_suffix(".log").write_text("epoch 1\nthe loss is nan at epoch 2; lower lr.\n")
    assert write(folder) == 0
    return folder / "results" / "report" / "report.html"
