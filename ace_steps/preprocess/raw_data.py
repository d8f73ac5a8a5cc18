"""What every reader returns, and the reading and checking of files that readers share.

A file that cannot be read, or that is wrong, is an ``InputError`` of one line: the path, the number
of the first wrong line, what was expected and what is there.
"""

import glob
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import polars.selectors as cs
import pyarrow as pa
from polars.exceptions import PolarsError

from ace_steps.errors import InputError

PER_SECOND = {"seconds": 1, "milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}
LATEST_S = 32_503_680_000.0  # the year 3000: later times are in another unit, or no times at all
N_EXAMPLES = 3
BOM = "\ufeff"


@dataclass(frozen=True)
class RawData:
    """A log and its catalog, as the files hold them.

    Attributes:
        events: user_id and item_id (text), timestamp (float64, seconds), rating (float64, null
            where the source has none); in file order.
        items: item_id (text) and any text columns, which may hold nulls; one row an item.
    """

    events: pl.DataFrame
    items: pl.DataFrame


def unreadable(path: Path, cause: Exception) -> InputError:
    """One line for a file that the system or the parser refuses."""
    if isinstance(cause, FileNotFoundError):
        return InputError(f"{path}: no such file.")
    reason = (str(cause).strip() or type(cause).__name__).splitlines()[0]
    return InputError(f"{path}: not readable ({reason.rstrip('.')}).")


def starts_with(path: Path, magic: bytes) -> bool:
    """Whether a file begins with these bytes."""
    try:
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except OSError as damage:
        raise unreadable(path, damage) from None


def lines(path: Path, n_rows: int | None = None) -> pl.DataFrame:
    """The lines of a UTF-8 text file, plain or compressed, as the column line."""
    if path.is_dir():
        raise InputError(f"{path}: expected a file, got a folder.")
    try:
        table = pl.read_lines(path, n_rows=n_rows, glob=False)
    except (OSError, PolarsError) as damage:
        raise unreadable(path, damage) from None
    return table.select(pl.col("line").str.strip_prefix(BOM))


def header(path: Path, separator: str) -> list[str]:
    """The names in a delimited file's first line, quotes and byte-order mark taken off."""
    first = "".join(lines(path, n_rows=1)["line"])
    if not first.strip():
        raise InputError(f"{path}: expected a header line, got an empty one; add the names.")
    return [name.strip().strip('"') for name in first.split(separator)]


def require_columns(path: Path, columns: Sequence[str], required: Sequence[str]) -> None:
    """Refuse a file that lacks a column, naming those it has."""
    missing = [name for name in required if name not in columns]
    if missing:
        raise InputError(
            f"{path}: expected a column '{missing[0]}', got {', '.join(columns) or 'none'}."
        )


def read_delimited(
    path: Path,
    columns: dict[str, str],
    *,
    separator: str,
    quote: str | None = None,
    names: list[str] | None = None,
) -> pl.DataFrame:
    """Chosen columns of a delimited text file, plain or compressed, as text.

    Args:
        path: The file, UTF-8.
        columns: Names in the file to names in the result.
        separator: One character between fields.
        quote: The character that may enclose a field, or None.
        names: Names of all columns in order, for a file without a header line.
    """
    fields = names or header(path, separator)
    require_columns(path, fields, list(columns))
    try:
        table = pl.read_csv(
            path,
            schema=dict.fromkeys(fields, pl.String),
            separator=separator,
            quote_char=quote,
            has_header=names is None,
            glob=False,  # a bracket in a file's name is a bracket
        )
    except OSError as damage:
        raise unreadable(path, damage) from None
    except PolarsError as refusal:
        _refuse_long_line(path, fields, separator)
        raise unreadable(path, refusal) from None
    return table.select(pl.col(name).alias(result) for name, result in columns.items())


def _refuse_long_line(path: Path, fields: list[str], separator: str) -> None:
    """Refuse the first line that has more fields than there are columns."""
    unquoted = lines(path)["line"].str.replace_all(r'"[^"]*"', "")
    n_fields = unquoted.str.count_matches(separator, literal=True) + 1
    row = _first_row(n_fields.to_frame(), pl.col("line") > len(fields))
    if row is not None:
        raise InputError(
            f"{path}: line {row + 1}: expected {len(fields)} fields ({', '.join(fields)}), "
            f"got {n_fields[row]}."
        )


def read_json_lines(
    path: Path, fields: dict[str, str], *, lists: Sequence[str] = ()
) -> pl.DataFrame:
    """Chosen fields of a file with one JSON object a line, plain or gzip, as text.

    Absent fields are null; an entry that is a list becomes one text, its members between commas.

    Args:
        path: The file, UTF-8.
        fields: Names in the objects to names in the result.
        lists: Names of the fields that hold lists of texts.
    """
    kinds = {name: pl.List(pl.String) if name in lists else pl.String for name in fields}
    source = glob.escape(str(path))  # a bracket in a file's name is a bracket
    if starts_with(path, BOM.encode()):
        source = io.BytesIO(path.read_bytes()[len(BOM.encode()) :])
    try:
        table = pl.scan_ndjson(source, schema=kinds).collect()
    except OSError as damage:
        raise unreadable(path, damage) from None
    except PolarsError as refusal:
        _refuse_broken_json(path, lists)
        raise unreadable(path, refusal) from None
    table = table.with_columns(joined(name) for name in lists)
    return table.select(pl.col(name).alias(result) for name, result in fields.items())


def _refuse_broken_json(path: Path, lists: Sequence[str]) -> None:
    """Refuse the first line that is no object, or has no list where one is expected."""
    for number, line in enumerate(lines(path)["line"], start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except ValueError as refusal:
            raise InputError(f"{path}: line {number} is not JSON ({refusal}).") from None
        if not isinstance(entry, dict):
            raise InputError(f"{path}: line {number} is not a JSON object.")
        for name in lists:
            if not isinstance(entry.get(name), list | None):
                raise InputError(
                    f"{path}: line {number}: '{name}': expected a list, got {entry[name]!r}."
                )


def joined(name: str) -> pl.Expr:
    """A column of lists as one text, its entries separated by commas; empty lists become null."""
    entries = pl.col(name).list.drop_nulls()
    return pl.when(entries.list.len() > 0).then(entries.list.join(", ")).alias(name)


def from_arrow(table: pa.Table) -> pl.DataFrame:
    """An Arrow table for polars, which does not know zones such as ``+05:30``: moments are UTC."""
    for i, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type) and column.type.tz:
            moments = table.column(i).cast(pa.timestamp(column.type.unit))
            table = table.set_column(i, column.name, moments)
    return pl.from_arrow(table)


def seconds_of(times: pl.Expr) -> pl.Expr:
    """Texts such as ``2014-07-23`` or ``2014-07-23T08:15:00Z`` as seconds since 1970 (UTC).

    Anything else becomes null.
    """
    plain = times.str.strip_chars().str.strip_suffix("Z").str.replace("T", " ", literal=True)
    full = pl.when(plain.str.len_chars() == 10).then(plain + " 00:00:00").otherwise(plain)
    moment = full.str.strptime(pl.Datetime("us"), "%Y-%m-%d %H:%M:%S%.f", strict=False)
    return moment.dt.epoch("us").cast(pl.Float64) / 1e6


def unit_of(times: pl.Series) -> str:
    """The unit of times: iso where none is a number, else the largest that the latest allows."""
    latest = times.cast(pl.Float64, strict=False).max()
    if latest is None:
        return "iso"
    fitting = (unit for unit, scale in PER_SECOND.items() if latest / scale <= LATEST_S)
    return next(fitting, "nanoseconds")


def checked_events(
    events: pl.DataFrame, path: Path, *, first_line: int, unit: str = "seconds"
) -> pl.DataFrame:
    """The four columns of a log, every value usable; lines that are wholly empty are dropped.

    Args:
        events: user_id, item_id, timestamp, and rating if the source has it, as text or numbers;
            one row a line.
        path: The file, for the error line.
        first_line: Number of the line that row 0 came from.
        unit: Of the timestamps: a key of ``PER_SECOND``, or iso for texts as in ``seconds_of``.
    """
    if "rating" not in events.columns:
        events = events.with_columns(rating=pl.lit(None, pl.Float64))
    events = events.cast({~cs.numeric() | cs.by_name("user_id", "item_id"): pl.String})
    time, rating = pl.col("timestamp"), pl.col("rating")
    if unit == "iso":
        seconds = seconds_of(time.cast(pl.String))
        expected = "a time such as 2014-07-23 or 2014-07-23 08:15:00"
    else:
        seconds = time.cast(pl.Float64, strict=False) / PER_SECOND[unit]
        expected = f"a number of {unit} since 1970"
    events = events.with_columns(seconds=seconds, number=rating.cast(pl.Float64, strict=False))
    is_missing = {
        name: pl.col(name).is_null() | (pl.col(name).cast(pl.String) == "")
        for name in ("user_id", "item_id", "timestamp")
    }
    is_empty_line = pl.all_horizontal(is_missing.values())

    def refuse(name: str, is_wrong: pl.Expr, expected: str) -> None:
        row = _first_row(events, is_wrong & ~is_empty_line)
        if row is not None:
            value = events[name][row]
            raise InputError(
                f"{path}: line {row + first_line}: '{name}': expected {expected}, "
                f"got {repr(value) if value else 'nothing'}."
            )

    for name, condition in is_missing.items():
        refuse(name, condition, "a value")
    is_time = pl.col("seconds").is_between(0, LATEST_S).fill_null(False)
    refuse("timestamp", ~is_time, expected)
    refuse("rating", pl.col("number").is_null() & (rating.cast(pl.String) != ""), "a number")
    columns = (
        "user_id",
        "item_id",
        pl.col("seconds").alias("timestamp"),
        pl.col("number").alias("rating"),
    )
    if _first_row(events, is_empty_line) is not None:
        events = events.remove(is_empty_line)
    if events.is_empty():
        raise InputError(f"{path}: holds no events.")
    return events.select(*columns)


def checked_items(items: pl.DataFrame, path: Path) -> pl.DataFrame:
    """The catalog as text with one row an item; lines that are wholly empty are dropped."""
    items = items.cast(pl.String).remove(pl.all_horizontal(pl.all().is_null()))
    row = _first_row(items, pl.col("item_id").is_null() | (pl.col("item_id") == ""))
    if row is not None:
        raise InputError(f"{path}: item row {row + 1} has no item id.")
    repeated = items.filter(pl.col("item_id").is_duplicated())["item_id"].unique().sort()
    if len(repeated):
        raise InputError(
            f"{path}: expected one row an item, got several for {len(repeated)} items, e.g. "
            f"{', '.join(repeated[:N_EXAMPLES])}."
        )
    return items


def _first_row(table: pl.DataFrame, condition: pl.Expr) -> int | None:
    return table.select(condition.fill_null(False).arg_true().first()).item()
