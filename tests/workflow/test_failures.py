"""One run that fails leaves the others, and a report on them, whole."""

import pytest

from ace_steps import parquet
from ace_steps.tables import COMPARISONS, GAPS, RUNS
from tests.workflow.conftest import make_checkout

BROKEN = "whitenrec_plus"  # its groups do not divide the toy encoder's width


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    """A checkout whose run went on after one refinement could not be made."""
    checkout = make_checkout(tmp_path_factory.mktemp("failed") / "ace")
    entry = f"  {BROKEN}:\n    method: {BROKEN}\n    width: 16\n    gamma: null\n    groups: 3\n"
    checkout.edit("workflow/config/toy.yaml", "refinements:\n", f"refinements:\n{entry}")
    done = checkout.snakemake("--keep-going")
    assert done.returncode == 1, done.stdout + done.stderr
    return checkout


def test_the_other_cells_go_on_to_all_seeds(failed):
    ranks = sorted((failed.folder / "results/rank/toy/toy").glob("*/sasrec/2/ranks.parquet"))
    assert len(ranks) == 2  # random, and the chosen point of ace
    assert not (failed.folder / "results/report/metrics.parquet").exists()


def test_a_report_on_what_is_finished_says_what_is_missing_and_why(failed):
    options = ("--config", "report_on=finished")
    jobs = failed.jobs(*options)
    assert not {"train_backbone", "rank_targets", "refine_vectors"} & jobs.keys()
    done = failed.snakemake(*options)
    assert done.returncode == 0, done.stdout + done.stderr
    report = failed.folder / "results/report"
    gaps = parquet.read_table(report / "gaps.parquet", GAPS)
    assert gaps["refinement"].to_list() == [BROKEN]
    assert gaps["stage"].to_list() == ["refine_vectors"]
    assert "groups" in gaps["reason"][0]
    assert BROKEN not in parquet.read_table(report / "runs.parquet", RUNS)["refinement_entry"]
    assert len(parquet.read_table(report / "comparisons.parquet", COMPARISONS)) > 0
    assert BROKEN in (report / "report.html").read_text()
