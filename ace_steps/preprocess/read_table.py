"""Reader of anyone's own tables: CSV, TSV (plain or compressed) or Parquet, columns as mapped."""

import logging
from pathlib import Path
from typing import Literal

import polars as pl
import polars.selectors as cs
from polars.exceptions import PolarsError
from pydantic import Field

from ace_steps.errors import InputError
from ace_steps.io.parquet import open_parquet
from ace_steps.preprocess.raw_data import (
    RawData,
    checked_events,
    checked_items,
    from_arrow,
    header,
    joined,
    lines,
    read_delimited,
    require_columns,
    starts_with,
    unit_of,
    unreadable,
)
from ace_steps.preprocess.settings import DatasetSettings
from ace_steps.settings import Settings
from ace_steps.validation import Mistake

log = logging.getLogger(__name__)

PARQUET_MAGIC = b"PAR1"
ISO = "%Y-%m-%d %H:%M:%S%.6f"
SEPARATORS = ("\t", ";", ",")  # the first that the header holds


class Columns(Settings):
    """Which columns of your own tables hold what."""

    user: str = Field("user_id", description="Column of the log with the user's id.")
    item: str = Field("item_id", description="Column of the log with the item's id.")
    timestamp: str = Field("timestamp", description="Column of the log with the event's time.")
    timestamp_unit: Literal[
        "auto", "seconds", "milliseconds", "microseconds", "nanoseconds", "iso"
    ] = Field(
        "auto",
        description="Unit of that column: seconds to nanoseconds since 1970 (UTC), or iso for "
        "texts such as 2014-07-23 or 2014-07-23 08:15:00 (UTC) and for date and time columns of "
        "Parquet. auto takes the largest unit with which the latest event is before the year 3000, "
        "and iso for texts.",
    )
    rating: str | None = Field(
        None, description="Column of the log with the rating, or null where there is none."
    )
    item_id: str | None = Field(
        None,
        description="Column of the catalog with the item's id; all others are text columns. null "
        "is the name in item.",
    )

    def catalog_id(self) -> str:
        """The catalog's column of item ids."""
        return self.item if self.item_id is None else self.item_id


class TableSettings(DatasetSettings):
    """Your own tables: CSV, TSV or Parquet with the columns that you name."""

    reader: Literal["table"] = "table"
    columns: Columns = Field(Columns(), description="Which columns hold what.")


def catalog_columns(items: Path | None, settings: TableSettings) -> list[str] | None:
    """Text columns of the catalog; None where there is no file to look at.

    Raises:
        InputError: not readable, or its column of ids is missing.
    """
    if items is None:
        return None
    names, key = column_names(items), settings.columns.catalog_id()
    if key not in names:
        raise InputError(f"columns.item_id: {_no_column(key, items, names)}")
    return [name for name in names if name != key]


def check_log(interactions: Path, settings: TableSettings) -> list[Mistake]:
    """Columns that the settings name and the log does not have."""
    names, columns = column_names(interactions), settings.columns
    named = {key: getattr(columns, key) for key in ("user", "item", "timestamp", "rating")}
    return [
        Mistake(f"columns.{key}", _no_column(column, interactions, names))
        for key, column in named.items()
        if column is not None and column not in names
    ]


def _no_column(column: str, path: Path, names: list[str]) -> str:
    return f"expected a column of {path}, got '{column}'; its columns are {', '.join(names)}"


def read(interactions: Path, items: Path, settings: TableSettings) -> RawData:
    """The log and the catalog of two tables, each CSV, TSV or Parquet by its content."""
    columns = settings.columns
    names = {columns.user: "user_id", columns.item: "item_id", columns.timestamp: "timestamp"}
    if columns.rating is not None:
        names[columns.rating] = "rating"
    events = _read(interactions, names)
    unit = columns.timestamp_unit
    if unit == "auto":
        unit = unit_of(events["timestamp"])
        log.info("%s: column '%s' is in %s, by its values", interactions, columns.timestamp, unit)
    first_line = 1 if starts_with(interactions, PARQUET_MAGIC) else 2
    events = checked_events(events, interactions, first_line=first_line, unit=unit)
    catalog = _read(items, {columns.catalog_id(): "item_id"}, keep_others=True)
    return RawData(events, checked_items(catalog, items))


def column_names(path: Path) -> list[str]:
    """The columns of a table, CSV, TSV or Parquet by its content."""
    if starts_with(path, PARQUET_MAGIC):
        with open_parquet(path) as file:
            return file.schema_arrow.names
    return header(path, _separator(path))


def n_catalog_rows(path: Path) -> int:
    """Rows of a catalog: at most as many items are left of it."""
    if starts_with(path, PARQUET_MAGIC):
        with open_parquet(path) as file:
            return file.metadata.num_rows
    return max(0, len(lines(path)) - 1)


def _read(path: Path, names: dict[str, str], *, keep_others: bool = False) -> pl.DataFrame:
    """The columns under their names in the result, as text; numbers of Parquet stay numbers."""
    if not starts_with(path, PARQUET_MAGIC):
        separator = _separator(path)
        if keep_others:
            names = names | {name: name for name in header(path, separator) if name not in names}
        return read_delimited(path, names, separator=separator, quote='"')
    with open_parquet(path) as file:
        columns = file.schema_arrow.names
        require_columns(path, columns, list(names))
        table = from_arrow(file.read(columns=columns if keep_others else list(names)))
    table = table.rename(names).with_columns(
        cs.datetime().dt.strftime(ISO), cs.duration().dt.to_string("iso"), cs.array().arr.to_list()
    )
    for name, kind in table.schema.items():
        if kind == pl.List and kind.inner in (pl.List, pl.Array):
            raise InputError(
                f"{path}: column '{name}': expected a value or a list of values a row, got lists "
                "of lists; write it as text or leave it out"
            )
    try:
        table = table.with_columns(cs.list().cast(pl.List(pl.String)))
        table = table.with_columns(map(joined, table.select(cs.list()).columns))
        return table.cast({~cs.numeric(): pl.String})
    except PolarsError as refusal:
        raise unreadable(path, refusal) from None


def _separator(path: Path) -> str:
    first = header(path, "\n")[0]
    for separator in SEPARATORS:
        if separator in first:
            return separator
    raise InputError(
        f"{path}: expected a tab, semicolon or comma in the header line, got '{first[:60]}'."
    )
