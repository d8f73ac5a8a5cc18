"""What a report consists of: sections of texts, tables and figures, and how both files are written.

The HTML and the Markdown template draw the same objects, so both hold the same content.
"""

import base64
import math
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

import ace_steps
from ace_steps.io.files import write_text
from ace_steps.reporting import formatting

FOLDED_FROM = 13  # rows of a table that a reader unfolds first
FIGURE_KINDS = (  # folders that are made, even if some stay empty
    *("data", "spectra", "grid", "grid_test", "geometry", "differences", "slices", "curves"),
    "cost",
)
SPECIAL = re.compile(r"([\\`*_|<>\[\]#])")  # characters that mean something in Markdown


@dataclass(frozen=True)
class TableCell:
    """One entry of a table.

    Attributes:
        text: What is read.
        value: What the column is sorted by, None for the text itself; what is missing, NaN or a
            dash without a value, is last in both directions.
        mark: ``best``, ``second``, ``chosen`` or nothing.
        note: A remark in smaller type, e.g. the change against a baseline.
        share: Length of a bar behind the text, in [0, 1]; None draws none.
    """

    text: str
    value: float | str | None = None
    mark: str = ""
    note: str = ""
    share: float | None = None


def value_cell(
    value: float | None, write: Callable[[float | None], str] = formatting.number
) -> TableCell:
    """The cell of a number, written by one of ``formatting``'s functions."""
    return TableCell(write(value), value)


@dataclass(frozen=True)
class Table:
    """A table with what it shows, where its numbers come from, and whether it starts folded."""

    kind: ClassVar[str] = "table"
    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[TableCell, ...], ...]
    source: str
    is_folded: bool = False
    number: int = 0

    @property
    def is_numeric(self) -> list[bool]:
        """Which columns hold numbers; they stand right."""
        return [
            any(isinstance(cell.value, int | float) for cell in column)
            for column in zip(*self.rows, strict=True)
        ] or [False] * len(self.heads)


@dataclass(frozen=True)
class Figure:
    """A figure with its numbers.

    Attributes:
        file: Path of its SVG in a folder of figures.
        svg: The image as matplotlib saves it.
        size: Width and height in CSS pixels.
        alt: The same in words.
        csv: The numbers that are drawn.
    """

    kind: ClassVar[str] = "figure"
    file: str
    caption: str
    svg: str
    size: tuple[int, int]
    alt: str
    csv: str
    source: str
    number: int = 0

    @property
    def name(self) -> str:
        """The file's path as one word, unique in the page."""
        return self.file.removesuffix(".svg").replace("/", "-")


@dataclass(frozen=True)
class Text:
    """A paragraph; ``is_warning`` sets it apart."""

    kind: ClassVar[str] = "text"
    text: str
    is_warning: bool = False


@dataclass(frozen=True)
class Code:
    """A block of monospaced text, folded under its caption."""

    kind: ClassVar[str] = "code"
    caption: str
    text: str


Block = Table | Figure | Text | Code


@dataclass(frozen=True)
class Section:
    """A heading, its blocks and the sections under it; ``anchor`` is unique in the page."""

    title: str
    anchor: str
    blocks: tuple[Block, ...] = ()
    parts: tuple["Section", ...] = ()


@dataclass(frozen=True)
class Page:
    """A whole report."""

    title: str
    subtitle: str
    sections: tuple[Section, ...]


def numbered(page: Page) -> Page:
    """The page with its tables and its figures numbered from 1 in reading order."""
    counts = {"table": 0, "figure": 0}

    def number_block(block: Block) -> Block:
        if block.kind not in counts:
            return block
        counts[block.kind] += 1
        return replace(block, number=counts[block.kind])

    def number_section(section: Section) -> Section:
        blocks = tuple(map(number_block, section.blocks))
        return replace(section, blocks=blocks, parts=tuple(map(number_section, section.parts)))

    return replace(page, sections=tuple(map(number_section, page.sections)))


def figures_of(page: Page | Section) -> Iterator[Figure]:
    """Every figure of a page in reading order."""
    if isinstance(page, Section):
        yield from (block for block in page.blocks if block.kind == "figure")
    for section in page.sections if isinstance(page, Page) else page.parts:
        yield from figures_of(section)


def html(page: Page, figures: str) -> str:
    """One HTML file: styles, figures and data inside, no request to anywhere.

    Args:
        page: The report.
        figures: Path from the page to the folder of figures; empty where none is written.
    """
    return _render("report.html.jinja", page, figures)


def markdown(page: Page, figures: str) -> str:
    """GitHub's Markdown; arguments as in ``html``."""
    return re.sub(r"\n{3,}", "\n\n", _render("report.md.jinja", page, figures))


def write_figures(page: Page, folder: Path) -> None:
    """Write ``<kind>/<dataset>[/<encoder>[/<backbone>]].svg`` and ``.csv`` of every figure.

    A kind's folder is written whole beside the old one and then takes its place, so that no figure
    of an earlier configuration stays.
    """
    figures = list(figures_of(page))
    for kind in FIGURE_KINDS:
        part = folder / f".{kind}.part"
        shutil.rmtree(part, ignore_errors=True)  # of a run that was killed
        part.mkdir(parents=True)
        for figure in (figure for figure in figures if figure.file.startswith(f"{kind}/")):
            path = part / figure.file.removeprefix(f"{kind}/")
            write_text(path, figure.svg)
            write_text(path.with_suffix(".csv"), figure.csv)
        shutil.rmtree(folder / kind, ignore_errors=True)
        part.rename(folder / kind)


def _render(template: str, page: Page, figures: str) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape="html" in template,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["quoted"] = lambda text: quote(text, safe=",/:;=@+ ~!$*()'")
    environment.filters["base64"] = lambda text: base64.b64encode(text.encode()).decode()
    environment.filters["sort_key"] = _sort_key
    environment.filters["escaped"] = lambda text: SPECIAL.sub(r"\\\1", text)
    context = {"page": page, "figures": figures, "version": ace_steps.__version__}
    return environment.get_template(template).render(context)


def _sort_key(value: float | str) -> str:
    """A cell's value as the page's script reads it; six digits tell any two apart that differ."""
    if not isinstance(value, float):
        return str(value)
    return "" if math.isnan(value) else f"{value:.6g}".replace("inf", "Infinity")
