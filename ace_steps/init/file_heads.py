"""The first rows of a file in bounded memory, and which public format they have."""

import difflib
import io
import re
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from polars.exceptions import PolarsError

from ace_steps.errors import InputError
from ace_steps.init.columns import Column, columns_of
from ace_steps.preprocess.raw_data import from_arrow, unreadable
from ace_steps.preprocess.read_table import PARQUET_MAGIC, SEPARATORS

HEAD_BYTES = 2**24  # of the unpacked text
HEAD_ROWS = 200_000  # of Parquet
N_LINES = 100  # that decide on the format
MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5": "zstd"}

DELIMITED, PARQUET, JSON_LINES, LINES = "delimited text", "Parquet", "JSON lines", "lines"
LOG, CATALOG = "interactions", "items"
_FIELD = r"[^\t:]+:(?:token|float)(?:_seq)?"  # of RecBole, whose headers name each column's kind
_RECBOLE = rf"{_FIELD}(?:\t{_FIELD})*"
# Reader and role of a file by its first line, which is a header.
HEADERS = {
    rf"(?=.*\buser_id:)(?=.*\bitem_id:)(?=.*\btimestamp:){_RECBOLE}": ("recbole", LOG),
    rf"(?=.*\bitem_id:)(?!.*\buser_id:){_RECBOLE}": ("recbole", CATALOG),
    r"userId,movieId,rating,timestamp": ("movielens", LOG),
    r"movieId,title,genres": ("movielens", CATALOG),
}
# By all of the first lines, for files without a header: MovieLens 100K, 1M and 10M.
ROWS = {
    r"\d+(\t|::)\d+\1[\d.]+\1[\d.]+": ("movielens", LOG),
    r"\d+::.*::.*": ("movielens", CATALOG),
    r"\d+\|(?:[^|]*\|){4}(?:[01]\|){18}[01]": ("movielens", CATALOG),
}
JSON_FIELD = r"""["']([A-Za-z_]+)["']\s*:"""  # in JSON, and in the Python literals of Amazon 2014
# By the fields of JSON objects: those that every line has, and those that no line has.
OBJECTS = {
    ("amazon_2014", LOG): ({"reviewerID", "asin", "unixReviewTime"}, set()),
    ("amazon_2014", CATALOG): ({"asin"}, {"reviewerID", "parent_asin", "user_id"}),
    ("amazon_2023", LOG): ({"user_id", "parent_asin", "timestamp"}, set()),
    ("amazon_2023", CATALOG): ({"parent_asin"}, {"user_id"}),
    ("yelp", LOG): ({"user_id", "business_id", "date", "stars"}, set()),
    ("yelp", CATALOG): ({"business_id", "name"}, {"user_id"}),
}
USUAL_NAMES = ("u.data", "u.item", "ratings.", "movies.", "review", "business", "meta")


@dataclass(frozen=True)
class Head:
    """The beginning of a file.

    Attributes:
        form: ``delimited text``, ``Parquet``, ``JSON lines``, or ``lines`` of another kind.
        is_whole: Whether that is the whole file.
        n_rows: Rows (or lines) read, a header not counted.
        fields: Names of the columns, or of the fields of JSON lines.
        table: The columns: text for delimited files, typed for Parquet; None for other forms.
        public: Reader and role of a public format, None where it has none.
    """

    path: Path
    form: str
    is_whole: bool
    n_rows: int
    fields: tuple[str, ...] = ()
    table: pl.DataFrame | None = None
    public: tuple[str, str] | None = None

    @cached_property
    def columns(self) -> list[Column]:
        """The columns of the table that can have a role."""
        return columns_of(self.table)

    def description(self) -> str:
        """``logs.csv (delimited text, 5,000 rows)``."""
        part = "" if self.is_whole else "first "
        return f"{self.path} ({self.form}, {part}{self.n_rows:,} rows)"


