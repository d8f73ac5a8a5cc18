"""Readers of public datasets as their publishers give them: MovieLens, Amazon reviews and Yelp.

| reader | log | catalog |
|---|---|---|
| movielens, 100K | u.data, tabs | u.item, bars, a column a genre, Latin-1 |
| movielens, 1M and 10M | ratings.dat, double colons | movies.dat, double colons, Latin-1 or UTF-8 |
| movielens, 20M, 25M, latest | ratings.csv | movies.csv, titles quoted, UTF-8 |
| amazon_2014 | 5-core reviews, JSON lines | metadata, Python literals |
| amazon_2023 | reviews, JSON lines | metadata, JSON lines |
| yelp | reviews, JSON lines | businesses, JSON lines |

The releases of MovieLens are distinguished by their first line. Python literals such as ``{'asin':
'B00', 'title': 'Lamp'}`` are parsed as data; a line that would have to be executed is refused.
"""

import ast
import gzip
import zlib
from pathlib import Path
from typing import Literal

import polars as pl

from ace_steps.errors import InputError
from ace_steps.preprocess.raw_data import (
    RawData,
    checked_events,
    checked_items,
    lines,
    read_delimited,
    read_json_lines,
    require_columns,
    unreadable,
)
from ace_steps.preprocess.settings import DatasetSettings

LISTS_2023 = ("categories", "features", "description")
TEXTS = {
    "movielens": ("title", "genres"),
    "amazon_2014": ("title", "price", "brand", "categories", "description"),
    "amazon_2023": ("title", "store", "price", "main_category", *LISTS_2023),
    "yelp": ("name", "address", "city", "state", "categories"),
}

