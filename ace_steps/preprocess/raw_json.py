"""Reading JSON lines, times written as text, and nested fields; shared by readers."""

import glob
import gzip
import io
import json
import zlib
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from ace_steps.errors import InputError
from ace_steps.preprocess.raw_events import lines, unreadable

GZIP_MAGIC = b"\x1f\x8b"
UTF8_BOM = b"\xef\xbb\xbf"
TEXT_LIST = pl.List(pl.String)


def read_json_lines(path: Path, fields: dict[str, tuple[str, pl.DataType]]) -> pl.DataFrame:
    """Chosen fields of a file with one JSON object a line, plain or gzip; absent ones are null.

    Args:
        path: The file, UTF-8.
        fields: Name in the objects to name wanted and type.

    Raises:
        InputError: no such file, damaged, or a line is no JSON object of these types; its number
            is named.
    """
    schema = {name: kind for name, (_, kind) in fields.items()}
    source = glob.escape(str(path))  # a bracket in a file's name is a bracket
    if _starts_with_bom(path):
        source = io.BytesIO(whole(path)[len(UTF8_BOM) :])
    try:
        table = pl.scan_ndjson(source, schema=schema).collect()
    except OSError as damage:
        raise unreadable(path, damage) from None
    except PolarsError as refusal:
        _explain(path, schema)
        raise unreadable(path, refusal) from None
    return table.select(pl.col(name).alias(wanted) for name, (wanted, _) in fields.items())


def whole(path: Path) -> bytes:
    """All bytes of a file, unpacked if it is gzip; for catalogues, not for logs.

    Raises:
        InputError: no such file, or the compressed stream is damaged.
    """
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content.startswith(GZIP_MAGIC) else content
    except (OSError, EOFError, zlib.error) as damage:
        raise unreadable(path, damage) from None


def seconds_of(times: pl.Expr) -> pl.Expr:
    """Texts such as ``2014-07-23`` or ``2014-07-23T08:15:00Z`` as seconds from 1970 (UTC).

    Anything else becomes null.
    """
    plain = times.str.strip_chars().str.strip_suffix("Z").str.replace("T", " ", literal=True)
    full = pl.when(plain.str.len_chars() == 10).then(plain + " 00:00:00").otherwise(plain)
    moment = full.str.strptime(pl.Datetime("us"), "%Y-%m-%d %H:%M:%S%.f", strict=False)
    return moment.dt.epoch("us").cast(pl.Float64) / 1e6


def timed(events: pl.DataFrame, path: Path, *, first_line: int) -> pl.DataFrame:
    """The log with its textual timestamps as seconds.

    Raises:
        InputError: a time cannot be read; its line is named.
    """
    seconds = events.select(seconds_of(pl.col("timestamp"))).to_series()
    is_wrong = seconds.is_null() & events["timestamp"].is_not_null() & (events["timestamp"] != "")
    if is_wrong.any():
        row = is_wrong.arg_true()[0]
        raise InputError(
            f"{path}: line {row + first_line}: timestamp '{events['timestamp'][row]}' is not a "
            "time such as 2014-07-23 or 2014-07-23 08:15:00."
        )
    return events.with_columns(timestamp=seconds)


def joined(name: str) -> pl.Expr:
    """A column of lists as one text, its entries parted by commas; empty lists become null."""
    entries = pl.col(name).list.drop_nulls()
    return pl.when(entries.list.len() > 0).then(entries.list.join(", ")).alias(name)


def _starts_with_bom(path: Path) -> bool:
    try:
        with path.open("rb") as opened:
            return opened.read(len(UTF8_BOM)) == UTF8_BOM
    except OSError as damage:
        raise unreadable(path, damage) from None


def _explain(path: Path, schema: dict[str, pl.DataType]) -> None:
    """Refuse the first line that is not an object of these types.

    One line at a time, since only a failed read comes here and the first bad line ends it.
    """
    for number, line in enumerate(lines(path)["line"], start=1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except ValueError as refusal:
            raise InputError(f"{path}: line {number} is not JSON ({refusal}).") from None
        if not isinstance(found, dict):
            raise InputError(f"{path}: line {number} is not a JSON object.")
        for name, kind in schema.items():
            value = found.get(name)
            if kind.is_numeric() and not isinstance(value, int | float | None):
                raise InputError(
                    f"{path}: line {number}: '{name}' is {value!r}, but a number is wanted."
                )
            if kind == TEXT_LIST and not isinstance(value, list | None):
                raise InputError(
                    f"{path}: line {number}: '{name}' is {value!r}, but a list is wanted."
                )
