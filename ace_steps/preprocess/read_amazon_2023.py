"""Reader of the Amazon Reviews of 2023: reviews and metadata as JSON lines, plain or gzip.

An item is a parent_asin; times come in milliseconds.
"""

from pathlib import Path
from typing import Literal

import polars as pl

from ace_steps.preprocess.raw_events import RawData, checked_events, checked_items
from ace_steps.preprocess.raw_json import TEXT_LIST, joined, read_json_lines
from ace_steps.preprocess.settings import DatasetSettings

REVIEW = {
    "user_id": ("user_id", pl.String()),
    "parent_asin": ("item_id", pl.String()),
    "timestamp": ("timestamp", pl.Float64()),
    "rating": ("rating", pl.Float64()),
}
METADATA = {
    "parent_asin": ("item_id", pl.String()),
    "title": ("title", pl.String()),
    "store": ("store", pl.String()),
    "price": ("price", pl.String()),
    "main_category": ("main_category", pl.String()),
    "categories": ("categories", TEXT_LIST),
    "features": ("features", TEXT_LIST),
    "description": ("description", TEXT_LIST),
}


class Amazon2023Settings(DatasetSettings):
    """Amazon reviews of 2023: reviews and metadata as JSON lines."""

    reader: Literal["amazon_2023"] = "amazon_2023"


def catalog_columns(items: Path | None, settings: Amazon2023Settings) -> list[str]:
    """Text columns of the catalog, the same for every file of the format."""
    del items, settings
    return [name for name, _ in METADATA.values() if name != "item_id"]


def read(interactions: Path, items: Path, settings: Amazon2023Settings | None = None) -> RawData:
    """The log of a review file and the catalogue of its metadata file."""
    del settings  # the format fixes them
    events = read_json_lines(interactions, REVIEW)
    events = events.with_columns(pl.col("timestamp") / 1000)
    catalogue = read_json_lines(items, METADATA)
    catalogue = catalogue.with_columns(
        joined(name) for name, kind in METADATA.values() if kind == TEXT_LIST
    )
    return RawData(
        checked_events(events, interactions, first_line=1), checked_items(catalogue, items)
    )
