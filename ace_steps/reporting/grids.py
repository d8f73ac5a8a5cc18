"""Grids: every grid point on validation, and apart from it what test would say."""

import json
from dataclasses import dataclass, replace

import polars as pl
from matplotlib.axes import Axes

from ace_steps.reporting import formatting, plots
from ace_steps.reporting.artifacts import Artifacts
from ace_steps.reporting.page import FOLDED_FROM, Block, Figure, Text
from ace_steps.reporting.plots import MUTED, RING, Looks, Style
from ace_steps.reporting.scores import Setup, notes_caption, score_table, selection_metric

DRAWN = (("recall", 20), ("ndcg", 20))
TABLE = (("ndcg", 10), ("ndcg", 20), ("recall", 10), ("recall", 20))
LINE_MARKERS = "oP*hp"  # so that lines of one color are told apart
LAMBDAS = ("lambda", "lambda_rel")
SPLITS = {"valid": ("on validation", "-"), "test": ("on test, no part in the choice", ":")}
FOLDERS = {"valid": "grid", "test": "grid_test"}
CAPTIONS = {
    "valid": "Metrics on the validation targets over {key}, seed {seed}, each refinement at its "
    "chosen backbone grid point. The choice was made by {metric}; a ring marks the chosen one.",
    "test": "The same grid points on the test targets, seed {seed}, shown for information: this "
    "curve played no part in the choice. The ring marks the grid point that validation chose.",
}


@dataclass(frozen=True)
class GridLine:
    """A metric along one grid key, everything else fixed.

    Attributes:
        label: The entry and what is fixed, in words.
        marker: Of its values in a figure.
        rows: One row for each value of the key, with it as ``x``.
    """

    label: str
    marker: str
    rows: list[dict]


def grid_blocks(artifacts: Artifacts, setup: Setup, looks: Looks) -> list[Block]:
    """The curves that the choice was made on, the same on test set apart, and every grid point."""
    n_points = pl.struct("refinement", "backbone").n_unique().over("refinement_entry")
    points = setup.points.filter(n_points > 1)
    if not len(points):
        return [Text("No entry holds a grid: nothing had to be chosen.")]
    selection = selection_metric(artifacts.config)
    first_seed = replace(setup, means=setup.first)
    table = score_table(
        first_seed,
        points,
        [("valid", *pair) for pair in dict.fromkeys([selection, *TABLE])],
        caption=f"Every grid point on the validation targets, {setup.title}, seed "
        f"{artifacts.config['seeds'][0]}; marked are those chosen by "
        f"{formatting.metric(*selection)}{notes_caption(first_seed)}.",
        source=f"{artifacts.folder}/report/metrics.parquet and "
        f"{artifacts.folder}/report/selection.parquet",
        is_folded=len(points) >= FOLDED_FROM,
        marks_chosen=True,
    )
    pairs = [*DRAWN] if selection in DRAWN else [selection, *DRAWN]
    figures = [
        _grid_figure(artifacts, setup, looks, "valid", pairs),
        _grid_figure(artifacts, setup, looks, "test", [*DRAWN]),
    ]
    return [*filter(None, figures), table]


def _grid_figure(
    artifacts: Artifacts, setup: Setup, looks: Looks, split: str, pairs: list[tuple[str, int]]
) -> Figure | None:
    """Metrics of one split over the main grid key, each entry at its chosen backbone grid point.

    None where no key holds numbers.
    """
    keys = ["refinement_entry", "backbone"]
    means = setup.first.filter(split=split).join(
        setup.chosen.select(keys), on=keys, how="semi", maintain_order="left"
    )
    tables = [means.filter(metric=metric, cutoff=cutoff) for metric, cutoff in pairs]
    key, lines = grid_lines(tables[0])
    if not key:
        return None
    where, style = SPLITS[split]
    with plots.panels(len(pairs)) as axes:
        for panel, table, pair in zip(axes, tables, pairs, strict=True):
            metric = formatting.metric(*pair)
            draw_grid(panel, table, looks, style)
            panel.set(title=f"{metric} {where}", ylabel=metric)
    on_lines = {row["refinement"] for line in lines for row in line.rows}
    beside = set(tables[0].filter("is_chosen")["refinement"]) - on_lines
    name = formatting.setting(key)
    legend = [Style(f"{line.label} over {name}", MUTED, style, line.marker) for line in lines]
    legend += [look for name, look in looks.items() if name in beside]
    metric = formatting.metric(*selection_metric(artifacts.config))
    columns = ["refinement", "backbone", "is_chosen", "split", "metric", "cutoff", "mean"]
    return plots.finished(
        axes,
        f"{FOLDERS[split]}/{setup.path}.svg",
        CAPTIONS[split].format(key=name, seed=artifacts.config["seeds"][0], metric=metric),
        legend=legend,
        data=pl.concat(tables).select(columns),
        source=f"{artifacts.folder}/report/metrics.parquet",
    )


