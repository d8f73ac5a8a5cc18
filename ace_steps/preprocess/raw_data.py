"""What every reader returns, and the reading and checking of files that readers share.

A file that cannot be read, or that is wrong, is an ``InputError`` of one line: the path, the number
of the first wrong line, what was expected and what is there.
"""

import glob
import io
import json
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from ace_steps.errors import InputError

NUMBERS = ("timestamp", "rating")  # of a log; every other column is text
LATEST_S = 32_503_680_000.0  # the year 3000: later times are milliseconds, or no times at all
N_EXAMPLES = 3
BOM = "\ufeff"
TEXT_LIST = pl.List(pl.String)


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


def lines(path: Path, n_rows: int | None = None) -> pl.DataFrame:
    """The lines of a UTF-8 text file, plain or compressed, as the column line."""
    if path.is_dir():
        raise InputError(f"{path}: expected a file, got a folder.")
    try:
        table = pl.read_lines(path, n_rows=n_rows, glob=False)
    except (OSError, PolarsError) as damage:
        raise unreadable(path, damage) from None
    return table.select(pl.col("line").str.strip_prefix(BOM).str.strip_suffix("\r"))


def header(path: Path, separator: str) -> list[str]:
    """The names in a delimited file's first line, quotes and byte-order mark taken off."""
    first = "".join(lines(path, n_rows=1)["line"])
    if not first.strip():
        raise InputError(f"{path}: expected a header line, got an empty one; add the names.")
    return [name.strip().strip('"') for name in first.split(separator)]


def starts_with(path: Path, magic: bytes) -> bool:
    """Whether a file begins with these bytes."""
    try:
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except OSError as damage:
        raise unreadable(path, damage) from None


def unreadable(path: Path, cause: Exception) -> InputError:
    """One line for a file that the system or the parser refuses."""
    if isinstance(cause, FileNotFoundError):
        return InputError(f"{path}: no such file.")
    reason = (str(cause).strip() or type(cause).__name__).splitlines()[0]
    return InputError(f"{path}: not readable ({reason.rstrip('.')}).")


def require_columns(path: Path, columns: list[str], required: list[str]) -> None:
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
    numbers: tuple[str, ...] = (),
) -> pl.DataFrame:
    """Chosen columns of a delimited text file, plain or compressed.

    Args:
        path: The file, UTF-8.
        columns: Names in the file to names in the result.
        separator: One character between fields.
        quote: The character that may enclose a field, or None.
        names: Names of all columns in order, for a file without a header line.
        numbers: Names in the result of the columns to read as float64; all others are text.
    """
    fields = names or header(path, separator)
    require_columns(path, fields, list(columns))
    numeric = [name for name, result in columns.items() if result in numbers]
    try:
        table = pl.read_csv(
            path,
            schema={name: pl.Float64 if name in numeric else pl.String for name in fields},
            separator=separator,
            quote_char=quote,
            has_header=names is None,
            glob=False,  # a bracket in a file's name is a bracket
        )
    except OSError as damage:
        raise unreadable(path, damage) from None
    except PolarsError as refusal:
        _refuse_broken_line(path, fields, numeric, separator, 1 if names else 2)
        raise unreadable(path, refusal) from None
    return table.select(pl.col(name).alias(result) for name, result in columns.items())


def _refuse_broken_line(
    path: Path, fields: list[str], numeric: list[str], separator: str, first_line: int
) -> None:
    """Refuse the first line that has too many fields, or text instead of a number."""
    try:
        text = lines(path)
    except InputError:  # not even lines: the parser's refusal says more
        return
    body = text.with_row_index("number", 1).filter(pl.col("number") >= first_line)
    body = body.with_columns(field=pl.col("line").str.split(separator))
    row = _first_row(body, pl.col("field").list.len() > len(fields))
    if row is not None:
        raise InputError(
            f"{path}: line {body['number'][row]}: expected {len(fields)} fields "
            f"({', '.join(fields)}), got {len(body['field'][row])}."
        )
    for name in numeric:
        value = pl.col("field").list.get(fields.index(name), null_on_oob=True)
        row = _first_row(body, (value != "") & value.cast(pl.Float64, strict=False).is_null())
        if row is not None:
            raise InputError(
                f"{path}: line {body['number'][row]}: column '{name}': expected a number, "
                f"got '{body['field'][row][fields.index(name)]}'."
            )


