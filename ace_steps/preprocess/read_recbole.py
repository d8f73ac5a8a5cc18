"""Reader of RecBole's atomic files: tab-separated, the header names each column's kind.

``user_id:token item_id:token rating:float timestamp:float`` in the .inter file, ``item_id:token
title:token_seq`` in the .item file. No quoting: a quote is a character like any other.
"""

from pathlib import Path
from typing import Literal

from ace_steps.errors import InputError
from ace_steps.preprocess.raw_events import (
    NUMBERS,
    RawData,
    checked_events,
    checked_items,
    header,
    lines,
    read_delimited,
)
from ace_steps.preprocess.settings import DatasetSettings
from ace_steps.validation import Mistake

KINDS = ("token", "token_seq", "float", "float_seq")
EVENT_FIELDS = ("user_id", "item_id", "timestamp")


class RecboleSettings(DatasetSettings):
    """RecBole atomic files: .inter and .item."""

    reader: Literal["recbole"] = "recbole"


def catalog_columns(items: Path | None, settings: RecboleSettings) -> list[str] | None:
    """Text columns of the .item file; None where there is none to look at.

    Raises:
        InputError: not readable, or no such header.
    """
    del settings
    return None if items is None else [n for n in _all_fields(items).values() if n != "item_id"]


def n_catalog_rows(path: Path) -> int:
    """Rows of an .item file: at most as many items are left of it."""
    return max(0, len(lines(path)) - 1)


def check_log(interactions: Path, settings: RecboleSettings) -> list[Mistake]:
    """What is wrong with the log's header."""
    del settings
    _fields(interactions, EVENT_FIELDS, ())
    return []


def read(interactions: Path, items: Path, settings: RecboleSettings | None = None) -> RawData:
    """The log of the .inter file and the catalogue of the .item file."""
    del settings  # the header says it
    wanted = _fields(interactions, EVENT_FIELDS, ("rating",))
    events = read_delimited(interactions, wanted, separator="\t", numbers=NUMBERS)
    catalogue = read_delimited(items, _all_fields(items), separator="\t")
    return RawData(
        checked_events(events, interactions, first_line=2), checked_items(catalogue, items)
    )


def _fields(path: Path, wanted: tuple[str, ...], optional: tuple[str, ...]) -> dict[str, str]:
    typed = {name: raw for raw, name in _typed_header(path).items()}
    for name in wanted:
        if name not in typed:
            found = ", ".join(typed.values())
            raise InputError(f"{path}: column '{name}' is missing; found {found}.")
    return {typed[name]: name for name in (*wanted, *optional) if name in typed}


def _all_fields(path: Path) -> dict[str, str]:
    _fields(path, ("item_id",), ())
    return _typed_header(path)


def _typed_header(path: Path) -> dict[str, str]:
    """Each column as it stands in the header, with its name."""
    names = header(path, "\t")
    for name in names:
        if name.rpartition(":")[2] not in KINDS:
            raise InputError(
                f"{path}: header field '{name}' is not name:kind with kind one of "
                f"{', '.join(KINDS)}."
            )
    return {name: name.rpartition(":")[0] for name in names}
