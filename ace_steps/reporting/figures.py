"""The report's drawings: spectra, metrics over a grid, training curves; tables in, axes out."""

import json
from dataclasses import dataclass

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from ace_steps.grid import Point
from ace_steps.reporting import wording
from ace_steps.reporting.svg import (
    INK,
    MARKERS,
    MUTED,
    N_SHADES,
    RAMPS,
    SINGLES,
    Drawing,
    Style,
    shades,
)

PLAIN = FuncFormatter(lambda value, _: f"{value:g}")


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


def styles(refinements: dict[str, Point]) -> dict[str, Style]:
    """How each point is drawn: grids solid along a ramp, single settings dashed in one colour."""
    sizes: dict[str, int] = {}
    for point in refinements.values():
        sizes[point.entry] = sizes.get(point.entry, 0) + 1
    singles = [entry for entry, size in sizes.items() if size == 1]
    grids = [entry for entry, size in sizes.items() if size > 1]
    places = dict.fromkeys(grids, 0)
    found = {}
    for name, point in refinements.items():
        label = wording.point(point.entry, json.dumps(point.values))
        if point.entry in singles:
            place = singles.index(point.entry)
            line, marker = ("--", ":", "-.")[place % 3], MARKERS[1 + place % (len(MARKERS) - 1)]
            found[name] = Style(label, SINGLES[place % len(SINGLES)], line, marker)
            continue
        ramp = shades(list(RAMPS)[grids.index(point.entry) % len(RAMPS)], is_dark=False)
        shade = round(places[point.entry] * (N_SHADES - 1) / (sizes[point.entry] - 1))
        found[name] = Style(label, ramp[shade], "-", "o")
        places[point.entry] += 1
    return found


def raw_spectrum(spectra: pl.DataFrame, looks: dict[str, Style]) -> Drawing:
    """Singular values of the raw vectors; one line for each way the refinements read them.

    Args:
        spectra: The table ``spectrum`` of one dataset and encoder.
        looks: The styles, in the order of the configuration.
    """
    ways: list[tuple[np.ndarray, list[str]]] = []
    for name in (name for name in looks if name in set(spectra["refinement"])):
        values = _of(spectra, name)["singular_value"].to_numpy()
        same = [way for way in ways if _agree(way[0], values)]
        if same:
            same[0][1].append(looks[name].label)
        else:
            ways.append((values, [looks[name].label]))

    def draw(axes: Axes) -> None:
        for (values, labels), line in zip(ways, ("-", "--", ":", "-.") * len(ways), strict=False):
            x = np.arange(1, len(values) + 1)
            axes.plot(x, _positive(values), color=INK, linestyle=line, linewidth=1.4)
            if len(ways) > 1:
                _write_beside(axes, values, f"read by {labels[0]}{' …' * (len(labels) > 1)}")
        _log_log(axes)
        axes.set(xlabel="direction, strongest first", ylabel="singular value of the raw vectors")

    first = ways[0][0]
    alt = (
        f"Line chart. Over {len(first)} directions the raw singular values fall from "
        f"{first[0]:.4g} to {first[-1]:.4g}."
    )
    return Drawing("Before: raw vectors", alt, draw)


def gain_spectrum(spectra: pl.DataFrame, looks: dict[str, Style]) -> Drawing:
    """Singular values after each refinement, relative to its strongest direction."""
    shapes = {}
    for name in looks:
        gain = _of(spectra, name)["gain"].to_numpy()
        if len(gain) and gain.max() > 0:
            shapes[name] = gain / gain.max()

    def draw(axes: Axes) -> None:
        for name, shape in shapes.items():
            look = looks[name]
            x = np.arange(1, len(shape) + 1)
            axes.plot(x, _positive(shape), color=look.color, linestyle=look.line, linewidth=1.5)
        _log_log(axes)
        axes.set(xlabel="direction, strongest first", ylabel="singular value / the largest one")

    ends = "; ".join(f"{looks[name].label} {shape[-1]:.3g}" for name, shape in shapes.items())
    alt = f"Line chart, each line starts at 1. Share left in the last direction: {ends}."
    return Drawing("After: refined vectors", alt, draw)


def grid_lines(means: pl.DataFrame) -> tuple[str, list[GridLine]]:
    """The grids of refinements as lines over their main key, the one with the most values.

    Args:
        means: Validation means of one metric, one row per point, in the runs' order.

    Returns:
        The dotted key and its lines; ``("", [])`` where no refinement has a grid of numbers.
    """
    rows = [row | {"at": json.loads(row["refinement_point"])} for row in means.to_dicts()]
    seen: dict[str, set[float]] = {}
    for row in rows:
        for key, value in row["at"].items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                seen.setdefault(key, set()).add(value)
    key = max(seen, key=lambda name: len(seen[name]), default="")
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


