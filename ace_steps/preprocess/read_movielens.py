"""Reader of MovieLens in GroupLens' own formats, told apart by what stands in the first line.

| release | log | catalogue |
|---|---|---|
| 100K | u.data, tabs | u.item, bars, a column a genre, Latin-1 |
| 1M, 10M | ratings.dat, double colons | movies.dat, double colons, Latin-1 (1M) or UTF-8 |
| 20M, 25M, latest | ratings.csv | movies.csv, titles quoted, UTF-8 |
"""

import io
from pathlib import Path
from typing import Literal

import polars as pl
from polars.exceptions import PolarsError

from ace_steps.errors import InputError
from ace_steps.preprocess.raw_events import (
    NUMBERS,
    RawData,
    checked_events,
    checked_items,
    lines,
    read_delimited,
    require_columns,
    unreadable,
)
from ace_steps.preprocess.raw_json import whole
from ace_steps.preprocess.settings import DatasetSettings

LOG = {"userId": "user_id", "movieId": "item_id", "rating": "rating", "timestamp": "timestamp"}
# "1::1193::5::978300760" read with a single colon has an empty field between two values.
DOUBLE_COLON = ["user_id", "_1", "item_id", "_2", "rating", "_3", "timestamp"]
TAB = ["user_id", "item_id", "rating", "timestamp"]
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


def catalog_columns(items: Path | None, settings: MovielensSettings) -> list[str]:
    """Text columns of the catalog, the same for every file of the format."""
    del items, settings
    return ["title", "genres"]


def read(interactions: Path, items: Path, settings: MovielensSettings | None = None) -> RawData:
    """The log of a ratings file and the catalogue of its movies file."""
    del settings  # the format fixes them
    return RawData(_events(interactions), checked_items(_catalogue(items), items))


def _events(path: Path) -> pl.DataFrame:
    first = "".join(lines(path, n_rows=1)["line"])
    if first.startswith("userId"):
        events = read_delimited(path, LOG, separator=",", quote='"', numbers=NUMBERS)
        return checked_events(events, path, first_line=2)
    if "::" not in first and "\t" not in first:
        raise InputError(f"{path}: no MovieLens log begins with '{first[:60]}'.")
    separator, names = (":", DOUBLE_COLON) if "::" in first else ("\t", TAB)
    wanted = {name: name for name in TAB}
    events = read_delimited(path, wanted, separator=separator, names=names, numbers=NUMBERS)
    return checked_events(events, path, first_line=1)


def _catalogue(path: Path) -> pl.DataFrame:
    text = _decoded(whole(path))
    first = text.partition("\n")[0]
    if first.startswith("movieId"):
        table = _csv(path, text)
        genres = pl.col("genres").replace(NO_GENRES, None).str.replace_all("|", ", ", literal=True)
        return table.select(pl.col("movieId").alias("item_id"), "title", genres)
    separator = "::" if "::" in first else "|"
    rows = pl.DataFrame({"line": text.splitlines()}).with_columns(
        number=pl.int_range(pl.len()) + 1, field=pl.col("line").str.split(separator)
    )
    rows = rows.filter(pl.col("line") != "")
    n_fields = 3 if separator == "::" else 5 + len(GENRES)
    wrong = rows.filter(pl.col("field").list.len() != n_fields)
    if not wrong.is_empty():
        raise InputError(
            f"{path}: line {wrong['number'][0]} has {len(wrong['field'][0])} fields parted by "
            f"'{separator}', but a MovieLens catalogue has {n_fields}."
        )
    field = pl.col("field").list
    genres = field.get(2).str.replace_all("|", ", ", literal=True)
    if separator == "|":
        places = {name: 5 + i for i, name in enumerate(GENRES) if name != "unknown"}
        flags = [pl.when(field.get(i) == "1").then(pl.lit(n)) for n, i in places.items()]
        genres = pl.concat_str(flags, separator=", ", ignore_nulls=True)
    return rows.select(item_id=field.get(0), title=field.get(1), genres=genres)


def _csv(path: Path, text: str) -> pl.DataFrame:
    try:
        table = pl.read_csv(io.BytesIO(text.encode()), infer_schema=False)
    except PolarsError as refusal:
        raise unreadable(path, refusal) from None
    require_columns(path, table.columns, ["movieId", "title", "genres"])
    return table


def _decoded(content: bytes) -> str:
    """UTF-8 if it is that, else Latin-1, as the older releases are; carriage returns taken out."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return text.replace("\r\n", "\n")
