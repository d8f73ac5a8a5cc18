"""Descriptions and tables on a terminal, or as plain text where there is none."""

import json
from collections.abc import Iterable

import polars as pl
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

PLAIN_WIDTH = 240  # of text that no terminal wraps
LONGEST_CELL = 60


def console() -> Console:
    """Standard output; without colours, boxes and wrapping where it is no terminal."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)


def print_description(screen: Console, found: dict) -> None:
    """Print what ``ace_steps.show.files.describe`` found."""
    figures = ", ".join(f"{value:,} {name}" for name, value in found["figures"].items())
    what = f"table {found['table']}" if found.get("table") else found["kind"]
    key = f", unique in and sorted by {found['key']}" if found.get("key") else ""
    screen.print(Text(found["file"], style="bold"))
    screen.print(Text(f"{what}: {figures}{key}"))
    columns = found.get("columns", [])
    is_typed = any("type" in column for column in columns)  # not those of a CSV
    if is_typed:
        wanted = ("name", "type", "least", "largest", "meaning")
        _print_table(screen, "columns", wanted, ([c.get(w) for w in wanted] for c in columns))
    if "tensors" in found:
        wanted = ("name", "type", "shape")
        rows = ([tensor[each] for each in wanted] for tensor in found["tensors"])
        _print_table(screen, "tensors", wanted, rows)
    if "provenance" in found:
        _print_provenance(screen, found["provenance"])
    if found.get("rows") or (columns and not is_typed):
        names = [column["name"] for column in columns]
        _print_table(screen, "first rows", names, (row.values() for row in found["rows"]))
    for line in found.get("lines", ()):
        screen.print(Text(line))


def print_runs(screen: Console, table: pl.DataFrame) -> None:
    """Print a table of runs; a column in which all rows agree becomes part of the heading."""
    shared = [name for name in table.columns if table[name].n_unique() == 1 and len(table) > 1]
    told = [f"{name} {_cell(table[name][0])}" for name in shared if _cell(table[name][0])]
    heading = f"{len(table)} runs" + (f"; all: {', '.join(told)}" if told else "")
    rest = table.drop(shared)
    _print_table(screen, heading, rest.columns, rest.iter_rows())


def _print_provenance(screen: Console, note: dict | None) -> None:
    if note is None:
        screen.print(Text("\nprovenance: the file does not say how it was made"))
        return
    rows = [("step", note.get("step")), ("version", note.get("version"))]
    for part in ("settings", "facts", "inputs"):
        told = note.get(part) or {}
        rows += [(f"{part}: {k}", "none" if v is None else v) for k, v in told.items()]
    _print_table(screen, "provenance", ("what", "value"), rows)


def _print_table(
    screen: Console, title: str, names: Iterable[str], rows: Iterable[Iterable[object]]
) -> None:
    """Numbers to the right, everything else to the left."""
    cells = [list(row) for row in rows]
    style = box.SIMPLE_HEAD if screen.is_terminal else None
    table = Table(box=style, padding=(0, 1), pad_edge=False)
    for place, name in enumerate(names):
        is_number = all(isinstance(row[place], int | float | None) for row in cells)
        justify = "right" if is_number and cells else "left"
        table.add_column(Text(name), justify=justify, overflow="fold")
    for row in cells:
        table.add_row(*(Text(_cell(value)) for value in row))
    screen.print()
    screen.print(Text(title, style="bold"))
    screen.print(table)


def _cell(value: object) -> str:
    """A value as a short text; nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4f}" if 1e-3 <= abs(value) < 1e5 or not value else f"{value:.3g}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_CELL else f"{text[: LONGEST_CELL - 3]}..."
