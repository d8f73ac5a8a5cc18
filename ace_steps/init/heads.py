"""The first rows of a file of any form that init knows, in bounded memory."""

import ast
import csv
import gzip
import io
import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from polars.exceptions import PolarsError

from ace_steps.errors import InputError

HEAD_BYTES = 64 * 2**20  # of the unpacked text
HEAD_ROWS = 200_000
N_OBJECTS = 100  # JSON lines that are parsed
N_SNIFFED = 100  # records that decide on the separator
BATCH_ROWS = 8_192
SEPARATORS = {"\t": "tab", ";": "semicolon", ",": "comma", "|": "bar"}

DELIMITED, PARQUET, JSON_LINES, LINES = "delimited text", "Parquet", "JSON lines", "lines"


@dataclass(frozen=True)
class Head:
    """The beginning of a file.

    Attributes:
        path: As it was given.
        form: ``delimited text``, ``Parquet``, ``JSON lines``, or ``lines`` of another kind.
        is_whole: Whether that is the whole file.
        n_rows: Rows (or lines) read, the header not counted.
        table: The columns: text for delimited files, typed for Parquet; None for the other forms.
        lines: The first lines of a text file, at most ``N_SNIFFED``.
        objects: The first lines of JSON lines, parsed.
        separator: Of delimited text.
        is_utf8: Whether the text is UTF-8.
        problem: Why delimited text has no table: no header, or a name twice in it; else empty.
    """

    path: Path
    form: str
    is_whole: bool
    n_rows: int
    table: pl.DataFrame | None = None
    lines: list[str] = field(default_factory=list)
    objects: list[dict[str, Any]] = field(default_factory=list)
    separator: str | None = None
    is_utf8: bool = True
    problem: str = ""

    def description(self) -> str:
        """``logs.csv (delimited text, comma; 5,000 rows)``."""
        separator = f", {SEPARATORS[self.separator]}" if self.separator else ""
        what = "rows" if self.table is not None else "lines"
        size = f"{self.n_rows:,} {what}" if self.is_whole else f"first {self.n_rows:,} {what} read"
        return f"{self.path} ({self.form}{separator}; {size})"


def read_head(path: Path, *, max_bytes: int = HEAD_BYTES, max_rows: int = HEAD_ROWS) -> Head:
    """The beginning of a file, plain, gzip or zstd.

    Raises:
        InputError: no such file, unreadable or damaged, empty, an archive, or no text.
    """
    try:
        with path.open("rb") as opened:
            magic = opened.read(4)
        if magic == b"PAR1":
            return _parquet_head(path, max_bytes, max_rows)
        if magic[:2] == b"PK":
            raise InputError(f"{path}: expected a file, got a zip archive; unpack it first.")
        with _unpacked(path, magic) as stream:
            content = stream.read(max_bytes + 1)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except (OSError, EOFError, zlib.error, pa.ArrowException) as damage:
        reason = (str(damage).strip() or type(damage).__name__).splitlines()[0]
        raise InputError(f"{path}: not readable ({reason.rstrip('.')}).") from None
    is_whole = len(content) <= max_bytes
    if not is_whole:
        content = content[: content.rfind(b"\n") + 1]
    return _text_head(path, content, is_whole, max_rows)


def _unpacked(path: Path, magic: bytes) -> BinaryIO:
    if magic[:2] == b"\x1f\x8b":
        return gzip.open(path, "rb")
    if magic == b"\x28\xb5\x2f\xfd":
        return pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")
    return path.open("rb")


def _parquet_head(path: Path, max_bytes: int, max_rows: int) -> Head:
    with pq.ParquetFile(path) as file:
        problem = _problem(file.schema_arrow.names)
        if problem:
            return Head(path, PARQUET, False, file.metadata.num_rows, problem=problem)
        batches, n_rows, n_bytes = [], 0, 0
        for batch in file.iter_batches(batch_size=BATCH_ROWS):
            batches.append(batch)
            n_rows, n_bytes = n_rows + batch.num_rows, n_bytes + batch.nbytes
            if n_rows >= max_rows or n_bytes >= max_bytes:
                break
        arrow = pa.Table.from_batches(batches, file.schema_arrow).slice(0, max_rows)
        is_whole = arrow.num_rows == file.metadata.num_rows
    try:
        table = pl.from_arrow(_in_utc(arrow))
    except (PolarsError, pa.ArrowException) as refusal:
        raise InputError(f"{path}: a column's type cannot be read ({refusal}).") from None
    return Head(path, PARQUET, is_whole, len(table), table)


