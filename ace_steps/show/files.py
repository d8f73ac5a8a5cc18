"""What a file holds: schema, provenance, first rows and key figures, as JSON values."""

import csv
import html
import json
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TextIO

import pyarrow as pa

from ace_steps.errors import InputError
from ace_steps.io import tensors
from ace_steps.io.parquet import TABLE_KEY, open_parquet
from ace_steps.io.provenance import METADATA_KEY

SHOWN_ENTRIES = 4  # of a vector
COUNTED_BYTES = 2**24  # lines of a larger file are not counted
LINE_CHARS = 2**16  # what is longer counts as several lines
HEAD_CHARS = 2**16  # where a title is looked for
DELIMITERS = {".csv": ",", ".tsv": "\t"}
MARKUP = {".svg": "a drawing", ".html": "a page for a browser"}
NUMBER = re.compile(r"-?(0|[1-9]\d{,30})(\.\d+)?([eE][+-]?\d{1,2})?")  # as JSON writes it, finite
TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.DOTALL)
SIZE = re.compile(r'<svg[^>]*?\swidth="([^"]*)"[^>]*?\sheight="([^"]*)"')


def describe(path: Path, n_rows: int) -> dict:
    """A file as JSON values; large files are not read as a whole.

    Args:
        path: A Parquet or safetensors file, which is verified, or a text of a kind in ``READERS``.
        n_rows: Rows, or lines of a text, to take from its beginning.

    Returns:
        ``file``, ``kind`` and, as the kind has them: ``table``, ``key``, ``figures`` by name,
        ``columns`` (name, type, meaning, least, largest), ``tensors`` (name, type, shape),
        ``rows``, ``provenance`` (None where the file does not say), ``lines``.

    Raises:
        InputError: no such file, a damaged one, or one of no kind that is known.
    """
    if path.suffix not in READERS:
        raise InputError(
            f"{path}: cannot be shown; expected a results folder or a file that ends in "
            f"{', '.join(READERS)}."
        )
    if not path.is_file():
        raise InputError(f"{path}: no such file.")
    return {"file": str(path), **READERS[path.suffix](path, max(n_rows, 0))}


def _parquet(path: Path, n_rows: int) -> dict:
    with open_parquet(path) as file:
        schema, footer = file.schema_arrow, file.metadata
        note = schema.metadata or {}
        first = next(file.iter_batches(max(n_rows, 1)), None)
        figures = {
            "rows": footer.num_rows,
            "row groups": footer.num_row_groups,
            "bytes": path.stat().st_size,
        }
        columns = [_column(field, footer) for field in schema]
    rows = [] if first is None else first.slice(0, n_rows).to_pylist()
    return {
        "kind": "parquet",
        "table": note.get(TABLE_KEY, b"").decode(),
        "key": note.get(b"key", b"").decode(),
        "figures": figures,
        "columns": columns,
        "rows": [{name: _cell(value) for name, value in row.items()} for row in rows],
        "provenance": _provenance(note.get(METADATA_KEY.encode()), path),
    }


def _column(field: pa.Field, footer: object) -> dict:
    """Name, type and meaning, and the range of a plain column as the file's footer has it."""
    meaning = (field.metadata or {}).get(b"meaning", b"").decode()
    found = {"name": field.name, "type": str(field.type), "meaning": meaning}
    if pa.types.is_nested(field.type):
        return found
    place = next(i for i in range(footer.num_columns) if footer.schema.column(i).path == field.name)
    groups = [footer.row_group(i).column(place) for i in range(footer.num_row_groups)]
    known = [g.statistics for g in groups if g.is_stats_set and g.statistics.has_min_max]
    if not known or len(known) < len(groups):
        return found
    least, largest = min(each.min for each in known), max(each.max for each in known)
    return found | {"least": _cell(least), "largest": _cell(largest)}


def _safetensors(path: Path, n_rows: int) -> dict:
    found, told = tensors.list_tensors(path)
    figures = {
        "tensors": len(found),
        "entries": sum(math.prod(each.shape) for each in found),
        "bytes": path.stat().st_size,
    }
    return {
        "kind": "safetensors",
        "figures": figures,
        "tensors": [each._asdict() for each in found],
        "provenance": _provenance(told, path),
    }


