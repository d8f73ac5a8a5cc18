"""What a report consists of, whatever it is written as: sections of texts, tables and figures.

The HTML and the Markdown templates draw the same objects, so both hold the same content.
"""

from dataclasses import dataclass, replace
from typing import ClassVar


@dataclass(frozen=True)
class Cell:
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


@dataclass(frozen=True)
class Column:
    """A column's head; numbers stand right, words left."""

    label: str
    is_number: bool = True


@dataclass(frozen=True)
class Table:
    """A table with what it shows, where its numbers come from, and whether it starts folded."""

    kind: ClassVar[str] = "table"
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    source: str
    is_folded: bool = False
    number: int = 0


@dataclass(frozen=True)
class Panel:
    """One drawing: an ``<svg>`` element, and the same in words."""

    title: str
    alt: str
    svg: str


@dataclass(frozen=True)
class Figure:
    """Panels side by side with one caption and one legend.

    Attributes:
        file: Path of the figure as a file of its own, an SVG in a folder of figures.
        legend: Pairs of a key (inline SVG) and its label.
        csv: The numbers that are drawn.
    """

    kind: ClassVar[str] = "figure"
    file: str
    caption: str
    panels: tuple[Panel, ...]
    legend: tuple[tuple[str, str], ...]
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
    """A block of text to be read letter by letter, folded under its caption."""

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

    def block_of(block: Block) -> Block:
        if block.kind not in counts:
            return block
        counts[block.kind] += 1
        return replace(block, number=counts[block.kind])

    def section_of(section: Section) -> Section:
        blocks = tuple(block_of(block) for block in section.blocks)
        return replace(section, blocks=blocks, parts=tuple(map(section_of, section.parts)))

    return replace(page, sections=tuple(map(section_of, page.sections)))


def figures_of(page: Page) -> list[Figure]:
    """Every figure of a page in reading order."""
    found: list[Figure] = []
    waiting = list(page.sections)
    while waiting:
        section = waiting.pop(0)
        found += [block for block in section.blocks if block.kind == "figure"]
        waiting = [*section.parts, *waiting]
    return found
