"""What a report consists of: sections of texts, tables and figures, and how both files are written.

The HTML and the Markdown template draw the same objects, so both hold the same content.
"""

import base64
import math
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
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
class Cell:
    """One entry of a table.

    Attributes:
        text: What is read.
        value: What the column is sorted by, None for the text itself; a missing value is last in
            both directions.
        mark: ``best``, ``second``, ``chosen`` or nothing.
        note: A remark in smaller type, e.g. the change against a baseline.
        share: Length of a bar behind the text, in [0, 1]; None draws none.
    """

    text: str
    value: float | str | None = None
    mark: str = ""
    note: str = ""
    share: float | None = None


def cell(
    value: Cell | str | float | None,
    write: Callable[[float], str] = formatting.number,
    **details: str | float,
) -> Cell:
    """The cell of a text, or of a number that ``write`` formats; a dash for None and NaN.

    ``details`` are further attributes of ``Cell``.
    """
    if isinstance(value, Cell):
        return value
    if isinstance(value, str):
        return Cell(value, **details)
    if value is None or math.isnan(value):
        return Cell(formatting.MISSING, **details)
    return Cell(write(value), value, **details)


@dataclass
class Table:
    """A table with what it shows, where its numbers come from, and whether it starts folded.

    Rows may hold texts and numbers, which become cells.
    """

    kind: ClassVar[str] = "table"
    caption: str
    heads: Iterable[str]
    rows: Iterable[Iterable[Cell | str | float | None]]
    source: str
    is_folded: bool = False
    number: int = 0

    def __post_init__(self) -> None:
        self.heads = list(self.heads)
        self.rows = [[cell(value) for value in row] for row in self.rows]

    @property
    def is_numeric(self) -> list[bool]:
        """Which columns hold numbers; they stand right."""
        return [
            any(isinstance(row[i].value, int | float) for row in self.rows)
            for i in range(len(self.heads))
        ]


@dataclass
class Figure:
    """A figure with its numbers.

    Attributes:
        file: Path of its SVG in a folder of figures.
        svg: The image as matplotlib saves it.
        size: Width and height in CSS pixels.
        alt: What is drawn, in words.
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


@dataclass
class Text:
    """A paragraph; ``is_warning`` sets it apart."""

    kind: ClassVar[str] = "text"
    text: str
    is_warning: bool = False


@dataclass
class Code:
    """A block of monospaced text, folded under its caption."""

    kind: ClassVar[str] = "code"
    caption: str
    text: str


Block = Table | Figure | Text | Code


@dataclass
class Section:
    """A heading, its blocks and the sections under it; ``anchor`` is unique in the page."""

    title: str
    anchor: str
    blocks: list[Block] = field(default_factory=list)
    parts: list["Section"] = field(default_factory=list)


@dataclass
class Page:
    """A whole report; its tables and its figures are numbered from 1 in reading order."""

    title: str
    subtitle: str
    sections: list[Section]

    def __post_init__(self) -> None:
        for kind in (Table, Figure):
            for number, block in enumerate(self.blocks(kind), start=1):
                block.number = number

    def blocks(self, kind: type[Block]) -> Iterator[Block]:
        """All blocks of one kind in reading order."""
        for section in self.sections:
            for each in (section, *section.parts):
                yield from (block for block in each.blocks if isinstance(block, kind))


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
    for kind in FIGURE_KINDS:
        part = folder / f".{kind}.part"
        shutil.rmtree(part, ignore_errors=True)  # of a run that was killed
        part.mkdir(parents=True)
        for figure in page.blocks(Figure):
            if figure.file.startswith(f"{kind}/"):
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
    return f"{value:.6g}".replace("inf", "Infinity") if isinstance(value, float) else str(value)
