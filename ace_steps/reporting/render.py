"""Writes a page as one self-contained HTML file or as Markdown; the same content in both."""

import base64
import gzip
import math
import re
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

import ace_steps
from ace_steps.reporting.inline import drawn
from ace_steps.reporting.page import Page, figures_of
from ace_steps.reporting.svg import variables

N_INLINE_PARTS = 4  # parts of a section that are written out at once
N_INLINE_ROWS = 60  # rows of a folded table that are
IN_URI = ",/:;=@+ ~!$*()'"  # what a data: URI in an attribute may hold as it is
SPECIAL = re.compile(r"([\\`*_|<>\[\]#])")


def html(page: Page, figures: str) -> str:
    """One HTML file: styles, figures and data inside, no request to anywhere.

    Where a section has many parts, each waits packed until a reader comes near or the browser is
    idle, and so does a long folded table: the paper's whole grid is 19 MB, and reading that at
    once takes a browser seconds.

    Args:
        page: The report.
        figures: Path from the page to the folder of figures; empty where none is written.
    """
    panels, keys, looks = drawn(figures_of(page))
    template = _environment(is_markup=True).get_template("report.html.jinja")
    return template.render(
        page=page,
        figures=figures,
        panels=panels,
        keys=keys,
        looks=looks,
        colors=variables(),
        n_inline_parts=N_INLINE_PARTS,
        n_inline_rows=N_INLINE_ROWS,
        version=ace_steps.__version__,
    )


def markdown(page: Page, figures: str) -> str:
    """GitHub's Markdown.

    Args:
        page: The report.
        figures: Path from the Markdown to the folder of figures; empty where none is written.
    """
    template = _environment(is_markup=False).get_template("report.md.jinja")
    text = template.render(page=page, figures=figures, version=ace_steps.__version__)
    return re.sub(r"\n{3,}", "\n\n", text)


def _packed(text: str) -> str:
    """Text for the page's script to unpack: gzip without a time, in base64."""
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def _sort_key(value: float | str) -> str:
    """A cell's value as the page's script reads it; six digits tell any two apart that differ."""
    if not isinstance(value, float):
        return str(value)
    if math.isnan(value):
        return ""
    return f"{value:.6g}".replace("inf", "Infinity")


def _environment(*, is_markup: bool) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=is_markup,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_uri"] = lambda text: quote(text, safe=IN_URI)
    environment.filters["packed"] = _packed
    environment.filters["sort_key"] = _sort_key
    environment.filters["escaped"] = lambda text: SPECIAL.sub(r"\\\1", text)
    return environment
