"""What every reader gives, and the reading and the checks that readers share.

A reader is a function of the two paths and the column mapping that returns ``RawData``.
"""

from dataclasses import dataclass
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from ace_steps.errors import InputError

NUMBERS = ("timestamp", "rating")  # of a log; every other column is text
LATEST_S = 32_503_680_000.0  # the year 3000: later times are milliseconds, or no times at all
N_EXAMPLES = 3
BOM = "\ufeff"


@dataclass(frozen=True)
class RawData:
    """A log and its catalogue, as the files hold them.

    Attributes:
        events: user_id and item_id (text), timestamp (float64, seconds), rating (float64, null
            where the source has none); in file order.
        items: item_id (text) and any text columns, which may hold nulls; one row an item.
    """

    events: pl.DataFrame
    items: pl.DataFrame


def header(path: Path, separator: str) -> list[str]:
    """The names in a delimited file's first line, quotes and byte-order mark taken off.

    Raises:
        InputError: no such file, unreadable, or empty.
    """
    first = lines(path, n_rows=1)
    if first.is_empty() or not first["line"][0].strip():
        raise InputError(f"{path}: empty, but a header line is wanted.")
    return [name.strip().strip('"') for name in first["line"][0].split(separator)]


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
        columns: Name in the file to name wanted.
        separator: One character between fields.
        quote: The character that may enclose a field, or None.
        names: Names of all columns in order, for a file without a header line.
        numbers: Wanted names of the columns to read as float64; all others are text.

    Raises:
        InputError: unreadable, a column is missing, or a line is broken; its number is named.
    """
    found = names or header(path, separator)
    require_columns(path, found, list(columns))
    kinds = dict.fromkeys(found, pl.String)
    raw_numbers = [name for name, wanted in columns.items() if wanted in numbers]
    kinds |= dict.fromkeys(raw_numbers, pl.Float64)
    try:
        form = {"separator": separator, "quote_char": quote, "has_header": names is None}
        form["glob"] = False  # a bracket in a file's name is a bracket
        table = pl.read_csv(path, schema=kinds, **form)
    except OSError as damage:
        raise unreadable(path, damage) from None
    except PolarsError as refusal:
        explain(path, found, raw_numbers, separator=separator, n_header=int(names is None))
        raise unreadable(path, refusal) from None
    return table.select(pl.col(name).alias(wanted) for name, wanted in columns.items())


def explain(
    path: Path, names: list[str], numbers: list[str], *, separator: str, n_header: int
) -> None:
    """Refuse the first line that has too many fields, or text where a number is wanted."""
    try:
        body = lines(path)[n_header:].with_columns(
            field=pl.col("line").str.split(separator), number=pl.int_range(pl.len()) + n_header + 1
        )
    except InputError:  # not even lines: the first refusal says more
        return
    too_long = body.filter(pl.col("field").list.len() > len(names))
    if not too_long.is_empty():
        n_found = len(too_long["field"][0])
        raise InputError(
            f"{path}: line {too_long['number'][0]} has {n_found} fields, "
            f"but {len(names)} are wanted ({', '.join(names)})."
        )
    for name in numbers:
        text = pl.col("field").list.get(names.index(name), null_on_oob=True)
        wrong = body.filter((text != "") & text.cast(pl.Float64, strict=False).is_null())
        if not wrong.is_empty():
            value = wrong.select(text).item(0, 0)
            raise InputError(
                f"{path}: line {wrong['number'][0]}: column '{name}' is '{value}', "
                "but a number is wanted."
            )


def lines(path: Path, n_rows: int | None = None) -> pl.DataFrame:
    """The lines of a UTF-8 text file, plain or compressed, as the column line; no byte-order mark.

    Raises:
        InputError: no such file, not UTF-8, or the compressed stream is damaged.
    """
    if path.is_dir():
        raise InputError(f"{path}: a folder, but a file is wanted.")
    try:
        found = pl.read_lines(path, n_rows=n_rows, glob=False)
    except (OSError, PolarsError) as damage:
        raise unreadable(path, damage) from None
    return found.select(pl.col("line").str.strip_prefix(BOM).str.strip_suffix("\r"))


def require_columns(path: Path, found: list[str], wanted: list[str]) -> None:
    """Refuse a file that lacks a column, naming those it has."""
    missing = [name for name in wanted if name not in found]
    if missing:
        raise InputError(
            f"{path}: column '{missing[0]}' is missing; found {', '.join(found) or 'none'}."
        )


def unreadable(path: Path, cause: Exception) -> InputError:
    """One line for a file that the system or the parser refuses."""
    if isinstance(cause, FileNotFoundError):
        return InputError(f"{path}: no such file.")
    reason = str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
    return InputError(f"{path}: not readable ({reason.rstrip('.')}).")


def checked_events(events: pl.DataFrame, path: Path, *, first_line: int) -> pl.DataFrame:
    """The four columns of a log, every value usable; lines that are wholly empty are dropped.

    Args:
        events: user_id, item_id, timestamp, and rating if the source has it; one row a line.
        path: The file, for the error line.
        first_line: Number of the line that row 0 came from.

    Raises:
        InputError: no events, a field is missing, or a time is negative, infinite or absurd.
    """
    if "rating" not in events.columns:
        events = events.with_columns(rating=pl.lit(None, pl.Float64))
    wanted = ("user_id", "item_id", "timestamp")
    is_missing = {name: pl.col(name).is_null() for name in wanted}
    is_missing |= {name: is_missing[name] | (pl.col(name) == "") for name in wanted[:2]}
    is_empty_line = pl.all_horizontal(is_missing.values())
    for name in wanted:
        row = _first_row(events, is_missing[name] & ~is_empty_line)
        if row is not None:
            raise InputError(f"{path}: line {row + first_line}: '{name}' is empty or missing.")
    time = pl.col("timestamp")
    is_wrong = (time < 0) | ~time.is_finite() | (time > LATEST_S)
    row = _first_row(events, is_wrong)
    if row is not None:
        raise InputError(
            f"{path}: line {row + first_line}: timestamp {events['timestamp'][row]:.15g} is no "
            "time in seconds from 1970 on."
        )
    kept = events.filter(~is_empty_line).select(*wanted, "rating")
    if kept.is_empty():
        raise InputError(f"{path}: holds no events.")
    return kept


def checked_items(items: pl.DataFrame, path: Path) -> pl.DataFrame:
    """The catalogue with one row an item; lines that are wholly empty are dropped.

    Raises:
        InputError: an item id is missing or has several rows.
    """
    items = items.filter(~pl.all_horizontal(pl.all().is_null()))
    row = _first_row(items, pl.col("item_id").is_null() | (pl.col("item_id") == ""))
    if row is not None:
        raise InputError(f"{path}: item row {row + 1} has no item id.")
    repeated = items.filter(pl.col("item_id").is_duplicated())["item_id"].unique().sort()
    if len(repeated):
        raise InputError(
            f"{path}: {len(repeated)} items have several rows, e.g. "
            f"{', '.join(repeated[:N_EXAMPLES])}; one row an item is wanted."
        )
    return items


def _first_row(table: pl.DataFrame, condition: pl.Expr) -> int | None:
    return table.select(condition.fill_null(False).arg_true().first()).item()