def grid_lines(means: pl.DataFrame) -> tuple[str, list[GridLine]]:
    """The grids of refinements as lines over their main key: lambda, else that of most values.

    Args:
        means: Means of one metric, one row per grid point, in the runs' order.

    Returns:
        The dotted key and its lines; ``("", [])`` where no refinement has a grid of numbers.
    """
    rows = [row | {"at": json.loads(row["refinement_point"])} for row in means.to_dicts()]
    numbers: dict[str, set[float]] = {}
    for row in rows:
        for key, value in row["at"].items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                numbers.setdefault(key, set()).add(value)
    grids = {key: values for key, values in numbers.items() if len(values) > 1}
    key = max(grids, key=lambda key: (key in LAMBDAS, len(grids[key])), default="")
    groups: dict[str, list[dict]] = {}
    for row in rows:
        if key in row["at"]:
            rest = json.dumps({k: v for k, v in row["at"].items() if k != key})
            fixed = [formatting.values(rest), formatting.values(row["backbone_point"])]
            label = ", ".join([formatting.entry(row["refinement_entry"]), *filter(None, fixed)])
            groups.setdefault(label, []).append(row | {"x": row["at"][key]})
    lines = [
        GridLine(
            label, LINE_MARKERS[i % len(LINE_MARKERS)], sorted(group, key=lambda row: row["x"])
        )
        for i, (label, group) in enumerate(groups.items())
    ]
    return key, lines


def draw_grid(axes: Axes, means: pl.DataFrame, looks: Looks, style: str) -> None:
    """A metric over the main grid key, beside the chosen refinements without it.

    ``means`` as ``grid_lines`` takes them; ``style`` is that of the lines.
    """
    key, lines = grid_lines(means)
    on_lines = {row["refinement"] for line in lines for row in line.rows}
    for row in means.filter("is_chosen").to_dicts():
        if row["refinement"] not in on_lines:
            look = looks[row["refinement"]]
            across = {"transform": axes.get_yaxis_transform(), "clip_on": False}
            pen = {"color": look.color, "linestyle": look.line, "marker": look.marker}
            y = [row["mean"], row["mean"]]
            axes.plot([0, 1], y, **pen, **across, linewidth=1.2, markevery=[-1])
    for line in lines:
        x, y = ([row[name] for row in line.rows] for name in ("x", "mean"))
        axes.plot(x, y, color=MUTED, linewidth=1.2, linestyle=style)
        for row in line.rows:
            color = looks[row["refinement"]].color
            axes.plot(row["x"], row["mean"], marker=line.marker, color=color, markersize=5.5)
            if row["is_chosen"]:
                at = (row["x"], row["mean"])
                axes.plot(*at, **RING)
                axes.annotate("chosen", at, (8, 5), textcoords="offset points")
    _grid_axis(axes, sorted({row["x"] for line in lines for row in line.rows}))
    axes.set(xlabel=formatting.setting(key))
    axes.margins(y=0.14)


def _grid_axis(axes: Axes, values: list[float]) -> None:
    """A logarithmic axis that also has room for 0, ticks at the grid's own values."""
    positive = [value for value in values if value > 0]
    if positive and max(values) / positive[0] > 20:
        axes.set_xscale("symlog", linthresh=positive[0], linscale=0.6)
    if len(values) <= 9:
        axes.set_xticks(values, [f"{value:g}" for value in values])
        axes.set_xticks([], minor=True)
