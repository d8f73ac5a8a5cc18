"""Grids: every grid point on validation, and apart from it what test would say."""

import json
from dataclasses import dataclass, replace

import polars as pl
from matplotlib.axes import Axes

from ace_steps.reporting import formatting
from ace_steps.reporting.artifacts import Artifacts
from ace_steps.reporting.page import FOLDED_FROM, Block, Figure, Text
from ace_steps.reporting.plots import INK, MUTED, Panel, Style, plot
from ace_steps.reporting.scores import Setup, notes_caption, score_table, selection_metric

DRAWN = (("recall", 20), ("ndcg", 20))
LINE_MARKERS = "oP*hp"
LAMBDAS = ("lambda", "lambda_rel")
SPLITS = {"valid": ("on validation", "-"), "test": ("on test, no part in the choice", ":")}


@dataclass(frozen=True)
class GridLine:
    """A metric along one grid key, everything else fixed.

    Attributes:
        label: The entry and what is fixed, in words.
        x, y: Grid values and scores, in the order of x.
        refinements: The grid point's name behind each value.
        is_chosen: Which values were chosen.
    """

    label: str
    x: list[float]
    y: list[float]
    refinements: list[str]
    is_chosen: list[bool]


def grid_blocks(artifacts: Artifacts, setup: Setup, looks: dict[str, Style]) -> list[Block]:
    """The curves that the choice was made on, the same on test set apart, and every grid point."""
    n_points = pl.struct("refinement", "backbone").n_unique().over("refinement_entry")
    points = setup.points.filter(n_points > 1)
    if not len(points):
        return [Text("No entry holds a grid: nothing had to be chosen.")]
    chosen_by = selection_metric(artifacts.config)
    metric, seed = formatting.metric(*chosen_by), artifacts.config["seeds"][0]
    curve = (
        f"Metrics on the validation targets over {{key}}, seed {seed}, each refinement at its "
        f"chosen backbone grid point. The choice was made by {metric}; a ring marks the chosen one."
    )
    apart = (
        f"The same grid points on the test targets, seed {seed}, shown for information: this curve "
        "played no part in the choice. The ring marks the grid point that validation chose."
    )
    pairs = [*DRAWN] if chosen_by in DRAWN else [chosen_by, *DRAWN]
    figures = [
        _figure(artifacts, setup, looks, ("valid", "grid"), pairs, curve),
        _figure(artifacts, setup, looks, ("test", "grid_test"), DRAWN, apart),
    ]
    shown = dict.fromkeys([chosen_by, ("ndcg", 10), ("ndcg", 20), ("recall", 10), ("recall", 20)])
    of_seed = replace(setup, means=setup.first)
    table = score_table(
        of_seed,
        points,
        [("valid", *pair) for pair in shown],
        caption=f"Every grid point on the validation targets, {setup.title}, seed {seed}; marked "
        f"are those chosen by {metric}{notes_caption(of_seed)}.",
        source=f"{artifacts.folder}/report/metrics.parquet and {artifacts.choice_file}",
        is_folded=len(points) >= FOLDED_FROM,
        marks_chosen=True,
    )
    return [*filter(None, figures), table]


