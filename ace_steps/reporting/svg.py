"""From drawings on matplotlib axes to SVG text: the same bytes every time, dark or light."""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from html import escape
from itertools import groupby

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from ace_steps.reporting import page

INK, MUTED, GRID = "#1d2329", "#66707a", "#e2e5e8"
SINGLES = ("#7a828a", "#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#d55e00", "#0072b2")
N_SHADES = 9
N_KEYS = 5  # points of one grid that a legend names one by one
RAMPS = {"viridis": ((0.05, 0.85), (0.38, 1.0)), "plasma": ((0.05, 0.8), (0.35, 1.0))}
DARK = {INK: "#e4e7ea", MUTED: "#9aa4ae", GRID: "#333a41", "#7a828a": "#a3abb3"}
MARKERS = "os^Dv<>"
DASHES = {"": "0 99", "-": "", "--": "4 2.5", ":": "1 2.2", "-.": "5 2 1 2"}
SHAPES = {  # the marks of a legend, as matplotlib draws them
    "o": '<circle cx="14" cy="6" r="3"/>',
    "*": '<path d="M14 2 15 5H18L15.6 6.8 16.5 10 14 8.1 11.5 10 12.4 6.8 10 5H13Z"/>',
    "P": '<path d="M13 2.6H15V5H17.4V7H15V9.4H13V7H10.6V5H13Z"/>',
    "h": '<path d="M14 2.6 17 4.3V7.7L14 9.4 11 7.7V4.3Z"/>',
    "p": '<path d="M14 2.4 17.4 4.9 16.1 9H11.9L10.6 4.9Z"/>',
    "s": '<rect x="11.2" y="3.2" width="5.6" height="5.6"/>',
    "^": '<path d="M14 2.6 17.4 9H10.6Z"/>',
    "D": '<path d="M14 2.2 17.8 6 14 9.8 10.2 6Z"/>',
    "v": '<path d="M14 9.4 17.4 3H10.6Z"/>',
    "<": '<path d="M10.4 6 17 2.6V9.4Z"/>',
    ">": '<path d="M17.6 6 11 2.6V9.4Z"/>',
}
FONT = "var(--sans, sans-serif)"
PANEL_INCHES = (4.9, 3.1)
STYLE = {
    "svg.fonttype": "none",  # text stays text: selectable, read aloud, in the page's own font
    "svg.hashsalt": "ace",
    "font.size": 9.5,
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
    """How one refinement looks in every figure: never told apart by colour alone.

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
class Drawing:
    """What goes on one pair of axes, with its title and the same in words; height in inches."""

    title: str
    alt: str
    draw: Callable[[Axes], None]
    height: float = PANEL_INCHES[1]


@cache
def shades(ramp: str, *, is_dark: bool) -> list[str]:
    """Colours of a perceptually even ramp that stand out on a light or a dark page."""
    low, high = RAMPS[ramp][is_dark]
    steps = [low + (high - low) * i / (N_SHADES - 1) for i in range(N_SHADES)]
    return [matplotlib.colors.to_hex(matplotlib.colormaps[ramp](step)) for step in steps]


@cache
def variables() -> dict[str, tuple[str, str]]:
    """Every colour of the figures by its CSS variable: on a light and on a dark page."""
    named = {"--fig-ink": INK, "--fig-muted": MUTED, "--fig-grid": GRID}
    named |= {f"--fig-single-{i}": color for i, color in enumerate(SINGLES)}
    found = {name: (color, DARK.get(color, color)) for name, color in named.items()}
    for ramp in RAMPS:
        pairs = zip(shades(ramp, is_dark=False), shades(ramp, is_dark=True), strict=True)
        found |= {f"--fig-{ramp}-{i}": pair for i, pair in enumerate(pairs)}
    return found


def render(drawing: Drawing, name: str) -> str:
    """A drawing as an ``<svg>`` element whose colours follow the page it stands in.

    Args:
        drawing: What to draw.
        name: Unique where several SVGs share a page: it begins every id.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(PANEL_INCHES[0], drawing.height), layout="constrained")
        FigureCanvasSVG(figure)
        drawing.draw(figure.add_subplot())
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = described(_bare(buffer.getvalue(), name), name, drawing.title, drawing.alt)
    return _themed(text)


