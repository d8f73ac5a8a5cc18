"""The chapter on comparisons: which differences are more than chance, as forest plots."""

from dataclasses import replace

import polars as pl
from matplotlib.axes import Axes

from ace_steps.reporting import formatting
from ace_steps.reporting.artifacts import Artifacts
from ace_steps.reporting.page import (
    FOLDED_FROM,
    Block,
    Figure,
    Section,
    Table,
    TableCell,
    Text,
    value_cell,
)
from ace_steps.reporting.plots import MUTED, PANEL_INCHES, SINGLES, Panel, Style, plot
from ace_steps.reporting.scores import NOT_SIGNIFICANT, SETUP, Setup, verdict

PAIR = ("refinement_a", "refinement_b")
LOOKS = {
    "better": Style("significantly better", SINGLES[-1], "-", "^"),
    "worse": Style("significantly worse", SINGLES[-2], "-", "v"),
    NOT_SIGNIFICANT: Style(NOT_SIGNIFICANT, SINGLES[0], "-", "o"),
}


def difference_section(artifacts: Artifacts, setups: list[Setup]) -> Section:
    """A forest plot of each setup, verdicts counted over several, and all comparisons."""
    title, anchor = "Differences and chance", "differences"
    compared, statistics = artifacts.comparisons, artifacts.config["statistics"]
    if not len(compared):
        text = "No comparison was found: small differences between rows of a table may be chance."
        return Section(title, anchor, (Text(text),))
    intro = (
        "Differences are paired: the same test user under both refinements, each averaged over "
        f"the seeds. p is corrected after Holm over the {formatting.number(len(compared))} "
        f"comparisons made; below {statistics['alpha']:g} a difference is called significant, "
        f"otherwise nothing is claimed. Intervals are {formatting.share(statistics['confidence'])} "
        "bootstrap intervals over users; test scores were looked at after every choice was made."
    )
    whole = compared.filter(slice="all")
    figures = [
        (setup, forest_figure(artifacts, setup, rows))
        for setup in setups
        if len(rows := whole.filter(**setup.names))
    ]
    table = _comparison_table(artifacts, whole)
    if len(figures) < 2:
        return Section(title, anchor, (Text(intro), *(figure for _, figure in figures), table))
    blocks: tuple[Block, ...] = (Text(intro), _verdict_table(artifacts, whole), table)
    parts = tuple(
        Section(setup.title, setup.anchor("differences"), (figure,)) for setup, figure in figures
    )
    return Section(title, anchor, blocks, parts)


def forest_figure(artifacts: Artifacts, setup: Setup, rows: pl.DataFrame) -> Figure:
    """One setup's rows of ``comparisons`` on one slice, a panel for each metric."""
    alpha = artifacts.config["statistics"]["alpha"]
    metrics = rows.partition_by("metric", "cutoff", as_dict=True, maintain_order=True)
    used = {verdict(row, alpha) for row in rows.to_dicts()}
    columns = [*PAIR, "metric", "cutoff", "difference", "low", "high", "p_holm"]
    return plot(
        f"differences/{setup.path}.svg",
        f"Differences of chosen refinements on all test targets, {setup.title}, with their "
        f"intervals; significant: p after Holm below {alpha:g}.",
        [_forest_panel(table.to_dicts(), alpha) for table in metrics.values()],
        legend=[look for name, look in LOOKS.items() if name in used],
        csv=rows.select(columns).write_csv(float_precision=6),
        source=f"{artifacts.folder}/report/comparisons.parquet",
    )


