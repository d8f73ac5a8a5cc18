"""A report of what a run with failed jobs leaves: whole in everything that is there."""

import re
from dataclasses import replace

import polars as pl
import pytest

from ace_steps.io.tables import RUN
from ace_steps.reporting.page import FIGURE_KINDS, Figure, markdown
from ace_steps.reporting.report import build
from tests.reporting.made_report import draw_nothing

ENTRY, KINDS = pl.col("refinement_entry"), set(FIGURE_KINDS)
LOST = {
    "a refinement that failed altogether": (ENTRY == "whitening", KINDS),
    "the baseline": (ENTRY == "random", KINDS - {"slices"}),
    "the first seed": (pl.col("seed") == 1, KINDS - {"grid", "grid_test", "geometry", "curves"}),
}


@pytest.mark.parametrize(("is_lost", "kinds"), LOST.values(), ids=LOST)
def test_what_is_lost_leaves_every_figure_of_the_others(artifacts, monkeypatch, is_lost, kinds):
    draw_nothing(monkeypatch)
    second_seed = [
        pl.concat([table, table.with_columns(pl.lit(2, table.schema["seed"]).alias("seed"))])
        for table in (artifacts.runs, artifacts.metrics, artifacts.curves)
    ]
    runs = second_seed[0].filter(~is_lost)
    metrics, curves = (table.join(runs, on=RUN, how="semi") for table in second_seed[1:])
    page = build(replace(artifacts, runs=runs, metrics=metrics, curves=curves))
    assert {figure.file.split("/")[0] for figure in page.blocks(Figure)} == kinds
    text = markdown(page, "")
    assert not re.search(r"\b(nan|NaN|None)\b", text)
    assert "Test scores by slice" in text
