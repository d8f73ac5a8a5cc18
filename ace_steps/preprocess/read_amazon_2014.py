"""Reader of the Amazon reviews of 2014: 5-core reviews as JSON lines, metadata as Python literals.

A metadata line such as ``{'asin': 'B00', 'title': 'Lamp'}`` is parsed as data; one that would have
to be executed is refused.
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

REVIEW = {
    "reviewerID": ("user_id", pl.String()),
    "asin": ("item_id", pl.String()),
    "unixReviewTime": ("timestamp", pl.Float64()),
    "overall": ("rating", pl.Float64()),
}
TEXTS = ("title", "price", "brand", "categories", "description")
_ASIN = r"""['"]asin['"]\s*:\s*u?['"]([^'"\\]+)['"]"""


class Amazon2014Settings(DatasetSettings):
    """Amazon reviews of 2014: 5-core reviews and their metadata."""

    reader: Literal["amazon_2014"] = "amazon_2014"


def catalog_columns(_items: Path | None, _settings: Amazon2014Settings) -> list[str]:
    """Text columns of the catalog, the same for every file of the format."""
    return list(TEXTS)


def read(interactions: Path, items: Path, _settings: Amazon2014Settings) -> RawData:
    """The log of a 5-core review file and the catalog of its metadata file."""
    events = read_json_lines(interactions, REVIEW)
    events = checked_events(events, interactions, first_line=1)
    return RawData(events, checked_items(_catalog(items, events["item_id"].unique()), items))


def _catalog(path: Path, item_ids: pl.Series) -> pl.DataFrame:
    """Text columns of these items.

    A literal has to be parsed line by line. The metadata cover the whole shop, so the lines of
    other items are left out first, by their id alone.
    """
    asin = pl.col("line").str.extract(_ASIN)
    numbered = lines(path).with_row_index("number", 1).filter(pl.col("line") != "")
    numbered = numbered.filter(asin.is_null() | asin.is_in(item_ids.implode()))
    rows = [_row(path, number, line) for number, line in numbered.rows()]
    schema = dict.fromkeys(("item_id", *TEXTS), pl.String)
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
    texts = [", ".join(dict.fromkeys(_leaves(fields.get(name)))) for name in TEXTS]
    return [str(fields["asin"]), *(text or None for text in texts)]


def _leaves(value: object) -> list[str]:
    if isinstance(value, list | tuple):
        return [leaf for entry in value for leaf in _leaves(entry)]
    return [] if value is None else [str(value)]
