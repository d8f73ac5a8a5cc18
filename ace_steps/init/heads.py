"""The first rows of a file in bounded memory, and which public format they have."""

import ast
import csv
import difflib
import gzip
import io
import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from polars.exceptions import PolarsError

from ace_steps.errors import InputError
from ace_steps.preprocess.raw_data import unreadable
from ace_steps.preprocess.read_movielens import GENRES
from ace_steps.preprocess.read_recbole import KINDS

HEAD_BYTES = 64 * 2**20  # of the unpacked text
HEAD_ROWS = 200_000
N_OBJECTS = 100  # JSON lines that are parsed
N_SNIFFED = 100  # records that decide on the separator
BATCH_ROWS = 8_192
SEPARATORS = {"\t": "tab", ";": "semicolon", ",": "comma", "|": "bar"}

Role = Literal["interactions", "items"]
DELIMITED, PARQUET, JSON_LINES, LINES = "delimited text", "Parquet", "JSON lines", "lines"
# Fields of the JSON objects: those that a line has, and those that it must not have.
JSON_FORMATS: dict[tuple[str, Role], tuple[set[str], set[str]]] = {
    ("amazon_2014", "interactions"): ({"reviewerID", "asin", "unixReviewTime"}, set()),
    ("amazon_2014", "items"): ({"asin"}, {"reviewerID", "parent_asin", "user_id"}),
    ("amazon_2023", "interactions"): ({"user_id", "parent_asin", "timestamp"}, set()),
    ("amazon_2023", "items"): ({"parent_asin"}, {"user_id"}),
    ("yelp", "interactions"): ({"user_id", "business_id", "date", "stars"}, set()),
    ("yelp", "items"): ({"business_id", "name"}, {"user_id"}),
}
USUAL_NAMES = ("u.data", "u.item", "ratings.", "movies.", "review", "business", "meta")


@dataclass(frozen=True)
class Head:
    """The beginning of a file.

    Attributes:
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
    except (OSError, EOFError, zlib.error, pa.ArrowException) as damage:
        raise unreadable(path, damage) from None
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
        # Moments without their zones, some of which (`+05:30`) polars does not know.
        for i, column in enumerate(arrow.schema):
            if pa.types.is_timestamp(column.type) and column.type.tz:
                moments = arrow.column(i).cast(pa.timestamp(column.type.unit))
                arrow = arrow.set_column(i, column.name, moments)
        table = pl.from_arrow(arrow)
    except (PolarsError, pa.ArrowException) as refusal:
        raise InputError(f"{path}: a column's type cannot be read ({refusal}).") from None
    return Head(path, PARQUET, is_whole, len(table), table)


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
    try:  # all columns as text; empty fields are null
        table = pl.read_csv(
            io.BytesIO(text.encode()),
            separator=separator,
            infer_schema=False,
            n_rows=max_rows,
            truncate_ragged_lines=True,
        )
    except PolarsError as refusal:
        raise unreadable(path, refusal) from None
    table.columns = names
    is_whole = is_whole and len(table) < max_rows
    if not is_whole:
        table = table[:-1]  # its last row may be cut
    return Head(path, DELIMITED, is_whole, len(table), table, separator=separator, **form)


def _objects(lines: list[str]) -> list[dict[str, Any]]:
    """The leading lines as objects, of JSON or of Python literals; up to the first other line."""
    objects = []
    for line in filter(str.strip, lines[:N_OBJECTS]):
        try:
            value = json.loads(line)
        except ValueError:
            try:
                value = ast.literal_eval(line)
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                break
        if not isinstance(value, dict):
            break
        objects.append(value)
    return objects


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


def _problem(names: list[str]) -> str:
    """Why the names of a first line are no header, empty where they are one."""
    if not any(character.isalpha() for name in names for character in name):
        return f"expected a header line with names, got {', '.join(names[:4])}; add one"
    repeated = [name for i, name in enumerate(names) if name in names[:i]]
    return f"expected each column once, got '{repeated[0]}' twice; rename one" if repeated else ""


@dataclass(frozen=True)
class Recognized:
    """A file in a public format: its reader, its role, and what gave it away."""

    head: Head
    reader: str
    role: Role
    why: str


def recognize(head: Head) -> Recognized | None:
    """The public format of a file, None where it has none."""
    if head.form == JSON_LINES:
        return _json_format(head)
    if head.form not in (DELIMITED, LINES):
        return None
    names = head.table.columns if head.table is not None else []
    kinds = {name.rpartition(":")[2] for name in names}
    if names and head.separator == "\t" and kinds <= set(KINDS):
        bare = {name.rpartition(":")[0] for name in names}
        why = f"a header of name:kind ({', '.join(names[:3])})"
        if {"user_id", "item_id", "timestamp"} <= bare:
            return Recognized(head, "recbole", "interactions", why)
        if "item_id" in bare and "user_id" not in bare:
            return Recognized(head, "recbole", "items", why)
    return _movielens_format(head, names)


def _json_format(head: Head) -> Recognized | None:
    if not head.objects:
        return None
    common = set.intersection(*map(set, head.objects))
    present = set.union(*map(set, head.objects))
    for (reader, role), (has, lacks) in JSON_FORMATS.items():
        if has <= common and not lacks & present:
            return Recognized(head, reader, role, f"its lines have {', '.join(sorted(has))}")
    return None


def _movielens_format(head: Head, names: list[str]) -> Recognized | None:
    """20M, 25M, 32M and latest by their headers; 100K, 1M and 10M, which have none, by all rows."""
    separator = head.separator or "::"
    rows = [line.split(separator) for line in head.lines[:20] if line]
    if not rows:
        return None
    are_ratings = all(len(row) == 4 and all(map(_is_number, row)) for row in rows)
    role, why = None, ""
    if separator == "," and names == ["userId", "movieId", "rating", "timestamp"]:
        role, why = "interactions", "the header of MovieLens' ratings.csv"
    elif separator == "," and names == ["movieId", "title", "genres"]:
        role, why = "items", "the header of MovieLens' movies.csv"
    elif separator == "\t" and are_ratings:
        role, why = "interactions", "four tab-separated numbers and no header"
    elif separator == "|" and all(
        len(row) == 5 + len(GENRES) and row[0].isdigit() and set(row[5:]) <= {"0", "1"}
        for row in rows
    ):
        role, why = "items", "24 fields between bars and no header, as u.item"
    elif separator == "::" and are_ratings:
        role, why = "interactions", "user::item::rating::time"
    elif separator == "::" and all(len(row) == 3 and row[0].isdigit() for row in rows):
        role, why = "items", "item::title::genres"
    return Recognized(head, "movielens", role, why) if role else None


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()


def best_pairs(files: list[Recognized]) -> list[tuple[Recognized, Recognized]]:
    """Logs with catalogs of the same format, the likeliest pair first.

    Likely: the names that the publisher gives; then names that resemble each other, as
    ``reviews_Beauty_5`` and ``meta_Beauty``; then the larger file.
    """

    def likeliness(pair: tuple[Recognized, Recognized]) -> tuple[int, float, int]:
        names = [file.head.path.name for file in pair]
        n_usual = sum(name.lower().startswith(USUAL_NAMES) for name in names)
        alike = difflib.SequenceMatcher(None, *names).ratio()
        return n_usual, round(alike, 1), sum(file.head.n_rows for file in pair)

    logs = [file for file in files if file.role == "interactions"]
    catalogs = [file for file in files if file.role == "items"]
    pairs = [(log, cat) for log in logs for cat in catalogs if log.reader == cat.reader]
    return sorted(pairs, key=likeliness, reverse=True)
