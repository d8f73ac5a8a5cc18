"""From drawings on matplotlib axes to SVG text: the same bytes every time, dark or light."""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ace_steps.reporting import page

INK, MUTED, GRID = "#1d2329", "#66707a", "#e2e5e8"
SINGLES = ("#7a828a", "#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#d55e00", "#0072b2")
N_SHADES = 9
RAMPS = {"viridis": ((0.05, 0.85), (0.38, 1.0)), "plasma": ((0.05, 0.8), (0.35, 1.0))}
DARK = {INK: "#e4e7ea", MUTED: "#9aa4ae", GRID: "#333a41", "#7a828a": "#a3abb3"}
MARKERS = "os^Dv<>"
DASHES = {"-": "", "--": "4 2.5", ":": "1 2.2", "-.": "5 2 1 2"}
FONT = "var(--sans, sans-serif)"
PANEL_INCHES = (4.9, 3.1)
STYLE = {
    "svg.fonttype": "none",  # text stays text: selectable, read aloud, in the page's own font
    "svg.hashsalt": "ace",
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
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
    """How one refinement looks in every figure: never told apart by colour alone."""

    label: str
    color: str
    line: str
    marker: str


@dataclass(frozen=True)
class Drawing:
    """What goes on one pair of axes, with its title and the same in words."""

    title: str
    alt: str
    draw: Callable[[Axes], None]


def shades(ramp: str, *, is_dark: bool) -> list[str]:
    """Colours of a perceptually even ramp that stand out on a light or a dark page."""
    low, high = RAMPS[ramp][is_dark]
    steps = [low + (high - low) * i / (N_SHADES - 1) for i in range(N_SHADES)]
    return [matplotlib.colors.to_hex(matplotlib.colormaps[ramp](step)) for step in steps]


def variables() -> dict[str, tuple[str, str]]:
    """Every colour of the figures by its CSS variable: on a light and on a dark page."""
    named = {"--fig-ink": INK, "--fig-muted": MUTED, "--fig-grid": GRID}
    named |= {f"--fig-single-{i}": color for i, color in enumerate(SINGLES)}
    found = {name: (color, DARK.get(color, color)) for name, color in named.items()}
    for ramp in RAMPS:
        pairs = zip(shades(ramp, is_dark=False), shades(ramp, is_dark=True), strict=True)
        found |= {f"--fig-{ramp}-{i}": pair for i, pair in enumerate(pairs)}
    return found


def render(drawings: list[Drawing], name: str, legend: list[Style] | None = None) -> str:
    """An SVG document or element with one drawing beside the other.

    Args:
        drawings: At least one.
        name: Unique where several SVGs share a page: it begins every id.
        legend: For a file of its own: drawn below, colours fixed, white behind. None for a panel
            within the page, whose colours follow the page and whose legend the page writes.
    """
    with matplotlib.rc_context(STYLE):
        width, height = PANEL_INCHES
        n_legend_rows = -(-len(legend or ()) // 4)
        size = (width * len(drawings), height + 0.2 * n_legend_rows)
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        for place, drawing in enumerate(drawings, start=1):
            axes = figure.add_subplot(1, len(drawings), place)
            drawing.draw(axes)
            if len(drawings) > 1 or legend is not None:
                axes.set_title(drawing.title)
        if legend:
            handles = [_handle(style) for style in legend]
            figure.legend(handles=handles, loc="outside lower center", ncols=4)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    title = "; ".join(drawing.title for drawing in drawings)
    alt = " ".join(drawing.alt for drawing in drawings)
    text = _described(_bare(buffer.getvalue(), name), name, title, alt)
    return _on_white(text) if legend is not None else _themed(text)


def figure_of(
    file: str,
    caption: str,
    drawings: list[Drawing],
    *,
    looks: dict[str, Style],
    csv: str,
    source: str,
) -> page.Figure:
    """A figure from its drawings: panels for the page, one sheet for a file.

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
        page.Panel(drawing.title, drawing.alt, render([drawing], f"{name}-{place}"))
        for place, drawing in enumerate(drawings)
    )
    keys = list(looks.values())
    legend = tuple((swatch(look), look.label) for look in keys)
    sheet = render(drawings, name, keys)
    return page.Figure(file, caption, panels, sheet, legend, csv, source)


def swatch(style: Style) -> str:
    """A legend's key as an inline SVG: the line and the marker of a style."""
    color = _themed(style.color)
    shapes = {
        "o": '<circle cx="14" cy="6" r="3"/>',
        "s": '<rect x="11.2" y="3.2" width="5.6" height="5.6"/>',
        "^": '<path d="M14 2.6 17.4 9H10.6Z"/>',
        "D": '<path d="M14 2.2 17.8 6 14 9.8 10.2 6Z"/>',
        "v": '<path d="M14 9.4 17.4 3H10.6Z"/>',
        "<": '<path d="M10.4 6 17 2.6V9.4Z"/>',
        ">": '<path d="M17.6 6 11 2.6V9.4Z"/>',
    }
    return (
        f'<svg class="swatch" viewBox="0 0 28 12" width="28" height="12" aria-hidden="true">'
        f'<g style="stroke:{color};fill:{color}">'
        f'<path d="M1 6H27" style="stroke-width:1.6;stroke-dasharray:{DASHES[style.line]}"/>'
        f"{shapes.get(style.marker, '')}</g></svg>"
    )


def _handle(style: Style) -> Line2D:
    return Line2D(
        [], [], label=style.label, color=style.color, linestyle=style.line, marker=style.marker,
        markersize=4.5,
    )  # fmt: skip


def _bare(svg: str, name: str) -> str:
    """The ``<svg>`` element alone: no prolog, no metadata, ids unique to ``name``."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r"font-family: [^;\"]*", f"font-family: {FONT}", svg)
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>\s*", "", svg, flags=re.DOTALL)
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def _described(svg: str, name: str, title: str, alt: str) -> str:
    """With a name and a description for those who do not see it."""
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


def _on_white(svg: str) -> str:
    head, rest = svg.split(">", 1)
    return f'{head} style="background: #fff">{rest.replace(FONT, "Arial, sans-serif")}'
