"""The report's drawings of spectra and training curves, and how a refinement looks in them."""

import json

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from ace_steps.config.grid import Point
from ace_steps.reporting import wording
from ace_steps.reporting.svg import (
    INK,
    MARKERS,
    N_SHADES,
    RAMPS,
    SINGLES,
    Drawing,
    Style,
    shades,
)

LINES = ("--", ":", "-.")
PLAIN = FuncFormatter(lambda value, _: f"{value:g}")


def styles(refinements: dict[str, Point]) -> dict[str, Style]:
    """How each point is drawn: the largest grids along a ramp, solid; all else in one colour each.

    Points of a smaller grid share their entry's colour and mark and differ by the line.
    """
    sizes: dict[str, int] = {}
    for point in refinements.values():
        sizes[point.entry] = sizes.get(point.entry, 0) + 1
    large = sorted((entry for entry, size in sizes.items() if size > 2), key=lambda e: -sizes[e])
    ramps = dict(zip(large, RAMPS, strict=False))
    others = [entry for entry in sizes if entry not in ramps]
    places = dict.fromkeys(sizes, 0)
    found = {}
    for name, point in refinements.items():
        entry, place = point.entry, places[point.entry]
        places[entry] += 1
        label = wording.point(entry, json.dumps(point.values))
        if entry in ramps:
            shade = round(place * (N_SHADES - 1) / (sizes[entry] - 1))
            color = shades(ramps[entry], is_dark=False)[shade]
            found[name] = Style(label, color, "-", "o", entry)
            continue
        at = others.index(entry)
        line, marker = LINES[(at + place) % len(LINES)], MARKERS[1 + at % (len(MARKERS) - 1)]
        found[name] = Style(label, SINGLES[at % len(SINGLES)], line, marker)
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
        values = values[values > 0]  # zeros stand beyond the spectrum's end
        same = [way for way in ways if _agree(way[0], values)]
        if same:
            same[0][1].append(looks[name].label)
        else:
            ways.append((values, [looks[name].label]))

    def draw(axes: Axes) -> None:
        for (values, labels), line in zip(ways, ("-", "--", ":", "-.") * len(ways), strict=False):
            x = np.arange(1, len(values) + 1)
            more = f" and {len(labels) - 1} more" if len(labels) > 1 else ""
            pen = {"color": INK, "linestyle": line, "linewidth": 1.4}
            axes.plot(x, values, **pen, label=f"as read by {labels[0]}{more}")
        if len(ways) > 1:
            axes.legend(loc="lower left")
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
        if (gain > 0).any():
            shapes[name] = gain[gain > 0] / gain.max()  # zeros stand beyond the spectrum's end

    def draw(axes: Axes) -> None:
        for name in sorted(shapes, key=lambda name: looks[name].line != "-"):  # dashes on top
            look, shape = looks[name], shapes[name]
            x = np.arange(1, len(shape) + 1)
            pen = {"color": look.color, "linestyle": look.line, "linewidth": 1.5}
            axes.plot(x, shape, **pen, marker=look.marker, markersize=5, markevery=[-1])
        _log_log(axes)
        axes.set(xlabel="direction, strongest first", ylabel="singular value / the largest one")

    ends = "; ".join(f"{looks[name].label} {shape[-1]:.3g}" for name, shape in shapes.items())
    alt = f"Line chart, each line starts at 1. Share left in the last direction: {ends}."
    return Drawing("After: refined vectors", alt, draw)


def training_curves(
    curves: pl.DataFrame,
    looks: dict[str, Style],
    chosen: set[str],
    *,
    column: str,
    words: tuple[str, str],
) -> Drawing:
    """A column of ``training_curve`` per epoch; a dot at the epoch whose weights were kept.

    Args:
        curves: The tables of one dataset, encoder and backbone.
        looks: The styles.
        chosen: Refinements to draw strong, the others thin.
        column: What to draw.
        words: It as a title, and as the label of its axis.
    """
    title, unit = words
    order = sorted(looks, key=lambda name: looks[name].line != "-")  # dashes above solid lines
    runs = [(name, run) for name in order for run in _runs_of(curves, name)]

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
        axes.set(xlabel="epoch", ylabel=unit)

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


def _log_log(axes: Axes) -> None:
    axes.set(xscale="log", yscale="log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PLAIN)
        axis.set_minor_formatter(NullFormatter())
