"""What a text file is: its first lines, a CSV's first rows, a drawing's or a page's title."""

import csv
import html
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TextIO

from ace_steps.errors import InputError

COUNTED_BYTES = 2**24  # lines of a larger file are not counted
LINE_CHARS = 2**16  # what is longer counts as several lines
HEAD_CHARS = 2**16  # where a title is looked for
DELIMITERS = {".csv": ",", ".tsv": "\t"}
MARKUP = {".svg": "a drawing", ".html": "a page for a browser"}
NUMBER = re.compile(r"-?(0|[1-9]\d{,30})(\.\d+)?([eE][+-]?\d{1,2})?")  # as JSON writes it, finite
TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.DOTALL)
SIZE = re.compile(r'<svg[^>]*?\swidth="([^"]*)"[^>]*?\sheight="([^"]*)"')


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
