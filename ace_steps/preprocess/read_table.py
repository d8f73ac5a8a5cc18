"""Reader of anyone's own tables: CSV, TSV (plain or compressed) or Parquet, columns as mapped."""

from pathlib import Path

import polars as pl
import polars.selectors as cs
from polars.exceptions import PolarsError

from ace_steps.errors import InputError
from ace_steps.parquet import opened
from ace_steps.preprocess.raw_events import (
    RawData,
    checked_events,
    checked_items,
    header,
    read_delimited,
    require_columns,
    unreadable,
)
from ace_steps.preprocess.raw_json import joined, timed
from ace_steps.preprocess.settings import Columns

PARQUET_MAGIC = b"PAR1"
ISO = "%Y-%m-%d %H:%M:%S%.6f"
SEPARATORS = ("\t", ";", ",")  # the first that the header holds


def read(interactions: Path, items: Path, columns: Columns) -> RawData:
    """The log and the catalogue of two tables, each CSV, TSV or Parquet by its content."""
    wanted = {columns.user: "user_id", columns.item: "item_id", columns.timestamp: "timestamp"}
    if columns.rating is not None:
        wanted[columns.rating] = "rating"
    is_text = columns.timestamp_unit == "iso"
    first_line = 1 if _is_parquet(interactions) else 2
    events = _read(interactions, wanted, ("rating",) if is_text else ("timestamp", "rating"))
    if is_text:
        events = timed(events, interactions, first_line=first_line)
    elif columns.timestamp_unit == "milliseconds":
        events = events.with_columns(pl.col("timestamp") / 1000)
    catalogue = _read(items, {columns.item_id: "item_id"}, (), keep_others=True)
    return RawData(
        checked_events(events, interactions, first_line=first_line),
        checked_items(catalogue, items),
    )


def _read(
    path: Path, wanted: dict[str, str], numbers: tuple[str, ...], *, keep_others: bool = False
) -> pl.DataFrame:
    if _is_parquet(path):
        return _read_parquet(path, wanted, numbers, keep_others)
    names = header(path, separator := _separator(path))
    others = {name: name for name in names if name not in wanted} if keep_others else {}
    return read_delimited(path, wanted | others, separator=separator, quote='"', numbers=numbers)


def _read_parquet(
    path: Path, wanted: dict[str, str], numbers: tuple[str, ...], keep_others: bool
) -> pl.DataFrame:
    with opened(path) as file:
        names = file.schema_arrow.names
        require_columns(path, names, list(wanted))
        table = pl.from_arrow(file.read(columns=names if keep_others else list(wanted)))
    table = table.rename(wanted)
    table = table.with_columns(cs.temporal().dt.strftime(ISO))
    lists = [name for name, kind in table.schema.items() if kind == pl.List]
    table = table.with_columns(pl.col(lists).cast(pl.List(pl.String)))
    table = table.with_columns(joined(name) for name in lists)
    kinds = {name: pl.Float64 if name in numbers else pl.String for name in table.columns}
    try:
        return table.cast(kinds)
    except PolarsError as refusal:
        raise unreadable(path, refusal) from None


def _separator(path: Path) -> str:
    first = header(path, "\n")[0]
    for separator in SEPARATORS:
        if separator in first:
            return separator
    raise InputError(f"{path}: no tab, semicolon or comma in the header line '{first[:60]}'.")


def _is_parquet(path: Path) -> bool:
    try:
        with path.open("rb") as begun:
            return begun.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC
    except OSError as damage:
        raise unreadable(path, damage) from None
