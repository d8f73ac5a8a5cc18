"""The readers by name: one file and one line here each."""

from collections.abc import Callable
from pathlib import Path

from ace_steps.preprocess import (
    read_amazon_2014,
    read_amazon_2023,
    read_movielens,
    read_recbole,
    read_table,
    read_yelp,
)
from ace_steps.preprocess.raw_events import RawData
from ace_steps.preprocess.settings import Columns

READERS: dict[str, Callable[[Path, Path, Columns | None], RawData]] = {
    "amazon_2014": read_amazon_2014.read,
    "amazon_2023": read_amazon_2023.read,
    "movielens": read_movielens.read,
    "recbole": read_recbole.read,
    "table": read_table.read,
    "yelp": read_yelp.read,
}