def read_json_lines(path: Path, fields: dict[str, tuple[str, pl.DataType]]) -> pl.DataFrame:
    """Chosen fields of a file with one JSON object a line, plain or gzip; absent ones are null.

    Args:
        path: The file, UTF-8.
        fields: Names in the objects to names in the result and types.
    """
    schema = {name: kind for name, (_, kind) in fields.items()}
    source = glob.escape(str(path))  # a bracket in a file's name is a bracket
    if starts_with(path, BOM.encode()):
        source = io.BytesIO(path.read_bytes()[len(BOM.encode()) :])
    try:
        table = pl.scan_ndjson(source, schema=schema).collect()
    except OSError as damage:
        raise unreadable(path, damage) from None
    except PolarsError as refusal:
        _refuse_broken_json(path, schema)
        raise unreadable(path, refusal) from None
    return table.select(pl.col(name).alias(result) for name, (result, _) in fields.items())


def _refuse_broken_json(path: Path, schema: dict[str, pl.DataType]) -> None:
    """Refuse the first line that is not an object of these types."""
    for number, line in enumerate(lines(path)["line"], start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except ValueError as refusal:
            raise InputError(f"{path}: line {number} is not JSON ({refusal}).") from None
        if not isinstance(entry, dict):
            raise InputError(f"{path}: line {number} is not a JSON object.")
        for name, kind in schema.items():
            value = entry.get(name)
            expected = "a list" if kind == TEXT_LIST else "a number" if kind.is_numeric() else None
            right = list if kind == TEXT_LIST else int | float
            if expected and value is not None and not isinstance(value, right):
                raise InputError(
                    f"{path}: line {number}: '{name}': expected {expected}, got {value!r}."
                )


def joined(name: str) -> pl.Expr:
    """A column of lists as one text, its entries separated by commas; empty lists become null."""
    entries = pl.col(name).list.drop_nulls()
    return pl.when(entries.list.len() > 0).then(entries.list.join(", ")).alias(name)


def seconds_of(times: pl.Expr) -> pl.Expr:
    """Texts such as ``2014-07-23`` or ``2014-07-23T08:15:00Z`` as seconds since 1970 (UTC).

    Anything else becomes null.
    """
    plain = times.str.strip_chars().str.strip_suffix("Z").str.replace("T", " ", literal=True)
    full = pl.when(plain.str.len_chars() == 10).then(plain + " 00:00:00").otherwise(plain)
    moment = full.str.strptime(pl.Datetime("us"), "%Y-%m-%d %H:%M:%S%.f", strict=False)
    return moment.dt.epoch("us").cast(pl.Float64) / 1e6


def timed(events: pl.DataFrame, path: Path, *, first_line: int) -> pl.DataFrame:
    """The log with its textual timestamps as seconds."""
    text = events["timestamp"]
    events = events.with_columns(seconds_of(pl.col("timestamp")))
    row = _first_row(events, pl.col("timestamp").is_null() & text.is_not_null() & (text != ""))
    if row is not None:
        raise InputError(
            f"{path}: line {row + first_line}: timestamp: expected a time such as 2014-07-23 or "
            f"2014-07-23 08:15:00, got '{text[row]}'."
        )
    return events


def checked_events(events: pl.DataFrame, path: Path, *, first_line: int) -> pl.DataFrame:
    """The four columns of a log, every value usable; lines that are wholly empty are dropped.

    Args:
        events: user_id, item_id, timestamp, and rating if the source has it; one row a line.
        path: The file, for the error line.
        first_line: Number of the line that row 0 came from.
    """
    if "rating" not in events.columns:
        events = events.with_columns(rating=pl.lit(None, pl.Float64))
    is_missing = {name: pl.col(name).is_null() for name in ("user_id", "item_id", "timestamp")}
    for name in ("user_id", "item_id"):
        is_missing[name] |= pl.col(name) == ""
    is_empty_line = pl.all_horizontal(is_missing.values())
    for name, condition in is_missing.items():
        row = _first_row(events, condition & ~is_empty_line)
        if row is not None:
            raise InputError(f"{path}: line {row + first_line}: '{name}' is empty or missing.")
    time = pl.col("timestamp")
    row = _first_row(events, (time < 0) | ~time.is_finite() | (time > LATEST_S))
    if row is not None:
        raise InputError(
            f"{path}: line {row + first_line}: timestamp: expected seconds since 1970, "
            f"got {events['timestamp'][row]:.15g}."
        )
    events = events.filter(~is_empty_line).select(*is_missing, "rating")
    if events.is_empty():
        raise InputError(f"{path}: holds no events.")
    return events


def checked_items(items: pl.DataFrame, path: Path) -> pl.DataFrame:
    """The catalog with one row an item; lines that are wholly empty are dropped."""
    items = items.filter(~pl.all_horizontal(pl.all().is_null()))
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
