"""A report of what a run with failed jobs leaves: whole in everything that is there."""

import re
from dataclasses import replace

import polars as pl
import pytest

from ace_steps.io.tables import RUN
from ace_steps.reporting.artifacts import Artifacts
from ace_steps.reporting.page import figures_of, markdown
from ace_steps.reporting.report import build
from tests.reporting.made_grid import paper_artifacts, paper_config


@pytest.fixture(scope="module")
def whole():
    return paper_artifacts(paper_config(("beauty",), ("smollm2",), ("sasrec",)))


def without(artifacts: Artifacts, is_lost: pl.Expr) -> Artifacts:
    """The artifacts of the runs that were not lost."""
    runs = artifacts.runs.filter(~is_lost)
    kept = {
        name: getattr(artifacts, name).join(runs, on=RUN, how="semi")
        for name in ("metrics", "curves")
    }
    return replace(artifacts, runs=runs, **kept)


def kinds_of(artifacts: Artifacts) -> set[str]:
    page = build(artifacts)
    text = markdown(page, "").replace("the loss is nan", "")
    assert not re.search(r"\b(nan|NaN|None)\b", text)
    return {figure.file.split("/")[0] for figure in figures_of(page)}


def test_a_refinement_that_failed_altogether_leaves_every_figure_of_the_others(whole):
    lost = without(whole, pl.col("refinement_entry") == "llmemb")
    figures = {"data", "spectra", "grid", "grid_test", "geometry", "differences", "slices"}
    figures |= {"curves", "cost"}
    assert kinds_of(lost) == figures


def test_a_first_seed_that_failed_leaves_the_scores_of_the_others(whole):
    found = kinds_of(without(whole, pl.col("seed") == 1))
    assert {"data", "spectra", "slices", "cost"} <= found
    assert not found & {"grid", "grid_test", "geometry", "curves"}


def test_without_the_baseline_gains_are_not_drawn_but_scores_are_told(whole):
    lost = without(whole, pl.col("refinement_entry") == "random")
    assert "slices" not in kinds_of(lost)
    text = markdown(build(lost), "")
    assert "Test scores by slice" in text
    assert "change against random init" not in text
