"""Writes a page as one self-contained HTML file or as Markdown; the same content in both."""

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

import ace_steps
from ace_steps.reporting.page import Page
from ace_steps.reporting.svg import variables

SPECIAL = re.compile(r"([\\`*_|<>\[\]#])")


def html(page: Page) -> str:
    """One HTML file: styles, figures and data inside, no request to anywhere."""
    return (
        _environment(is_markup=True)
        .get_template("report.html.jinja")
        .render(page=page, colors=variables(), version=ace_steps.__version__)
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


def _environment(*, is_markup: bool) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=is_markup,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["escaped"] = lambda text: SPECIAL.sub(r"\\\1", text)
    return environment
