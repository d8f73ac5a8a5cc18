"""A whole report as a page of sections, and the small table for the end of a run."""

from ace_steps.config import grid
from ace_steps.reporting import wording
from ace_steps.reporting.artifacts import Artifacts
from ace_steps.reporting.background import run_section
from ace_steps.reporting.cold_items import cold_section
from ace_steps.reporting.cost import cost_section
from ace_steps.reporting.data import data_section
from ace_steps.reporting.differences import difference_section
from ace_steps.reporting.figures import styles
from ace_steps.reporting.gaps import missing_section
from ace_steps.reporting.geometry import geometry_section
from ace_steps.reporting.page import Page, numbered
from ace_steps.reporting.recommendation import recommendation_section
from ace_steps.reporting.results import result_section
from ace_steps.reporting.scores import HEADLINE, Setup, score_table, setups


def build(artifacts: Artifacts) -> Page:
    """The report of a configuration's runs."""
    found = setups(artifacts.runs, artifacts.metrics, artifacts.config)
    looks = styles(grid.expand(artifacts.config["refinements"]))
    sections = (
        result_section(artifacts, found),
        difference_section(artifacts),
        run_section(artifacts),
        data_section(artifacts),
        geometry_section(artifacts, looks),
        recommendation_section(artifacts, found, looks),
        cold_section(artifacts, found),
        cost_section(artifacts),
        missing_section(artifacts.missing, artifacts.folder),
    )
    kinds = ("datasets", "encoders", "backbones")
    subtitle = " · ".join(", ".join(artifacts.config[kind]) for kind in kinds)
    title = "Refined item vectors in sequential recommendation"
    return numbered(Page(title, subtitle, tuple(filter(None, sections))))


def plain_summary(artifacts: Artifacts, report: str) -> str:
    """A few lines for a terminal: the chosen points on test, and where the report is.

    Args:
        artifacts: What to sum up.
        report: Path of the report as it is to be shown.
    """
    found = setups(artifacts.runs, artifacts.metrics, artifacts.config)
    tables = [_plain_table(setup, artifacts.config) for setup in found]
    return "\n\n".join([*tables, f"Report: {report}"]) + "\n"


def _plain_table(setup: Setup, config: dict) -> str:
    """Fixed-width columns; a star at the best of each."""
    selection = (config["selection"]["metric"], config["selection"]["cutoff"])
    columns = [("valid", *selection), *(("test", *metric) for metric in HEADLINE)]
    table = score_table(setup, setup.chosen, columns, caption="", source="")
    heads = ["refinement", *(f"{split} {wording.metric(*rest)}" for split, *rest in columns)]
    lines = [heads]
    for row in table.rows:
        texts = [cell.text + ("*" if cell.mark == "best" else " ") for cell in row[-len(columns) :]]
        lines.append([" / ".join(cell.text for cell in row[: -len(columns)] if cell.text), *texts])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = [
        "  ".join(
            [first.ljust(widths[0]), *(t.rjust(w) for t, w in zip(rest, widths[1:], strict=True))]
        )
        for first, *rest in lines
    ]
    rule = "-" * len(padded[0])
    seeds = ", ".join(map(str, config["seeds"]))
    head = f"{setup.title}, seed {seeds}: points chosen on validation; * best of a column"
    return "\n".join([head, padded[0], rule, *(line.rstrip() for line in padded[1:])])
