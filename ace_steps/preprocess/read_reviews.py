"""Readers of public reviews with metadata: Amazon 2014, Amazon 2023 and Yelp, plain or gzip.

All are JSON lines but for the metadata of Amazon 2014, whose lines are Python literals, such as
``{'asin': 'B00', 'title': 'Lamp'}``. They are parsed as data; a line that would have to be executed
is refused.
"""

import ast
from pathlib import Path
from typing import Literal

import polars as pl

from ace_steps.errors import InputError
from ace_steps.preprocess.raw_data import (
    RawData,
    checked_events,
    checked_items,
    lines,
    read_json_lines,
    require_columns,
)
from ace_steps.preprocess.settings import DatasetSettings

AMAZON_2014_REVIEW = {
    "reviewerID": "user_id",
    "asin": "item_id",
    "unixReviewTime": "timestamp",
    "overall": "rating",
}
AMAZON_2014_TEXTS = ("title", "price", "brand", "categories", "description")
_ASIN = r"""['"]asin['"]\s*:\s*u?['"]([^'"\\]+)['"]"""

AMAZON_2023_REVIEW = {
    "user_id": "user_id",
    "parent_asin": "item_id",
    "timestamp": "timestamp",
    "rating": "rating",
}
AMAZON_2023_LISTS = ("categories", "features", "description")
AMAZON_2023_TEXTS = ("title", "store", "price", "main_category", *AMAZON_2023_LISTS)

YELP_REVIEW = {
    "user_id": "user_id",
    "business_id": "item_id",
    "date": "timestamp",
    "stars": "rating",
}
YELP_TEXTS = ("name", "address", "city", "state", "categories")


class Amazon2014Settings(DatasetSettings):
    """Amazon reviews of 2014: 5-core reviews and their metadata."""

    reader: Literal["amazon_2014"] = "amazon_2014"
    catalog_fields = AMAZON_2014_TEXTS


class Amazon2023Settings(DatasetSettings):
    """Amazon reviews of 2023: reviews and metadata as JSON lines."""

    reader: Literal["amazon_2023"] = "amazon_2023"
    catalog_fields = AMAZON_2023_TEXTS


class YelpSettings(DatasetSettings):
    """The Yelp Open Dataset: review and business files as JSON lines."""

    reader: Literal["yelp"] = "yelp"
    catalog_fields = YELP_TEXTS


def read_amazon_2014(interactions: Path, items: Path, _settings: Amazon2014Settings) -> RawData:
    """The log of a 5-core review file and the catalog of its metadata file."""
    events = read_json_lines(interactions, AMAZON_2014_REVIEW)
    events = checked_events(events, interactions, first_line=1)
    return RawData(events, checked_items(_literals(items, events["item_id"].unique()), items))


def read_amazon_2023(interactions: Path, items: Path, _settings: Amazon2023Settings) -> RawData:
    """The log of a review file and the catalog of its metadata file; an item is a parent_asin."""
    events = read_json_lines(interactions, AMAZON_2023_REVIEW)
    events = checked_events(events, interactions, first_line=1, unit="milliseconds")
    fields = {"parent_asin": "item_id", **{name: name for name in AMAZON_2023_TEXTS}}
    catalog = read_json_lines(items, fields, lists=AMAZON_2023_LISTS)
    return RawData(events, checked_items(catalog, items))


def read_yelp(interactions: Path, items: Path, _settings: YelpSettings) -> RawData:
    """The log of the review file and the catalog of the business file; an item is a business."""
    events = read_json_lines(interactions, YELP_REVIEW)
    events = checked_events(events, interactions, first_line=1, unit="iso")
    fields = {"business_id": "item_id", **{name: name for name in YELP_TEXTS}}
    return RawData(events, checked_items(read_json_lines(items, fields), items))


def _literals(path: Path, item_ids: pl.Series) -> pl.DataFrame:
    """Text columns of these items from a file of Python literals.

    A literal has to be parsed line by line. The metadata cover the whole shop, so the lines of
    other items are left out first, by their id alone.
    """
    asin = pl.col("line").str.extract(_ASIN)
    numbered = lines(path).with_row_index("number", 1).filter(pl.col("line") != "")
    numbered = numbered.filter(asin.is_null() | asin.is_in(item_ids.implode()))
    rows = [_row(path, number, line) for number, line in numbered.rows()]
    schema = dict.fromkeys(("item_id", *AMAZON_2014_TEXTS), pl.String)
    catalog = pl.DataFrame(rows, schema=schema, orient="row")
    return catalog.filter(pl.col("item_id").is_in(item_ids.implode()))


def _row(path: Path, number: int, line: str) -> list[str | None]:
    try:
        fields = ast.literal_eval(line)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as refusal:
        reason = str(refusal).split(":")[0].split("(")[0].strip() or type(refusal).__name__
        raise InputError(f"{path}: line {number} is not a Python literal ({reason}).") from None
    if not isinstance(fields, dict):
        raise InputError(f"{path}: line {number} is not a Python dictionary.")
    require_columns(path, [str(name) for name in fields], ["asin"])
    # Nested lists become one text, each entry once.
    texts = [", ".join(dict.fromkeys(_leaves(fields.get(name)))) for name in AMAZON_2014_TEXTS]
    return [str(fields["asin"]), *(text or None for text in texts)]


def _leaves(value: object) -> list[str]:
    if isinstance(value, list | tuple):
        return [leaf for entry in value for leaf in _leaves(entry)]
    return [] if value is None else [str(value)]
