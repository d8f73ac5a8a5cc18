"""How figures are drawn: colors, styles of refinements, and axes that become one SVG."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby

import matplotlib
import polars as pl
import polars.selectors as cs
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from ace_steps.config.grid import Point
from ace_steps.reporting import formatting
from ace_steps.reporting.page import Figure

INK, MUTED, GRID, PAGE = "#1d2329", "#66707a", "#e2e5e8", "#fdfdfb"
SINGLES = ("#7a828a", "#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#d55e00", "#0072b2")
RAMPS = {"viridis": (0.05, 0.85), "plasma": (0.05, 0.8)}  # the parts that stand out on white
N_KEYS = 5  # grid points of one entry that a legend names one by one
LINES, MARKERS = ("--", ":", "-."), "s^Dv<>"
WIDTH, HEIGHT = 4.9, 3.1  # of one pair of axes, inches
PLAIN = FuncFormatter(lambda value, _: f"{value:g}")
RING = {"marker": "o", "color": INK, "markersize": 11, "fillstyle": "none"}  # around what is chosen
STYLE = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "ace",  # the same ids every time
    "font.sans-serif": ["DejaVu Sans"],  # what matplotlib ships, then the reader's own
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "savefig.facecolor": PAGE,
    "axes.facecolor": "none",
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Style:
    """How one refinement looks in every figure: never told apart by color alone.

    Attributes:
        label: Its name in words.
        color, line, marker: As matplotlib names them.
        ramp: The entry whose grid it is a grid point of; empty for a single setting.
    """

    label: str
    color: str
    line: str
    marker: str
    ramp: str = ""


Looks = dict[str, Style]  # by the grid point of a refinement


def styles(refinements: dict[str, Point]) -> Looks:
    """How each grid point is drawn: the two largest grids along a ramp, the others in one color.

    Grid points of a smaller grid share their entry's color and marker and differ by the line.
    """
    entries = [point.entry for point in refinements.values()]
    sizes = {entry: entries.count(entry) for entry in entries}
    large = sorted((entry for entry in sizes if sizes[entry] > 2), key=lambda e: -sizes[e])
    ramps = dict(zip(large, RAMPS, strict=False))
    others = [entry for entry in sizes if entry not in ramps]
    looks: Looks = {}
    for order, (name, point) in enumerate(refinements.items()):
        entry = point.entry
        label = formatting.grid_point(entry, json.dumps(point.values))
        step = entries[:order].count(entry)
        if entry in ramps:
            low, high = RAMPS[ramps[entry]]
            shade = low + (high - low) * step / (sizes[entry] - 1)
            color = matplotlib.colors.to_hex(matplotlib.colormaps[ramps[entry]](shade))
            looks[name] = Style(label, color, "-", "o", entry)
        else:
            at = others.index(entry)
            line, marker = LINES[(at + step) % len(LINES)], MARKERS[at % len(MARKERS)]
            looks[name] = Style(label, SINGLES[at % len(SINGLES)], line, marker)
    return looks


@contextmanager
def panels(n_panels: int, height: float = HEIGHT) -> Iterator[list[Axes]]:
    """Axes of one figure to draw on, two abreast, each ``height`` inches high."""
    n_columns = min(n_panels, 2)
    n_rows = -(-n_panels // n_columns)
    with matplotlib.rc_context(STYLE):
        canvas = Canvas((WIDTH * n_columns, height * n_rows), layout="constrained")
        FigureCanvasSVG(canvas)
        yield [canvas.add_subplot(n_rows, n_columns, i) for i in range(1, n_panels + 1)]


def finished(
    axes: list[Axes],
    file: str,
    caption: str,
    *,
    legend: list[Style],
    data: pl.DataFrame,
    source: str,
) -> Figure:
    """The figure that was drawn on ``panels``, the legend below, the same bytes every time.

    Args:
        axes: What ``panels`` gave.
        file: Path of its SVG in a folder of figures.
        caption: What it shows.
        legend: The styles that are used; a long grid is told by its two ends.
        data: The numbers that are drawn, for the CSV.
        source: The files they are from.
    """
    canvas = axes[0].figure
    width, height = canvas.get_size_inches()
    with matplotlib.rc_context(STYLE):
        if legend:
            keys = [_legend_key(style) for style in shortened(legend)]
            longest = max(len(key.get_label()) for key in keys)
            n_abreast = max(1, min(len(keys), int(width / (0.75 + 0.075 * longest))))
            height += 0.22 * -(-len(keys) // n_abreast)
            canvas.set_size_inches(width, height)
            canvas.legend(handles=keys, loc="outside lower center", ncols=n_abreast)
        alt = _in_words(axes, data)
        buffer = io.StringIO()
        metadata = {"Date": None, "Title": caption, "Description": alt}
        canvas.savefig(buffer, format="svg", metadata=metadata)
    size = (round(96 * width), round(96 * height))
    csv = data.with_columns(cs.float().round_sig_figs(6)).write_csv()
    return Figure(file, caption, buffer.getvalue(), size, alt, csv, source)


def _legend_key(style: Style) -> Line2D:
    look = {"color": style.color, "linestyle": style.line, "marker": style.marker}
    return Line2D([], [], **look, markersize=5, label=style.label)


def _in_words(axes: list[Axes], data: pl.DataFrame) -> str:
    """The panels with their axes, and the range of every number."""
    names = [
        f"{each.get_title(loc='left')}: "
        + " against ".join(filter(None, (each.get_ylabel(), each.get_xlabel())))
        for each in axes
    ]
    ranges = [
        f"{formatting.phrase(column.name)} from {column.min():.4g} to {column.max():.4g}"
        for column in data.select(cs.float())
        if column.count()
    ]
    return f"{'; '.join(names)}. {'; '.join(ranges)}."


def shortened(legend: list[Style]) -> list[Style]:
    """The styles, a long ramp of one refinement's grid told by its two ends."""
    kept: list[Style] = []
    for _, group in groupby(legend, key=lambda style: style.ramp or style.label):
        ramp = list(group)
        if len(ramp) > N_KEYS:
            first, last = ramp[0], ramp[-1]
            first = replace(first, label=f"from {first.label}")
            ramp = [first, replace(last, label=f"to {last.label}")]
        kept += ramp
    return kept
