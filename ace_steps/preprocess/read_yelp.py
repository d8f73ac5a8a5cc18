"""Reader of the Yelp Open Dataset: review and business files as JSON lines, plain or gzip.

An item is a business; its opening hours and attributes are no text columns.
"""

from pathlib import Path
from typing import Literal

import polars as pl

from ace_steps.preprocess.raw_data import (
    RawData,
    checked_events,
    checked_items,
    read_json_lines,
    timed,
)
from ace_steps.preprocess.settings import DatasetSettings

REVIEW = {
    "user_id": ("user_id", pl.String()),
    "business_id": ("item_id", pl.String()),
    "date": ("timestamp", pl.String()),
    "stars": ("rating", pl.Float64()),
}
TEXTS = ("name", "address", "city", "state", "categories")
BUSINESS = {"business_id": ("item_id", pl.String()), **{t: (t, pl.String()) for t in TEXTS}}


class YelpSettings(DatasetSettings):
    """The Yelp Open Dataset: review and business files as JSON lines."""

    reader: Literal["yelp"] = "yelp"


def catalog_columns(_items: Path | None, _settings: YelpSettings) -> list[str]:
    """Text columns of the catalog, the same for every file of the format."""
    return list(TEXTS)


def read(interactions: Path, items: Path, _settings: YelpSettings) -> RawData:
    """The log of the review file and the catalog of the business file."""
    events = timed(read_json_lines(interactions, REVIEW), interactions, first_line=1)
    events = checked_events(events, interactions, first_line=1)
    return RawData(events, checked_items(read_json_lines(items, BUSINESS), items))