def metric_over_grid(
    means: pl.DataFrame, looks: dict[str, Style], *, title: str
) -> tuple[str, Drawing]:
    """A validation metric over the main grid key, beside the refinements without it.

    Returns:
        The grid key and the drawing; the key is empty where there is no grid.
    """
    key, lines = grid_lines(means)
    on_lines = {name for line in lines for name in line.refinements}
    others = means.filter(~pl.col("refinement").is_in(on_lines)).select("refinement", "mean").rows()

    def draw(axes: Axes) -> None:
        for name, value in others:
            axes.axhline(value, color=looks[name].color, linestyle=looks[name].line, linewidth=1.2)
        for line in lines:
            _draw_line(axes, line, looks)
        _grid_axis(axes, sorted({x for line in lines for x in line.x}))
        axes.set(xlabel=wording.setting(key), ylabel=f"{title}, validation")
        axes.margins(y=0.14)

    along = "; ".join(_spoken(line, key) for line in lines)
    beside = ", ".join(f"{looks[name].label} {value:.4f}" for name, value in others)
    alt = f"Line chart of validation {title}. {along}. Without this grid: {beside or 'none'}."
    return key, Drawing(title, alt, draw)


def training_curves(
    curves: pl.DataFrame, looks: dict[str, Style], chosen: set[str], *, column: str, title: str
) -> Drawing:
    """A column of ``training_curve`` per epoch; a dot at the epoch whose weights were kept.

    Args:
        curves: The tables of one dataset, encoder and backbone.
        looks: The styles; their order is the drawing order.
        chosen: Refinements to draw strong, the others thin.
        column: What to draw.
        title: It in words.
    """
    runs = [(name, run) for name in looks for run in _runs_of(curves, name)]

    def draw(axes: Axes) -> None:
        for name, run in runs:
            look, is_strong = looks[name], name in chosen
            width, alpha = (1.7, 1.0) if is_strong else (0.9, 0.6)
            pen = {"color": look.color, "linestyle": look.line, "linewidth": width, "alpha": alpha}
            axes.plot(run["epoch"], run[column], **pen)
            best = run.filter("is_best")
            pen |= {"marker": look.marker, "markersize": 5.5 if is_strong else 4}
            axes.plot(best["epoch"], best[column], **pen)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set(xlabel="epoch", ylabel=title)

    kept = [run.filter("is_best").select("epoch", column).rows()[:1] for _, run in runs]
    spoken = "; ".join(
        f"{looks[name].label} {row[0][1]:.4f} at epoch {row[0][0]}"
        for (name, _), row in zip(runs, kept, strict=True)
        if row
    )
    return Drawing(title, f"Line chart over epochs. At the kept weights: {spoken}.", draw)


def _of(spectra: pl.DataFrame, name: str) -> pl.DataFrame:
    return spectra.filter(pl.col("refinement") == name).sort("component")


def _runs_of(curves: pl.DataFrame, name: str) -> list[pl.DataFrame]:
    """The curves of one refinement, a table per backbone point and seed."""
    mine = curves.filter(pl.col("refinement") == name).sort("backbone", "seed", "epoch")
    return mine.partition_by("backbone", "seed", maintain_order=True)


def _agree(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and bool(np.allclose(one, other, rtol=1e-6))


def _positive(values: np.ndarray) -> np.ndarray:
    """Values for a logarithmic axis: what is not positive becomes a gap."""
    return np.where(values > 0, values, np.nan)


def _write_beside(axes: Axes, values: np.ndarray, text: str) -> None:
    place = (len(values), float(_positive(values)[-1]))
    axes.annotate(text, place, (0, 5), textcoords="offset points", ha="right", color=MUTED)


def _log_log(axes: Axes) -> None:
    axes.set(xscale="log", yscale="log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PLAIN)
        axis.set_minor_formatter(NullFormatter())


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


def _draw_line(axes: Axes, line: GridLine, looks: dict[str, Style]) -> None:
    axes.plot(line.x, line.y, color=MUTED, linewidth=1.2)
    for x, y, name, is_chosen in zip(line.x, line.y, line.refinements, line.is_chosen, strict=True):
        axes.plot(x, y, marker="o", color=looks[name].color, markersize=5.5)
        if is_chosen:
            axes.plot(x, y, marker="o", color=INK, markersize=11, fillstyle="none")
            axes.annotate("chosen", (x, y), (0, 9), textcoords="offset points", ha="center")


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
