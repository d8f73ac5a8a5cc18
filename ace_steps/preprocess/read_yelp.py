"""Reader of the Yelp Open Dataset: review and business files as JSON lines, plain or gzip.

An item is a business; its opening hours and attributes are no text columns.
"""

from pathlib import Path
from typing import Literal

import polars as pl

from ace_steps.preprocess.raw_events import RawData, checked_events, checked_items
from ace_steps.preprocess.raw_json import read_json_lines, timed
from ace_steps.preprocess.settings import DatasetSettings

REVIEW = {
    "user_id": ("user_id", pl.String()),
    "business_id": ("item_id", pl.String()),
    "date": ("timestamp", pl.String()),
    "stars": ("rating", pl.Float64()),
}
BUSINESS = {
    "business_id": ("item_id", pl.String()),
    "name": ("name", pl.String()),
    "address": ("address", pl.String()),
    "city": ("city", pl.String()),
    "state": ("state", pl.String()),
    "categories": ("categories", pl.String()),
}


class YelpSettings(DatasetSettings):
    """The Yelp Open Dataset: review and business files as JSON lines."""

    reader: Literal["yelp"] = "yelp"


def catalog_columns(items: Path | None, settings: YelpSettings) -> list[str]:
    """Text columns of the catalog, the same for every file of the format."""
    del items, settings
    return [name for name, _ in BUSINESS.values() if name != "item_id"]


def read(interactions: Path, items: Path, settings: YelpSettings | None = None) -> RawData:
    """The log of the review file and the catalogue of the business file."""
    del settings  # the format fixes them
    events = timed(read_json_lines(interactions, REVIEW), interactions, first_line=1)
    catalogue = read_json_lines(items, BUSINESS)
    return RawData(
        checked_events(events, interactions, first_line=1), checked_items(catalogue, items)
    )