def _provenance(note: str | bytes | None, path: Path) -> dict | None:
    """The note of one of our files, whatever version wrote it; None for a foreign file."""
    if note is None:
        return None
    try:
        return json.loads(note)
    except ValueError:
        raise InputError(f"{path}: its provenance is not JSON.") from None


def _cell(value: object) -> object:
    """A value that JSON holds; of a vector its first entries and its width."""
    if isinstance(value, list):
        shown = [_cell(each) for each in value[:SHOWN_ENTRIES]]
        return [*shown, f"... {len(value)} entries"] if len(value) > SHOWN_ENTRIES else shown
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def describe_lines(path: Path, n_rows: int) -> dict:
    """A text's first lines; ``lines`` are counted in a file of up to 16 MiB."""
    with _opened(path) as file:
        first = [line.removesuffix("\n") for line in islice(_lines(file), n_rows)]
        figures = _counted("lines", len(first), _lines(file), path)
    return {"kind": path.suffix[1:], "figures": figures, "lines": first}


def describe_separated(path: Path, n_rows: int) -> dict:
    """The first rows of a CSV or TSV with a head; numbers are told from words.

    Raises:
        InputError: no text, the head names a column twice, or a row has more or fewer fields.
    """
    with _opened(path) as file:
        lines = csv.reader(_lines(file), delimiter=DELIMITERS[path.suffix])
        names = next(lines, [])
        if len(set(names)) < len(names):
            raise InputError(f"{path}: its head names a column twice: {', '.join(names)}.")
        rows = [_row(names, fields, f"{path}: row {n}") for n, fields in _numbered(lines, n_rows)]
        figures = _counted("rows", len(rows), (fields for fields in lines if fields), path)
    columns = [{"name": name} for name in names]
    return {"kind": path.suffix[1:], "figures": figures, "columns": columns, "rows": rows}


def describe_markup(path: Path, n_rows: int) -> dict:
    """An SVG's or a page's title and an SVG's size; its markup is for a browser."""
    with _opened(path) as file:
        head = file.read(HEAD_CHARS)
    title, size = TITLE.search(head), SIZE.search(head)
    told = MARKUP[path.suffix]
    if size and path.suffix == ".svg":
        told += f" of {size[1]} by {size[2]}"
    lines = [told, f"title: {' '.join(html.unescape(title[1]).split())}" if title else "no title"]
    return {"kind": path.suffix[1:], "figures": {"bytes": path.stat().st_size}, "lines": lines}


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    try:
        with path.open(encoding="utf-8", newline=None) as file:
            yield file
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text in UTF-8.") from None
    except csv.Error as fault:
        raise InputError(f"{path}: not a table as text ({fault}).") from None


def _lines(file: TextIO) -> Iterator[str]:
    """The lines, never more than ``LINE_CHARS`` of one in memory."""
    while line := file.readline(LINE_CHARS):
        yield line


def _numbered(lines: Iterator[list[str]], n_rows: int) -> Iterator[tuple[int, list[str]]]:
    """The first rows that are not blank, from 1."""
    return enumerate(islice(filter(None, lines), n_rows), start=1)


def _counted(name: str, n_shown: int, rest: Iterator, path: Path) -> dict[str, int]:
    """How many there are in all, where that takes no time, and the bytes."""
    n_bytes = path.stat().st_size
    if n_bytes > COUNTED_BYTES:
        return {"bytes": n_bytes}
    return {name: n_shown + sum(1 for _ in rest), "bytes": n_bytes}


def _row(names: list[str], fields: list[str], where: str) -> dict[str, object]:
    if len(fields) != len(names):
        raise InputError(f"{where} has {len(fields)} fields, but the head has {len(names)}.")
    return dict(zip(names, map(_value, fields), strict=True))


def _value(text: str) -> float | str | None:
    """A number or words; None for nothing."""
    return json.loads(text) if NUMBER.fullmatch(text) else text or None


READERS = {
    ".parquet": _parquet,
    ".safetensors": _safetensors,
    **dict.fromkeys(DELIMITERS, describe_separated),
    **dict.fromkeys(MARKUP, describe_markup),
    **dict.fromkeys((".json", ".yaml", ".log", ".txt", ".md", ".tex"), describe_lines),
}