def _figure(
    artifacts: Artifacts,
    setup: Setup,
    looks: dict[str, Style],
    split_and_folder: tuple[str, str],
    pairs: list[tuple[str, int]],
    caption: str,
) -> Figure | None:
    """Metrics of one split over the main grid key, each entry at its chosen backbone grid point.

    None where no key holds numbers.
    """
    split, folder = split_and_folder
    at_choice = setup.chosen.select("refinement_entry", "backbone")
    means = setup.first.filter(split=split).join(
        at_choice, on=["refinement_entry", "backbone"], how="semi", maintain_order="left"
    )
    tables = [means.filter(metric=metric, cutoff=cutoff) for metric, cutoff in pairs]
    key, lines = grid_lines(tables[0])
    if not key:
        return None
    panels = [
        grid_panel(table, looks, title=formatting.metric(*pair), split=split)
        for table, pair in zip(tables, pairs, strict=True)
    ]
    on_lines = {name for line in lines for name in line.refinements}
    beside = set(tables[0].filter("is_chosen")["refinement"]) - on_lines
    name = formatting.setting(key)
    columns = ["refinement", "backbone", "is_chosen", "split", "metric", "cutoff", "mean"]
    return plot(
        f"{folder}/{setup.path}.svg",
        caption.format(key=name),
        panels,
        legend=[
            *(
                Style(f"{line.label} over {name}", MUTED, SPLITS[split][1], _marker(number))
                for number, line in enumerate(lines)
            ),
            *(look for name, look in looks.items() if name in beside),
        ],
        csv=pl.concat(tables).select(columns).write_csv(float_precision=6),
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
            groups.setdefault(label, []).append(row)
    lines = []
    for label, group in groups.items():
        group.sort(key=lambda row: row["at"][key])
        columns = ([row[c] for row in group] for c in ("mean", "refinement", "is_chosen"))
        lines.append(GridLine(label, [row["at"][key] for row in group], *columns))
    return key, lines


def grid_panel(means: pl.DataFrame, looks: dict[str, Style], *, title: str, split: str) -> Panel:
    """A metric over the main grid key, beside the chosen refinements without it.

    ``means`` as ``grid_lines`` takes them; ``title`` is the metric; ``test`` is drawn dotted.
    """
    where, style = SPLITS[split]
    key, lines = grid_lines(means)
    name = formatting.setting(key)
    on_lines = {refinement for line in lines for refinement in line.refinements}
    is_other = ~pl.col("refinement").is_in(on_lines) & pl.col("is_chosen")
    others = means.filter(is_other).select("refinement", "mean").rows()

    def draw(axes: Axes) -> None:
        for refinement, value in others:
            look = looks[refinement]
            across = {"transform": axes.get_yaxis_transform(), "clip_on": False}
            pen = {"color": look.color, "linestyle": look.line, "marker": look.marker}
            axes.plot([0, 1], [value, value], **pen, **across, linewidth=1.2, markevery=[-1])
        for number, line in enumerate(lines):
            _draw_line(axes, line, looks, style, _marker(number))
        _grid_axis(axes, sorted({x for line in lines for x in line.x}))
        axes.set(xlabel=name, ylabel=title)
        axes.margins(y=0.14)

    spoken = []
    for line in lines:
        steps = zip(line.x, line.y, line.is_chosen, strict=True)
        values = ", ".join(f"{y:.4f} at {name} {x:g}{' (chosen)' * mark}" for x, y, mark in steps)
        spoken.append(f"{line.label}: {values}")
    beside = ", ".join(f"{looks[refinement].label} {value:.4f}" for refinement, value in others)
    alt = f"Line chart. {'; '.join(spoken)}. Without this grid: {beside or 'none'}."
    return Panel(f"{title} {where}", alt, draw)


def _marker(number: int) -> str:
    """A marker for each line, so that lines of one color are told apart."""
    return LINE_MARKERS[number % len(LINE_MARKERS)]


def _draw_line(
    axes: Axes, line: GridLine, looks: dict[str, Style], style: str, marker: str
) -> None:
    axes.plot(line.x, line.y, color=MUTED, linewidth=1.2, linestyle=style)
    for x, y, name, is_chosen in zip(line.x, line.y, line.refinements, line.is_chosen, strict=True):
        axes.plot(x, y, marker=marker, color=looks[name].color, markersize=5.5)
        if is_chosen:
            axes.plot(x, y, marker="o", color=INK, markersize=11, fillstyle="none")
            axes.annotate("chosen", (x, y), (8, 5), textcoords="offset points")


def _grid_axis(axes: Axes, values: list[float]) -> None:
    """A logarithmic axis that also has room for 0, ticks at the grid's own values."""
    positive = [value for value in values if value > 0]
    if positive and max(values) / positive[0] > 20:
        axes.set_xscale("symlog", linthresh=positive[0], linscale=0.6)
    if len(values) <= 9:
        axes.set_xticks(values, [f"{value:g}" for value in values])
        axes.set_xticks([], minor=True)