RATINGS = {"userId": "user_id", "movieId": "item_id", "rating": "rating", "timestamp": "timestamp"}
MOVIES = {"movieId": "item_id", "title": "title", "genres": "genres"}
RATING_NAMES = ["user_id", "item_id", "rating", "timestamp"]
# "1::1193::5::978300760" read with a single colon has an empty field between two values.
DOUBLE_COLON = ["user_id", "_1", "item_id", "_2", "rating", "_3", "timestamp"]
# Columns of u.item from the sixth on, in order; "unknown" is no genre.
GENRES = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime"),
    *("Documentary", "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery"),
    *("Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
NO_GENRES = "(no genres listed)"

AMAZON_2014_REVIEW = {
    "reviewerID": "user_id",
    "asin": "item_id",
    "unixReviewTime": "timestamp",
    "overall": "rating",
}
_ASIN = r"""['"]asin['"]\s*:\s*u?['"]([^'"\\]+)['"]"""
AMAZON_2023_REVIEW = {
    "user_id": "user_id",
    "parent_asin": "item_id",
    "timestamp": "timestamp",
    "rating": "rating",
}
YELP_REVIEW = {
    "user_id": "user_id",
    "business_id": "item_id",
    "date": "timestamp",
    "stars": "rating",
}


class MovielensSettings(DatasetSettings):
    """MovieLens 100K, 1M, 10M, 20M, 25M or latest, in GroupLens' own files."""

    reader: Literal["movielens"] = "movielens"


class Amazon2014Settings(DatasetSettings):
    """Amazon reviews of 2014: 5-core reviews and their metadata."""

    reader: Literal["amazon_2014"] = "amazon_2014"


class Amazon2023Settings(DatasetSettings):
    """Amazon reviews of 2023: reviews and metadata as JSON lines."""

    reader: Literal["amazon_2023"] = "amazon_2023"


class YelpSettings(DatasetSettings):
    """The Yelp Open Dataset: review and business files as JSON lines."""

    reader: Literal["yelp"] = "yelp"


def catalog_columns(_items: Path | None, settings: DatasetSettings) -> list[str]:
    """Text columns of the catalog, the same for every file of a format."""
    return list(TEXTS[settings.reader])


def read_movielens(interactions: Path, items: Path, _settings: MovielensSettings) -> RawData:
    """The log of a ratings file and the catalog of its movies file."""
    first = "".join(lines(interactions, n_rows=1)["line"])
    if first.startswith("userId"):
        events = read_delimited(interactions, RATINGS, separator=",", quote='"')
    elif "::" in first or "\t" in first:
        separator, names = (":", DOUBLE_COLON) if "::" in first else ("\t", RATING_NAMES)
        columns = dict(zip(RATING_NAMES, RATING_NAMES, strict=True))
        events = read_delimited(interactions, columns, separator=separator, names=names)
    else:
        raise InputError(f"{interactions}: no MovieLens log begins with '{first[:60]}'.")
    first_line = 2 if first.startswith("userId") else 1
    events = checked_events(events, interactions, first_line=first_line)
    return RawData(events, checked_items(_movies(items), items))


def _movies(path: Path) -> pl.DataFrame:
    text = _text(path)
    if text.startswith("movieId"):
        table = read_delimited(path, MOVIES, separator=",", quote='"')
        genres = pl.col("genres").replace(NO_GENRES, None).str.replace_all("|", ", ", literal=True)
        return table.with_columns(genres)
    separator, n_fields = ("::", 3) if "::" in text.partition("\n")[0] else ("|", 5 + len(GENRES))
    catalog = []
    for number, line in enumerate(text.splitlines(), start=1):
        row = line.split(separator)
        if line and len(row) != n_fields:
            raise InputError(
                f"{path}: line {number}: expected {n_fields} fields of a MovieLens catalog between "
                f"'{separator}', got {len(row)}."
            )
        if line:
            catalog.append((*row[:2], _genres(row)))
    schema = dict.fromkeys(MOVIES.values(), pl.String)
    return pl.DataFrame(catalog, schema=schema, orient="row")


def _genres(row: list[str]) -> str:
    """``Animation, Comedy`` of a row of movies.dat, or of the flags in a row of u.item."""
    if len(row) == 3:
        return row[2].replace("|", ", ")
    flags = zip(GENRES[1:], row[6:], strict=True)
    return ", ".join(genre for genre, flag in flags if flag == "1")


def _text(path: Path) -> str:
    """UTF-8 if it is that, else Latin-1, as the older releases are; plain or gzip."""
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    except (OSError, EOFError, zlib.error) as damage:
        raise unreadable(path, damage) from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def read_amazon_2014(interactions: Path, items: Path, _settings: Amazon2014Settings) -> RawData:
    """The log of a 5-core review file and the catalog of its metadata file."""
    events = read_json_lines(interactions, AMAZON_2014_REVIEW)
    events = checked_events(events, interactions, first_line=1)
    return RawData(events, checked_items(_literals(items, events["item_id"].unique()), items))


def read_amazon_2023(interactions: Path, items: Path, _settings: Amazon2023Settings) -> RawData:
    """The log of a review file and the catalog of its metadata file; an item is a parent_asin."""
    events = read_json_lines(interactions, AMAZON_2023_REVIEW)
    events = checked_events(events, interactions, first_line=1, unit="milliseconds")
    fields = {"parent_asin": "item_id", **{name: name for name in TEXTS["amazon_2023"]}}
    catalog = read_json_lines(items, fields, lists=LISTS_2023)
    return RawData(events, checked_items(catalog, items))


def read_yelp(interactions: Path, items: Path, _settings: YelpSettings) -> RawData:
    """The log of the review file and the catalog of the business file; an item is a business."""
    events = read_json_lines(interactions, YELP_REVIEW)
    events = checked_events(events, interactions, first_line=1, unit="iso")
    fields = {"business_id": "item_id", **{name: name for name in TEXTS["yelp"]}}
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
    schema = dict.fromkeys(("item_id", *TEXTS["amazon_2014"]), pl.String)
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
    texts = [", ".join(dict.fromkeys(_leaves(fields.get(name)))) for name in TEXTS["amazon_2014"]]
    return [str(fields["asin"]), *(text or None for text in texts)]


def _leaves(value: object) -> list[str]:
    if isinstance(value, list | tuple):
        return [leaf for entry in value for leaf in _leaves(entry)]
    return [] if value is None else [str(value)]