def _forest_panel(rows: list[dict], alpha: float) -> Panel:
    metric = formatting.metric(rows[0]["metric"], rows[0]["cutoff"])
    labels = [" \N{MINUS SIGN} ".join(formatting.entry(row[key]) for key in PAIR) for row in rows]

    def draw(axes: Axes) -> None:
        axes.axvline(0, color=MUTED, linewidth=0.9)
        for y, row in enumerate(rows):
            look = LOOKS[verdict(row, alpha)]
            axes.plot([row["low"], row["high"]], [y, y], color=look.color, linewidth=1.6)
            axes.plot(row["difference"], y, marker=look.marker, color=look.color, markersize=7)
        axes.set_yticks(range(len(rows)), labels)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        axes.set(xlabel=f"difference of {metric}")

    spoken = "; ".join(
        f"{label} {formatting.signed(row['difference'])}, interval {formatting.signed(row['low'])} "
        f"to {formatting.signed(row['high'])}, {verdict(row, alpha)}"
        for label, row in zip(labels, rows, strict=True)
    )
    height = max(0.6 * PANEL_INCHES[1], 0.8 + 0.26 * len(rows))
    return Panel(metric, f"Forest plot of differences. {spoken}.", draw, height)


def _verdict_table(artifacts: Artifacts, rows: pl.DataFrame) -> Table:
    """In how many setups one refinement is better than another, by metric."""
    alpha = artifacts.config["statistics"]["alpha"]
    keys = [*PAIR, "metric", "cutoff"]
    cells = []
    for (a, b, *pair), group in rows.group_by(keys, maintain_order=True):
        verdicts = [verdict(row, alpha) for row in group.to_dicts()]
        median = group["relative"].drop_nans().median()
        cells.append(
            (
                *(TableCell(formatting.entry(name)) for name in (a, b)),
                TableCell(formatting.metric(*pair)),
                value_cell(len(verdicts)),
                *(value_cell(verdicts.count(kind)) for kind in LOOKS),
                TableCell(formatting.change(median) or formatting.MISSING, median),
            )
        )
    heads = ("refinement", "against", "metric", "setups", *LOOKS, "median change")
    caption = "In how many setups a refinement differs significantly on all test targets."
    return Table(caption, heads, tuple(cells), f"{artifacts.folder}/report/comparisons.parquet")


def _comparison_table(artifacts: Artifacts, rows: pl.DataFrame) -> Table:
    """Every comparison on all test targets."""
    has_setups = rows.select(SETUP).n_unique() > 1
    alpha = artifacts.config["statistics"]["alpha"]
    cells = []
    for row in rows.to_dicts():
        interval = f"{formatting.signed(row['low'])} to {formatting.signed(row['high'])}"
        change = formatting.change(row["relative"])
        row_verdict = verdict(row, alpha)
        cells.append(
            (
                *[TableCell(" · ".join(row[key] for key in SETUP))] * has_setups,
                *(TableCell(formatting.entry(row[key])) for key in PAIR),
                TableCell(formatting.metric(row["metric"], row["cutoff"])),
                *(value_cell(row[key], formatting.score) for key in ("mean_a", "mean_b")),
                TableCell(formatting.signed(row["difference"]), row["difference"], note=interval),
                TableCell(change, row["relative"]) if change else TableCell(formatting.MISSING),
                replace(
                    value_cell(row["p_holm"], formatting.p_value),
                    note=formatting.p_value(row["p"]),
                ),
                value_cell(row["p_seeds"], formatting.p_value),
                TableCell(formatting.MISSING if row_verdict == NOT_SIGNIFICANT else row_verdict),
            )
        )
    heads = (
        *["setup"] * has_setups,
        *("refinement", "against", "metric", "mean", "other's mean", "difference", "change"),
        *("p after Holm", "p over seeds", "verdict"),
    )
    caption = (
        "Every comparison on all test targets; in small type the interval of the difference and p "
        "before Holm's correction. Those on slices are in the file. p over seeds: t-test of the "
        f"seeds' differences, not corrected. Verdict {formatting.MISSING}: {NOT_SIGNIFICANT}."
    )
    source = f"{artifacts.folder}/report/comparisons.parquet"
    return Table(caption, heads, tuple(cells), source, is_folded=len(cells) >= FOLDED_FROM)