def _in_utc(arrow: pa.Table) -> pa.Table:
    """Moments without their zones, some of which (``+05:30``) polars does not know."""
    for place, column in enumerate(arrow.schema):
        if pa.types.is_timestamp(column.type) and column.type.tz:
            plain = arrow.column(place).cast(pa.timestamp(column.type.unit))
            arrow = arrow.set_column(place, column.name, plain)
    return arrow


def _text_head(path: Path, content: bytes, is_whole: bool, max_rows: int) -> Head:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in content[:4096]:
        raise InputError(
            f"{path}: expected UTF-8 text or Parquet, got other bytes; save it as CSV in UTF-8."
        )
    try:
        text, is_utf8 = content.decode("utf-8-sig"), True
    except UnicodeDecodeError:
        text, is_utf8 = content.decode("latin-1"), False
    if not text.strip():
        raise InputError(f"{path}: empty.")
    lines = [line.rstrip("\r") for line in text[: 2**20].split("\n")[:N_SNIFFED]]
    n_lines = text.count("\n") + (not text.endswith("\n"))
    form: dict[str, Any] = {"lines": lines, "is_utf8": is_utf8}
    if lines[0].lstrip().startswith(("{", "[")):
        return Head(path, JSON_LINES, is_whole, n_lines, objects=_objects(lines), **form)
    separator = _separator(lines)
    if separator is None:
        return Head(path, LINES, is_whole, n_lines, **form)
    names = [name.strip() for name in next(csv.reader(io.StringIO(text), delimiter=separator))]
    problem = _problem(names)
    if problem:
        form |= {"separator": separator, "problem": problem}
        return Head(path, DELIMITED, is_whole, n_lines, **form)
    table = _table(path, text, separator, max_rows)
    table.columns = names
    is_whole = is_whole and len(table) < max_rows
    if not is_whole:
        table = table[:-1]  # its last row may be cut
    return Head(path, DELIMITED, is_whole, len(table), table, separator=separator, **form)


def _objects(lines: list[str]) -> list[dict[str, Any]]:
    """The leading lines as objects, of JSON or of Python literals; up to the first other line."""
    found = []
    for line in filter(str.strip, lines[:N_OBJECTS]):
        try:
            value = json.loads(line)
        except ValueError:
            try:
                value = ast.literal_eval(line)
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                return found
        if not isinstance(value, dict):
            return found
        found.append(value)
    return found


def _separator(lines: list[str]) -> str | None:
    """The separator that gives most fields, the same number in nearly every record."""
    best, most = None, 1
    if "::" in lines[0]:  # MovieLens 1M and 10M, whose titles hold commas
        return best
    for separator in SEPARATORS:
        records = [r for r in csv.reader(lines, delimiter=separator) if r]
        n_fields = len(records[0])
        is_steady = sum(len(r) == n_fields for r in records) >= 0.8 * len(records)
        if n_fields > most and is_steady:
            best, most = separator, n_fields
    return best


def _table(path: Path, text: str, separator: str, max_rows: int) -> pl.DataFrame:
    """All columns as text; empty fields are null."""
    form = {"separator": separator, "infer_schema": False, "n_rows": max_rows}
    try:
        table = pl.read_csv(io.BytesIO(text.encode()), truncate_ragged_lines=True, **form)
    except PolarsError as refusal:
        reason = str(refusal).splitlines()[0].rstrip(".")
        raise InputError(f"{path}: not readable as a table ({reason}).") from None
    return table


def _problem(names: list[str]) -> str:
    """Why the names of a first line are no header, empty where they are one."""
    if not any(character.isalpha() for name in names for character in name):
        return f"expected a header line with names, got {', '.join(names[:4])}; add one"
    repeated = [name for i, name in enumerate(names) if name in names[:i]]
    return f"expected each column once, got '{repeated[0]}' twice; rename one" if repeated else ""
