"""One run that fails leaves the others, and a report on them, whole."""

import pytest

from ace_steps.io import parquet
from ace_steps.io.tables import COMPARISONS, GAPS, RUNS
from tests.workflow.conftest import SASREC, make_checkout

BROKEN = "unreachable"  # no lambda gives these vectors this geometry, which nobody can know before
ENTRY = f"  {BROKEN}: {{method: ace, target: {{mean_cosine: -0.9}}}}\n"


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    """A checkout whose run went on after one refinement could not be made."""
    checkout = make_checkout(tmp_path_factory.mktemp("failed") / "ace")
    checkout.edit("workflow/config/toy.yaml", "refinements:\n", f"refinements:\n{ENTRY}")
    done = checkout.snakemake("--keep-going")
    assert done.returncode == 1, done.stdout + done.stderr
    return checkout


def test_the_other_cells_go_on_to_all_seeds(failed):
    ranks = sorted((failed.folder / "results/toy/rank/toy/toy").glob(f"*/{SASREC}/2/ranks.parquet"))
    assert len(ranks) == 2  # random, and the chosen grid point of ace
    assert not (failed.folder / "results/toy/report/metrics.parquet").exists()


def test_a_report_on_what_is_finished_says_what_is_missing_and_why(failed):
    options = ("--config", "report_on=finished")
    jobs = failed.jobs(*options)
    assert not {"train_backbone", "rank_targets", "refine_vectors"} & jobs.keys()
    done = failed.snakemake(*options)
    assert done.returncode == 0, done.stdout + done.stderr
    report = failed.folder / "results/toy/report"
    gaps = parquet.read_table(report / "gaps.parquet", GAPS)
    assert [name.partition("-")[0] for name in gaps["refinement"]] == [BROKEN]
    assert gaps["stage"].to_list() == ["refine_vectors"]
    assert "mean_cosine" in gaps["reason"][0]
    assert BROKEN not in parquet.read_table(report / "runs.parquet", RUNS)["refinement_entry"]
    assert len(parquet.read_table(report / "comparisons.parquet", COMPARISONS)) > 0
    assert BROKEN in (report / "report.html").read_text()