def figure_of(
    file: str,
    caption: str,
    drawings: list[Drawing],
    *,
    looks: dict[str, Style],
    csv: str,
    source: str,
) -> page.Figure:
    """A figure from its drawings, a panel each.

    Args:
        file: Path in a folder of figures; its words begin the ids.
        caption: What is shown.
        drawings: A panel each.
        looks: What the legend explains, in its order.
        csv: The numbers that are drawn.
        source: The file they come from.
    """
    name = file.removesuffix(".svg").replace("/", "-")
    panels = tuple(
        page.Panel(drawing.title, drawing.alt, render(drawing, f"{name}-{place}"))
        for place, drawing in enumerate(drawings)
    )
    legend = tuple((swatch(look), look.label) for look in shortened(list(looks.values())))
    return page.Figure(file, caption, panels, legend, csv, source)


def shortened(looks: list[Style]) -> list[Style]:
    """The styles with a long ramp of one refinement's grid told by its two ends."""
    kept: list[Style] = []
    for _, group in groupby(looks, key=lambda look: look.ramp or look.label):
        ramp = list(group)
        if len(ramp) > N_KEYS:
            ramp = [
                replace(ramp[0], label=f"from {ramp[0].label}"),
                replace(ramp[-1], label=f"to {ramp[-1].label}"),
            ]
        kept += ramp
    return kept


def swatch(style: Style) -> str:
    """A legend's key as an inline SVG: the line and the marker of a style."""
    color = _themed(style.color)
    return (
        f'<svg class="swatch" viewBox="0 0 28 12" width="28" height="12" aria-hidden="true">'
        f'<g style="stroke:{color};fill:{color}">'
        f'<path d="M1 6H27" style="stroke-width:1.6;stroke-dasharray:{DASHES[style.line]}"/>'
        f"{SHAPES.get(style.marker, '')}</g></svg>"
    )


def _bare(svg: str, name: str) -> str:
    """The ``<svg>`` element alone and in short: no prolog, no metadata, two decimals.

    Ids are unique to ``name``, and only those are kept that something refers to.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    wanted = set(re.findall(r"(?:href=\"#|url\(#)([^\")]+)", svg))
    svg = re.sub(r' id="([^"]*)"', lambda m: m[0] if m[1] in wanted else "", svg)
    svg = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r' transform="rotate\(-0 [^"]*\)"', "", svg)  # no turn at all
    svg = re.sub(r"font-family: [^;\"]*", f"font-family: {FONT}", svg)
    svg = re.sub(r' (?:d|x|y|x1|x2|y1|y2|transform)="[^"]*"', _rounded, svg)
    return re.sub(r"\s*\n\s*", "\n", re.sub(r">\s+<", "><", svg)).strip() + "\n"


def _rounded(attribute: re.Match) -> str:
    """Coordinates to two decimals of a point: a line is some fifty times as wide."""
    found = attribute[0]
    short = re.sub(r"\d+\.\d{3,}", lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), found)
    return re.sub(r"\s+", " ", short).replace(' "', '"')


def described(svg: str, name: str, title: str, alt: str) -> str:
    """An ``<svg>`` element with a name and a description for those who do not see it."""
    head, rest = svg.split(">", 1)
    words = (
        f'<title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-desc">{escape(alt)}</desc>'
    )
    named = f'{head} role="img" aria-labelledby="{name}-title {name}-desc"'
    return f'{named} stroke-linejoin="round">\n{words}{rest}'


def _themed(svg: str) -> str:
    """With the page's variables in the place of our colours; the colour itself as a fallback."""
    names = {light: f"var({name}, {light})" for name, (light, _) in variables().items()}
    pattern = re.compile("|".join(names))
    return pattern.sub(lambda match: names[match.group(0)], svg)
