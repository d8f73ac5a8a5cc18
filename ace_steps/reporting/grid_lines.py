"""The report's drawing of a metric over a grid, with the refinements without it beside it."""

import json
from dataclasses import dataclass

import polars as pl
from matplotlib.axes import Axes

from ace_steps.reporting import wording
from ace_steps.reporting.svg import INK, MUTED, Drawing, Style

LINE_MARKERS = "oP*hp"
LAMBDAS = ("lambda", "lambda_rel")
SPLIT_LOOKS = {"valid": ("on validation", "-"), "test": ("on test, no part in the choice", ":")}


@dataclass(frozen=True)
class GridLine:
    """A metric along one grid key, everything else fixed.

    Attributes:
        entry: The refinement's entry.
        label: What is fixed, in words.
        x, y: Grid values and scores, in the order of x.
        refinements: The point's name behind each value.
        is_chosen: Which values were chosen.
    """

    entry: str
    label: str
    x: list[float]
    y: list[float]
    refinements: list[str]
    is_chosen: list[bool]


def grid_lines(means: pl.DataFrame) -> tuple[str, list[GridLine]]:
    """The grids of refinements as lines over their main key: lambda, else that of most values.

    Args:
        means: Means of one metric, one row per point, in the runs' order.

    Returns:
        The dotted key and its lines; ``("", [])`` where no refinement has a grid of numbers.
    """
    rows = [row | {"at": json.loads(row["refinement_point"])} for row in means.to_dicts()]
    seen: dict[str, set[float]] = {}
    for row in rows:
        for key, value in row["at"].items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                seen.setdefault(key, set()).add(value)
    key = max(seen, key=lambda k: (k in LAMBDAS and len(seen[k]) > 1, len(seen[k])), default="")
    if not key or len(seen[key]) < 2:
        return "", []
    groups: dict[tuple[str, str], list[dict]] = {}
    for row in rows:
        if key in row["at"]:
            rest = json.dumps({k: v for k, v in row["at"].items() if k != key})
            fixed = [wording.values(rest), wording.values(row["backbone_point"])]
            label = ", ".join([row["refinement_entry"], *filter(None, fixed)])
            groups.setdefault((row["refinement_entry"], label), []).append(row)
    return key, [_grid_line(*name, key, group) for name, group in groups.items()]


def grid_legend(means: pl.DataFrame, looks: dict[str, Style]) -> dict[str, Style]:
    """The styles of ``metric_over_grid``: one for each line, then the refinements beside them."""
    key, lines = grid_lines(means)
    on_lines = {name for line in lines for name in line.refinements}
    along = {
        line.label: Style(f"{line.label} over {wording.setting(key)}", MUTED, "-", marker)
        for line, marker in zip(lines, _markers(lines), strict=True)
    }
    beside = set(means.filter("is_chosen")["refinement"]) - on_lines
    return along | {name: look for name, look in looks.items() if name in beside}


def metric_over_grid(
    means: pl.DataFrame, looks: dict[str, Style], *, title: str, split: str
) -> tuple[str, Drawing]:
    """A metric over the main grid key, beside the chosen points of refinements without it.

    Args:
        means: Means of one metric on one split, one row per point, in the runs' order.
        looks: The styles.
        title: The metric in words.
        split: ``valid``, whose curve chose; or ``test``, drawn dashed as it played no part.

    Returns:
        The grid key and the drawing; the key is empty where there is no grid.
    """
    where, line_style = SPLIT_LOOKS[split]
    key, lines = grid_lines(means)
    on_lines = {name for line in lines for name in line.refinements}
    is_other = ~pl.col("refinement").is_in(on_lines) & pl.col("is_chosen")
    others = means.filter(is_other).select("refinement", "mean").rows()

    def draw(axes: Axes) -> None:
        for name, value in others:
            look = looks[name]
            pen = {"color": look.color, "linestyle": look.line, "marker": look.marker}
            across = {"transform": axes.get_yaxis_transform(), "clip_on": False}
            axes.plot([0, 1], [value, value], **pen, **across, linewidth=1.2, markevery=[-1])
        for line, marker in zip(lines, _markers(lines), strict=True):
            _draw_line(axes, line, looks, (line_style, marker))
        _grid_axis(axes, sorted({x for line in lines for x in line.x}))
        axes.set(xlabel=wording.setting(key), ylabel=title)
        axes.margins(y=0.14)

    along = "; ".join(_spoken(line, key) for line in lines)
    beside = ", ".join(f"{looks[name].label} {value:.4f}" for name, value in others)
    alt = f"Line chart of {title} {where}. {along}. Without this grid: {beside or 'none'}."
    return key, Drawing(f"{title} {where}", alt, draw)


def _grid_line(entry: str, label: str, key: str, rows: list[dict]) -> GridLine:
    ordered = sorted(rows, key=lambda row: row["at"][key])
    return GridLine(
        entry=entry,
        label=label,
        x=[row["at"][key] for row in ordered],
        y=[row["mean"] for row in ordered],
        refinements=[row["refinement"] for row in ordered],
        is_chosen=[row["is_chosen"] for row in ordered],
    )


def _markers(lines: list[GridLine]) -> list[str]:
    """A mark for each line, so that lines of one colour are told apart."""
    return [LINE_MARKERS[place % len(LINE_MARKERS)] for place in range(len(lines))]


def _draw_line(axes: Axes, line: GridLine, looks: dict[str, Style], pen: tuple[str, str]) -> None:
    """``pen``: the line's style and its mark."""
    style, marker = pen
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


def _spoken(line: GridLine, key: str) -> str:
    name = wording.setting(key)
    steps = zip(line.x, line.y, line.is_chosen, strict=True)
    values = ", ".join(f"{y:.4f} at {name} {x:g}{' (chosen)' * mark}" for x, y, mark in steps)
    return f"{line.label}: {values}"
