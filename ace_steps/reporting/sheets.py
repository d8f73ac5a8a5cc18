"""The report's figures as files of their own, the numbers of each beside it."""

import re
import shutil
from html import escape
from pathlib import Path

from ace_steps.io.files import write_text
from ace_steps.reporting.page import Figure, Page, figures_of
from ace_steps.reporting.svg import FONT, INK, described

KINDS = (  # folders that are made, even if some stay empty
    "data",
    "spectra",
    "grid",
    "grid_test",
    "geometry",
    "slices",
    "curves",
    "cost",
)
TITLE, LINE, KEY, LETTER = 22.0, 17.0, 36.0, 5.6  # heights and widths in points; font of 9.5
SIZE = re.compile(r'<svg[^>]*? viewBox="0 0 ([\d.]+) ([\d.]+)"')
VARIABLE = re.compile(r"var\(--fig-[\w-]+, (#\w+)\)")


def write_figures(page: Page, folder: Path) -> None:
    """Write ``<kind>/<dataset>[/<encoder>[/<backbone>]].svg`` and ``.csv`` of every figure.

    A kind's folder is written whole beside the old one and then takes its place, so that no figure
    of an earlier configuration stays.
    """
    made = figures_of(page)
    for kind in KINDS:
        part = folder / f".{kind}.part"
        shutil.rmtree(part, ignore_errors=True)  # of a run that was killed
        part.mkdir(parents=True)
        for figure in (figure for figure in made if figure.file.startswith(f"{kind}/")):
            path = part / figure.file.removeprefix(f"{kind}/")
            write_text(path, sheet(figure))
            write_text(path.with_suffix(".csv"), figure.csv)
        shutil.rmtree(folder / kind, ignore_errors=True)
        part.rename(folder / kind)


def sheet(figure: Figure) -> str:
    """A figure as an SVG document: titled panels side by side, the legend below, on white."""
    sizes = [tuple(map(float, SIZE.match(panel.svg).groups())) for panel in figure.panels]
    parts, left = [], 0.0
    for panel, (width, height) in zip(figure.panels, sizes, strict=True):
        parts.append(_text(left + 8, 14, panel.title, "font-weight: bold"))
        parts.append(_placed(panel.svg, left, width, height))
        left += width
    below = TITLE + max(height for _, height in sizes)
    legend, rows = _legend(figure, left)
    parts += [f'<g transform="translate(0 {below:g})">{legend}</g>'] if rows else []
    whole = below + rows * LINE + 6
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'width="{left:g}pt" height="{whole:g}pt" viewBox="0 0 {left:g} {whole:g}" '
        f'style="background: #fff; fill: {INK}; font: 9.5px Arial, sans-serif">'
    )
    body = VARIABLE.sub(r"\1", "\n".join(parts)).replace(FONT, "Arial, sans-serif")
    title = "; ".join(panel.title for panel in figure.panels)
    alt = " ".join(panel.alt for panel in figure.panels)
    return described(f"{head}\n{body}\n</svg>\n", figure.name, title, alt)


def _placed(svg: str, left: float, width: float, height: float) -> str:
    """A panel as an element within the sheet, which alone is named and described."""
    body = re.sub(r"<title.*?</title>|<desc.*?</desc>", "", svg.split(">", 1)[1], flags=re.DOTALL)
    place = f'x="{left:g}" y="{TITLE:g}" width="{width:g}" height="{height:g}"'
    return f'<svg {place} viewBox="0 0 {width:g} {height:g}" stroke-linejoin="round">{body.strip()}'


def _legend(figure: Figure, width: float) -> tuple[str, int]:
    """Keys and labels in columns as wide as the longest label; and how many rows they take."""
    if not figure.legend:
        return "", 0
    column = KEY + 14 + LETTER * max(len(label) for _, label in figure.legend)
    n_columns = max(1, min(len(figure.legend), int(width / column)))
    parts = []
    for place, (key, label) in enumerate(figure.legend):
        row, at = divmod(place, n_columns)
        x, y = 8 + at * column, row * LINE
        swatch = key.replace("<svg ", f'<svg x="{x:g}" y="{y + 3:g}" ', 1)
        parts += [swatch, _text(x + KEY, y + 12, label, "")]
    return "".join(parts), -(-len(figure.legend) // n_columns)


def _text(x: float, y: float, text: str, style: str) -> str:
    look = f' style="{style}"' if style else ""
    return f'<text x="{x:g}" y="{y:g}"{look}>{escape(text)}</text>'
