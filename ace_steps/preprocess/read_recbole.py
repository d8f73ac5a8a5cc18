"""Reader of RecBole's atomic files: tab-separated, the header names each column's kind.

``user_id:token item_id:token rating:float timestamp:float`` in the .inter file, ``item_id:token
title:token_seq`` in the .item file. No quoting: a quote is a character like any other.
"""

from pathlib import Path
from typing import Literal

from ace_steps.errors import InputError
from ace_steps.preprocess.raw_data import (
    RawData,
    checked_events,
    checked_items,
    header,
    lines,
    read_delimited,
    require_columns,
)
from ace_steps.preprocess.settings import DatasetSettings
from ace_steps.validation import Mistake

KINDS = ("token", "token_seq", "float", "float_seq")
EVENT_FIELDS = ["user_id", "item_id", "timestamp"]


class RecboleSettings(DatasetSettings):
    """RecBole atomic files: .inter and .item."""

    reader: Literal["recbole"] = "recbole"


def catalog_columns(items: Path | None, _settings: RecboleSettings) -> list[str] | None:
    """Text columns of the .item file; None where there is none to look at.

    Raises:
        InputError: not readable, or no such header.
    """
    if items is None:
        return None
    return [name for name in _fields(items, ["item_id"]).values() if name != "item_id"]


def n_catalog_rows(path: Path) -> int:
    """Rows of an .item file: at most as many items are left of it."""
    return max(0, len(lines(path)) - 1)


def check_log(interactions: Path, _settings: RecboleSettings) -> list[Mistake]:
    """What is wrong with the log's header."""
    _fields(interactions, EVENT_FIELDS)
    return []


def read(interactions: Path, items: Path, _settings: RecboleSettings | None = None) -> RawData:
    """The log of the .inter file and the catalog of the .item file."""
    fields = _fields(interactions, EVENT_FIELDS)
    fields = {raw: name for raw, name in fields.items() if name in (*EVENT_FIELDS, "rating")}
    events = read_delimited(interactions, fields, separator="\t")
    catalog = read_delimited(items, _fields(items, ["item_id"]), separator="\t")
    events = checked_events(events, interactions, first_line=2)
    return RawData(events, checked_items(catalog, items))


def _fields(path: Path, required: list[str]) -> dict[str, str]:
    """Each column as it stands in the header, with its name."""
    names = header(path, "\t")
    for name in names:
        if name.rpartition(":")[2] not in KINDS:
            raise InputError(
                f"{path}: header field '{name}': expected name:kind with kind one of "
                f"{', '.join(KINDS)}."
            )
    fields = {name: name.rpartition(":")[0] for name in names}
    require_columns(path, list(fields.values()), required)
    return fields