def read_head(path: Path, *, max_bytes: int = HEAD_BYTES, max_rows: int = HEAD_ROWS) -> Head:
    """The beginning of a file, plain, gzip or zstd.

    Raises:
        InputError: no such file, unreadable, damaged or empty, no text, or not in UTF-8 although
            it has no public format.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(4)
        if magic == PARQUET_MAGIC:
            return _parquet_head(path, max_rows)
        with pa.input_stream(path, compression=MAGIC.get(magic[:2])) as stream:
            content = stream.read(max_bytes + 1)
    except (OSError, pa.ArrowException, PolarsError) as damage:
        raise unreadable(path, damage) from None
    is_whole = len(content) <= max_bytes
    if not is_whole:
        content = content[: content.rfind(b"\n") + 1]
    return _text_head(path, content, is_whole)


def _parquet_head(path: Path, max_rows: int) -> Head:
    with pq.ParquetFile(path) as file:
        batch = next(file.iter_batches(batch_size=max_rows), None)
        batches = [] if batch is None else [batch]
        table = from_arrow(pa.Table.from_batches(batches, file.schema_arrow))
        is_whole = len(table) == file.metadata.num_rows
    return Head(path, PARQUET, is_whole, len(table), tuple(table.columns), table)


def _text_head(path: Path, content: bytes, is_whole: bool) -> Head:
    if b"\0" in content[:4096]:
        raise InputError(
            f"{path}: expected UTF-8 text or Parquet, got other bytes; unpack an archive, save "
            "anything else as CSV in UTF-8."
        )
    try:
        text, is_utf8 = content.decode("utf-8-sig"), True
    except UnicodeDecodeError:
        text, is_utf8 = content.decode("latin-1"), False
    if not text.strip():
        raise InputError(f"{path}: empty.")
    lines = [line.rstrip("\r") for line in text.split("\n", N_LINES)[:N_LINES] if line.strip()]
    head = Head(path, LINES, is_whole, text.count("\n") + (not text.endswith("\n")))
    if lines[0].startswith("{"):
        fields = [re.findall(JSON_FIELD, line) for line in lines]
        public = _format_of_objects([set(names) for names in fields])
        return replace(head, form=JSON_LINES, fields=tuple(fields[0]), public=public)
    public = _format_of_lines(lines)
    if not is_utf8 and public is None:
        raise InputError(
            f"{path}: expected UTF-8, got another encoding; convert it, e.g. "
            f"`iconv -f latin1 -t utf-8`, and run init again."
        )
    separator = next((s for s in SEPARATORS if s in lines[0]), None)
    names = [name.strip().strip('"') for name in lines[0].split(separator)]
    is_header = any(name[:1].isalpha() for name in names) and len(set(names)) == len(names)
    if separator is None or not is_header:
        return replace(head, public=public, fields=tuple(names))
    try:  # all columns as text; empty fields are null
        table = pl.read_csv(
            io.BytesIO(text.encode()),
            separator=separator,
            infer_schema=False,
            truncate_ragged_lines=True,
        )
        table.columns = names
    except PolarsError as refusal:
        raise unreadable(path, refusal) from None
    return Head(path, DELIMITED, is_whole, len(table), tuple(names), table, public)


def _format_of_objects(objects: list[set[str]]) -> tuple[str, str] | None:
    for public, (has, lacks) in OBJECTS.items():
        if all(has <= fields and not lacks & fields for fields in objects):
            return public
    return None


def _format_of_lines(lines: list[str]) -> tuple[str, str] | None:
    for pattern, public in HEADERS.items():
        if re.fullmatch(pattern, lines[0]):
            return public
    for pattern, public in ROWS.items():
        if all(re.fullmatch(pattern, line) for line in lines):
            return public
    return None


def public_pairs(heads: list[Head]) -> list[tuple[Head, Head]]:
    """Logs with catalogs of the same public format, the likeliest pair first.

    Likely: the names that the publisher gives; then names that resemble each other, as
    ``reviews_Beauty_5`` and ``meta_Beauty``; then the larger file.
    """

    def likeliness(pair: tuple[Head, Head]) -> tuple[int, float, int]:
        names = [head.path.name for head in pair]
        n_usual = sum(name.lower().startswith(USUAL_NAMES) for name in names)
        alike = difflib.SequenceMatcher(None, *names).ratio()
        return n_usual, round(alike, 1), sum(head.n_rows for head in pair)

    logs = [head for head in heads if head.public and head.public[1] == LOG]
    catalogs = [head for head in heads if head.public and head.public[1] == CATALOG]
    pairs = [(a, b) for a in logs for b in catalogs if a.public[0] == b.public[0]]
    return sorted(pairs, key=likeliness, reverse=True)
