"""Reader of the Amazon reviews of 2014: 5-core reviews as JSON lines, metadata as Python literals.

A metadata line such as ``{'asin': 'B00', 'title': 'Lamp'}`` is parsed as data; one that would have
to be executed is refused.
"""

import ast
from pathlib import Path
from typing import Literal

import polars as pl

from ace_steps.errors import InputError
from ace_steps.preprocess.raw_events import (
    RawData,
    checked_events,
    checked_items,
    lines,
    require_columns,
)
from ace_steps.preprocess.raw_json import read_json_lines
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


def catalog_columns(items: Path | None, settings: Amazon2014Settings) -> list[str]:
    """Text columns of the catalog, the same for every file of the format."""
    del items, settings
    return list(TEXTS)


def read(interactions: Path, items: Path, settings: Amazon2014Settings | None = None) -> RawData:
    """The log of a 5-core review file and the catalogue of its metadata file."""
    del settings  # the format fixes them
    events = read_json_lines(interactions, REVIEW)
    events = checked_events(events, interactions, first_line=1)
    catalogue = _catalogue(items, events["item_id"].unique())
    return RawData(events, checked_items(catalogue, items))


def _catalogue(path: Path, wanted: pl.Series) -> pl.DataFrame:
    """Text columns of the items that the log has.

    A literal has to be parsed line by line. The metadata cover the whole shop, so the lines of
    items that the log does not have are left out first, by their id alone.
    """
    found = lines(path).with_columns(number=pl.int_range(pl.len()) + 1)
    asin = pl.col("line").str.extract(_ASIN)
    kept = found.filter((pl.col("line") != "") & (asin.is_null() | asin.is_in(wanted.implode())))
    rows = [_row(path, number, line) for line, number in kept.iter_rows()]
    schema = dict.fromkeys(("item_id", *TEXTS), pl.String)
    return pl.DataFrame(rows, schema=schema, orient="row").filter(
        pl.col("item_id").is_in(wanted.implode())
    )


def _row(path: Path, number: int, line: str) -> tuple[str | None, ...]:
    try:
        fields = ast.literal_eval(line)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as refusal:
        reason = str(refusal).split(":")[0].split("(")[0].strip() or type(refusal).__name__
        raise InputError(f"{path}: line {number} is not a Python literal ({reason}).") from None
    if not isinstance(fields, dict):
        raise InputError(f"{path}: line {number} is not a Python dictionary.")
    require_columns(path, [str(name) for name in fields], ["asin"])
    return (str(fields["asin"]), *(_flat(fields.get(name)) for name in TEXTS))


def _flat(value: object) -> str | None:
    """Text of a value; nested lists flattened, each entry once, parted by commas."""
    leaves = [str(leaf) for leaf in _leaves(value) if leaf is not None]
    return ", ".join(dict.fromkeys(leaves)) or None


def _leaves(value: object) -> list[object]:
    if not isinstance(value, list | tuple):
        return [value]
    return [leaf for entry in value for leaf in _leaves(entry)]
