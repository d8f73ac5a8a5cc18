"""Reader of the Amazon Reviews of 2023: reviews and metadata as JSON lines, plain or gzip.

An item is a parent_asin; times come in milliseconds.
"""

from pathlib import Path
from typing import Literal

import polars as pl

from ace_steps.preprocess.raw_data import (
    TEXT_LIST,
    RawData,
    checked_events,
    checked_items,
    joined,
    read_json_lines,
)
from ace_steps.preprocess.settings import DatasetSettings

REVIEW = {
    "user_id": ("user_id", pl.String()),
    "parent_asin": ("item_id", pl.String()),
    "timestamp": ("timestamp", pl.Float64()),
    "rating": ("rating", pl.Float64()),
}
TEXTS = ("title", "store", "price", "main_category")
LISTS = ("categories", "features", "description")
METADATA = {
    "parent_asin": ("item_id", pl.String()),
    **{name: (name, pl.String()) for name in TEXTS},
    **{name: (name, TEXT_LIST) for name in LISTS},
}


class Amazon2023Settings(DatasetSettings):
    """Amazon reviews of 2023: reviews and metadata as JSON lines."""

    reader: Literal["amazon_2023"] = "amazon_2023"


def catalog_columns(_items: Path | None, _settings: Amazon2023Settings) -> list[str]:
    """Text columns of the catalog, the same for every file of the format."""
    return [*TEXTS, *LISTS]


def read(interactions: Path, items: Path, _settings: Amazon2023Settings) -> RawData:
    """The log of a review file and the catalog of its metadata file."""
    events = read_json_lines(interactions, REVIEW).with_columns(pl.col("timestamp") / 1000)
    catalog = read_json_lines(items, METADATA).with_columns(map(joined, LISTS))
    events = checked_events(events, interactions, first_line=1)
    return RawData(events, checked_items(catalog, items))
