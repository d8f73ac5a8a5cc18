"""How figures are drawn: colors, styles of refinements, and panels into one matplotlib figure."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import groupby

import matplotlib
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
N_KEYS = 5  # points of one grid that a legend names one by one
LINES, MARKERS = ("--", ":", "-."), "s^Dv<>"
PANEL_INCHES = (4.9, 3.1)
PLAIN = FuncFormatter(lambda value, _: f"{value:g}")
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
        ramp: The entry whose grid it is a point of; empty for a single setting.
    """

    label: str
    color: str
    line: str
    marker: str
    ramp: str = ""


@dataclass(frozen=True)
class Panel:
    """What goes on one pair of axes, with its title and the same in words; height in inches."""

    title: str
    alt: str
    draw: Callable[[Axes], None]
    height: float = PANEL_INCHES[1]


def styles(refinements: dict[str, Point]) -> dict[str, Style]:
    """How each grid point is drawn: the two largest grids along a ramp, the others in one color.

    Points of a smaller grid share their entry's color and marker and differ by the line.
    """
    entries = [point.entry for point in refinements.values()]
    sizes = {entry: entries.count(entry) for entry in entries}
    large = sorted((entry for entry in sizes if sizes[entry] > 2), key=lambda e: -sizes[e])
    ramps = dict(zip(large, RAMPS, strict=False))
    others = [entry for entry in sizes if entry not in ramps]
    result: dict[str, Style] = {}
    for order, (name, point) in enumerate(refinements.items()):
        entry = point.entry
        label = formatting.grid_point(entry, json.dumps(point.values))
        step = entries[:order].count(entry)
        if entry in ramps:
            low, high = RAMPS[ramps[entry]]
            shade = low + (high - low) * step / (sizes[entry] - 1)
            color = matplotlib.colors.to_hex(matplotlib.colormaps[ramps[entry]](shade))
            result[name] = Style(label, color, "-", "o", entry)
        else:
            at = others.index(entry)
            line, marker = LINES[(at + step) % len(LINES)], MARKERS[at % len(MARKERS)]
            result[name] = Style(label, SINGLES[at % len(SINGLES)], line, marker)
    return result


def plot(
    file: str, caption: str, panels: list[Panel], *, legend: list[Style], csv: str, source: str
) -> Figure:
    """One matplotlib figure: panels two abreast, the legend below, the same bytes every time.

    The other arguments are those of ``page.Figure``.
    """
    keys = [
        Line2D(
            [], [], color=s.color, linestyle=s.line, marker=s.marker, markersize=5, label=s.label
        )
        for s in shortened(legend)
    ]
    n_columns = min(len(panels), 2)
    n_rows = -(-len(panels) // n_columns)
    width = PANEL_INCHES[0] * n_columns
    longest = max((len(key.get_label()) for key in keys), default=0)
    n_keys = max(1, min(len(keys), int(width / (0.75 + 0.075 * longest))))  # side by side
    height = n_rows * max(panel.height for panel in panels) + 0.22 * -(-len(keys) // n_keys)
    alt = " ".join(f"{panel.title}. {panel.alt}" for panel in panels)
    with matplotlib.rc_context(STYLE):
        canvas = Canvas(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(canvas)
        for place, panel in enumerate(panels, 1):
            axes = canvas.add_subplot(n_rows, n_columns, place)
            axes.set_title(panel.title)
            panel.draw(axes)
        if keys:
            canvas.legend(handles=keys, loc="outside lower center", ncols=n_keys)
        buffer = io.StringIO()
        about = {"Date": None, "Title": caption, "Description": alt}
        canvas.savefig(buffer, format="svg", metadata=about)
    size = (round(96 * width), round(96 * height))
    return Figure(file, caption, buffer.getvalue(), size, alt, csv, source)


def shortened(legend: list[Style]) -> list[Style]:
    """The styles, a long ramp of one refinement's grid told by its two ends."""
    kept: list[Style] = []
    for _, group in groupby(legend, key=lambda style: style.ramp or style.label):
        ramp = list(group)
        if len(ramp) > N_KEYS:
            first, last = ramp[0], ramp[-1]
            ramp = [
                replace(first, label=f"from {first.label}"),
                replace(last, label=f"to {last.label}"),
            ]
        kept += ramp
    return kept
