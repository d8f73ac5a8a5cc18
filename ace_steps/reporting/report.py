"""A whole report as a page of chapters, and the small table for the end of a run."""

from ace_steps.config import grid
from ace_steps.evaluation.metrics import CUTOFFS
from ace_steps.reporting.artifacts import Artifacts
from ace_steps.reporting.cold_items import cold_section
from ace_steps.reporting.data import data_section
from ace_steps.reporting.differences import difference_section, slice_blocks
from ace_steps.reporting.geometry import geometry_figure, geometry_section
from ace_steps.reporting.grids import grid_blocks
from ace_steps.reporting.page import Page, Section, Table
from ace_steps.reporting.plots import Looks, styles
from ace_steps.reporting.provenance import cost_section, missing_section, run_section
from ace_steps.reporting.scores import (
    HEADLINE,
    METRICS,
    Setup,
    result_section,
    score_table,
    selection_metric,
    setups,
)
from ace_steps.reporting.training import training_blocks


def build(artifacts: Artifacts) -> Page:
    """The report of a configuration's runs."""
    all_setups = setups(artifacts.runs, artifacts.metrics, artifacts.config)
    looks = styles(grid.expand(artifacts.config["refinements"]))
    sections = [
        result_section(artifacts, all_setups),
        difference_section(artifacts, all_setups),
        run_section(artifacts),
        data_section(artifacts),
        geometry_section(artifacts, looks),
        recommendation_section(artifacts, all_setups, looks),
        cold_section(artifacts, all_setups),
        cost_section(artifacts),
        missing_section(artifacts.missing, artifacts.folder),
    ]
    kinds = ("datasets", "encoders", "backbones")
    subtitle = " · ".join(", ".join(artifacts.config[kind]) for kind in kinds)
    title = "Refined item vectors in sequential recommendation"
    return Page(title, subtitle, [section for section in sections if section])


def recommendation_section(artifacts: Artifacts, setups: list[Setup], looks: Looks) -> Section:
    """Grids, geometry, slices, training and all metrics, a part for each setup."""
    section = Section("Recommendation", "recommendation")
    for setup in setups:
        present = set(setup.points["refinement"])
        shown = {name: look for name, look in looks.items() if name in present}
        blocks = [
            *grid_blocks(artifacts, setup, shown),
            geometry_figure(artifacts, setup, shown),
            *slice_blocks(artifacts, setup, shown),
            *training_blocks(artifacts, setup, shown),
            _all_metrics(artifacts, setup, "valid", "validation"),
            _all_metrics(artifacts, setup, "test", "test"),
        ]
        blocks = [block for block in blocks if block]
        section.parts.append(Section(setup.title, setup.anchor("scores"), blocks))
    return section


def _all_metrics(artifacts: Artifacts, setup: Setup, split: str, name: str) -> Table:
    """Every metric at every cutoff of the chosen grid points, folded."""
    return score_table(
        setup,
        setup.chosen,
        [(split, metric, cutoff) for metric in METRICS for cutoff in CUTOFFS],
        caption=f"All metrics on the {name} targets, {setup.title}.",
        source=f"{artifacts.folder}/report/metrics.parquet",
        is_folded=True,
    )


def plain_summary(artifacts: Artifacts, report: str) -> str:
    """A few lines for a terminal: the chosen grid points on test, and the path of the report."""
    all_setups = setups(artifacts.runs, artifacts.metrics, artifacts.config)
    tables = [_plain_table(setup, artifacts.config) for setup in all_setups]
    return "\n\n".join([*tables, f"Report: {report}"]) + "\n"


def _plain_table(setup: Setup, config: dict) -> str:
    """Fixed-width columns; a star at the best of each."""
    columns = [("valid", *selection_metric(config)), *(("test", *pair) for pair in HEADLINE)]
    table = score_table(setup, setup.chosen, columns, caption="", source="")
    n_names = len(table.heads) - len(columns)
    lines = [["refinement", *table.heads[n_names:]]]
    for row in table.rows:
        names = " / ".join(cell.text for cell in row[:n_names] if cell.text)
        lines.append([names, *(c.text + ("*" if c.mark == "best" else " ") for c in row[n_names:])])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = []
    for first, *rest in lines:
        cells = (text.rjust(width) for text, width in zip(rest, widths[1:], strict=True))
        padded.append("  ".join([first.ljust(widths[0]), *cells]))
    rule = "-" * len(padded[0])
    seeds = ", ".join(map(str, config["seeds"]))
    head = f"{setup.title}, seed {seeds}: grid points chosen on validation; * best of a column"
    return "\n".join([head, padded[0], rule, *(line.rstrip() for line in padded[1:])])
