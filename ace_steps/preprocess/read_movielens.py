"""Reader of MovieLens in GroupLens' own formats, distinguished by their first line.

| release | log | catalog |
|---|---|---|
| 100K | u.data, tabs | u.item, bars, a column a genre, Latin-1 |
| 1M, 10M | ratings.dat, double colons | movies.dat, double colons, Latin-1 (1M) or UTF-8 |
| 20M, 25M, latest | ratings.csv | movies.csv, titles quoted, UTF-8 |
"""

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
    unreadable,
)
from ace_steps.preprocess.settings import DatasetSettings

LOG = {"userId": "user_id", "movieId": "item_id", "rating": "rating", "timestamp": "timestamp"}
MOVIES = {"movieId": "item_id", "title": "title", "genres": "genres"}
TAB = ["user_id", "item_id", "rating", "timestamp"]
# "1::1193::5::978300760" read with a single colon has an empty field between two values.
DOUBLE_COLON = ["user_id", "_1", "item_id", "_2", "rating", "_3", "timestamp"]
# Columns of u.item from the sixth on, in order; "unknown" is no genre.
GENRES = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime"),
    *("Documentary", "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery"),
    *("Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
NO_GENRES = "(no genres listed)"


class MovielensSettings(DatasetSettings):
    """MovieLens 100K, 1M, 10M, 20M, 25M or latest, in GroupLens' own files."""

    reader: Literal["movielens"] = "movielens"
    catalog_fields = ("title", "genres")


def read(interactions: Path, items: Path, _settings: MovielensSettings) -> RawData:
    """The log of a ratings file and the catalog of its movies file."""
    first = "".join(lines(interactions, n_rows=1)["line"])
    if first.startswith("userId"):
        events = read_delimited(interactions, LOG, separator=",", quote='"')
    elif "::" in first or "\t" in first:
        separator, names = (":", DOUBLE_COLON) if "::" in first else ("\t", TAB)
        columns = {name: name for name in TAB}
        events = read_delimited(interactions, columns, separator=separator, names=names)
    else:
        raise InputError(f"{interactions}: no MovieLens log begins with '{first[:60]}'.")
    first_line = 2 if first.startswith("userId") else 1
    events = checked_events(events, interactions, first_line=first_line)
    return RawData(events, checked_items(_catalog(items), items))


def _catalog(path: Path) -> pl.DataFrame:
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
