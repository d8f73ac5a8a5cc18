"""Which columns of a log and a catalog hold what, by their names and by their content.

Each column gets a score for each role; the scores are small hand-set weights, so that content can
overrule a name and a name decides where content fits several columns. The chosen assignment has the
largest sum; a role is in doubt where another column would lose less than ``MARGIN``.
"""

import itertools
from dataclasses import dataclass, field

import polars as pl

from ace_steps.init.heads import Head
from ace_steps.init.names import name_score
from ace_steps.init.times import Times, numbers_of, times_of

PLAIN_TYPES = (pl.String, pl.Categorical, pl.Date, pl.Datetime)
PARTS = ("user", "item", "timestamp", "item_id")
MARGIN = 0.5
N_CANDIDATES = 6  # columns of a role that are combined with those of the other roles
MIN_OVERLAP = 0.2  # share of the log's ids that the catalog must have, where it was read whole
LEAST_FILLED = 0.99
N_RATING_VALUES = 101
LARGEST_RATING = 100


@dataclass(frozen=True)
class Column:
    """What counts of a column's content.

    Attributes:
        ids: The distinct values as text, whole floats without their ``.0``.
        filled: Share of values that are not missing.
        times: What it is as a time, None where it cannot be.
        numbers: Its values as float64, None where they are no numbers.
        mean_chars: Of the text.
    """

    name: str
    n_rows: int
    ids: pl.Series
    filled: float
    times: Times | None
    numbers: pl.Series | None
    mean_chars: float

    @property
    def is_fraction(self) -> bool:
        """Whether it holds numbers that are not whole."""
        return self.numbers is not None and bool((self.numbers % 1 != 0).any())

    @property
    def is_date(self) -> bool:
        """Whether it is a time beyond doubt."""
        return self.times is not None and not self.times.doubt

    @property
    def uniqueness(self) -> float:
        """Distinct values for each value that is there."""
        return len(self.ids) / max(1, round(self.filled * self.n_rows))


@dataclass(frozen=True)
class Roles:
    """Which column holds what.

    Attributes:
        score: How well the files fit these parts; larger is better.
        user, item, timestamp: Columns of the log.
        rating: A column of the log, None where no name says so.
        item_id: A column of the catalog.
        others: By role, other columns that fit nearly as well, best first.
        overlap: Share of the log's distinct items that the catalog has.
    """

    score: float
    user: Column
    item: Column
    timestamp: Column
    rating: Column | None
    item_id: Column
    overlap: float
    others: dict[str, list[str]] = field(default_factory=dict)


def columns_of(head: Head) -> list[Column]:
    """The columns of a table that can hold a part: text, numbers and dates, but no index of pandas.

    Its index has no name in CSV and ``__index_level_0__`` in Parquet.
    """
    return [
        _column(series)
        for series in head.table
        if (series.dtype in PLAIN_TYPES or series.dtype.is_numeric())
        and series.name
        and not series.name.startswith("__index_level_")
    ]


def _column(series: pl.Series) -> Column:
    text = as_ids(series)
    filled = text.drop_nulls()
    return Column(
        name=series.name,
        n_rows=len(series),
        ids=filled.unique(),
        filled=len(filled) / max(1, len(series)),
        times=times_of(series),
        numbers=numbers_of(series),
        mean_chars=filled.str.len_chars().mean() or 0.0,
    )


def as_ids(series: pl.Series) -> pl.Series:
    """Values as the ids' text: 17 for 17.0, and null for an empty text or NaN."""
    if series.dtype.is_float():
        series = series.fill_nan(None)
        if (series.drop_nulls() % 1 == 0).all():
            series = series.cast(pl.Int64, strict=False)
    text = series.cast(pl.String, strict=False)
    return text.set(text == "", None) if (text == "").any() else text


def assign(log: list[Column], catalog: list[Column], *, are_whole: bool) -> Roles | None:
    """The best assignment of columns to roles.

    Args:
        log, catalog: The columns of both tables.
        are_whole: Whether both tables were read to their ends, so that ids which the other table
            lacks are missing and not just further down.

    Returns:
        The columns, or None where the two tables are no log and catalog.
    """
    users = _best((_user_score(column), column) for column in log)
    times = _best((_time_score(column), column) for column in log)
    pairs = [(_pair_score(a, b, are_whole), (a, b)) for a in log for b in catalog]
    pairs = sorted((p for p in pairs if p[0] is not None), key=lambda p: -p[0])[: N_CANDIDATES**2]
    id_columns = {b.name: b for _, (_, b) in pairs}.values()
    penalty = {(u.name, b.name): _overlap(u, b) for _, u in users for b in id_columns}
    found = []
    for (u, user), (t, time), (i, (item, item_id)) in itertools.product(users, times, pairs):
        if len({user.name, time.name, item.name}) == 3:
            score = u + t + i - penalty[user.name, item_id.name]  # a user is no item
            found.append(
                (score, {"user": user, "item": item, "timestamp": time, "item_id": item_id})
            )
    if not found:
        return None
    found.sort(key=lambda entry: -entry[0])
    score, chosen = found[0]
    near = [entry for entry in found if entry[0] > score - MARGIN]
    others = {
        role: list(dict.fromkeys(e[role].name for _, e in near if e[role].name != column.name))
        for role, column in chosen.items()
    }
    taken = {chosen[role].name for role in ("user", "item", "timestamp")}
    ratings = _best((_rating_score(column), column) for column in log if column.name not in taken)
    others["rating"] = [column.name for s, column in ratings[1:] if s > ratings[0][0] - MARGIN]
    return Roles(
        score=score + _text_score(catalog, chosen["item_id"]),
        rating=ratings[0][1] if ratings else None,
        overlap=_overlap(chosen["item"], chosen["item_id"]),
        others={role: names for role, names in others.items() if names},
        **chosen,
    )


def _best(scored) -> list[tuple[float, Column]]:
    kept = [(score, column) for score, column in scored if score is not None]
    return sorted(kept, key=lambda entry: -entry[0])[:N_CANDIDATES]


def _user_score(column: Column) -> float | None:
    """None for what no id of a user can be."""
    if column.is_fraction or column.filled < LEAST_FILLED / 2 or column.ids.is_empty():
        return None
    score = name_score(column.name, "user")
    if max(name_score(column.name, role) for role in ("item", "rating")) > max(score, 0.5):
        score -= 0.5
    score -= 0.5 * (len(column.ids) == 1)
    score -= 1.5 * column.is_date
    score -= column.mean_chars > 64  # free text
    score -= 0.8 * (column.uniqueness > 0.98)  # the id of an event
    score -= 0.5 * (len(column.ids) <= 12 and column.n_rows > 200)  # a kind or a rating
    score -= column.filled < LEAST_FILLED
    return score


def _time_score(column: Column) -> float | None:
    if column.times is None or column.filled < LEAST_FILLED / 2:
        return None
    named = name_score(column.name, "timestamp")
    if column.times.doubt and named <= 0:
        return None  # numbers that nobody calls a time
    score = named + (1.5 if column.is_date else 0.0)
    return score - (column.filled < LEAST_FILLED) - 0.5 * (not column.times.is_readable)


def _pair_score(item: Column, item_id: Column, are_whole: bool) -> float | None:
    """How well a column of the log and one of the catalog are the same items; None: not at all."""
    for column in (item, item_id):
        if column.is_fraction or column.is_date or column.filled < LEAST_FILLED / 2:
            return None
    if item_id.uniqueness < 0.5:
        return None
    named = name_score(item.name, "item"), name_score(item_id.name, "item")
    overlap = _overlap(item, item_id)
    heads_may_miss = min(named) >= 0.7 and not are_whole
    if overlap < MIN_OVERLAP and not heads_may_miss:
        return None
    coverage = overlap * len(item.ids) / len(item_id.ids)
    score = 2 * overlap + 0.5 * coverage + sum(named)
    score += 0.3 * (item.name.casefold() == item_id.name.casefold())
    score -= 2 * (1 - item_id.uniqueness) + (item_id.uniqueness < 1) * 0.3
    score -= 0.5 * (len(item.ids) <= 12 and item.n_rows > 200)
    return score


def _rating_score(column: Column) -> float | None:
    """Only a name makes a rating: its numbers could be a quantity."""
    named = name_score(column.name, "rating")
    numbers = column.numbers
    if named <= 0 or numbers is None or numbers.is_empty() or len(column.ids) > N_RATING_VALUES:
        return None
    return named if numbers.min() >= -LARGEST_RATING and numbers.max() <= LARGEST_RATING else None


def text_columns(catalog: list[Column], item_id: str) -> list[str]:
    """Columns of the catalog that hold words."""
    return [
        column.name
        for column in catalog
        if column.name != item_id
        and column.numbers is None
        and column.filled
        and not column.is_date
    ]


def _text_score(catalog: list[Column], item_id: Column) -> float:
    return 0.5 if text_columns(catalog, item_id.name) else -0.5


def _overlap(item: Column, item_id: Column) -> float:
    """Share of one column's distinct values that the other has."""
    if item.ids.is_empty():
        return 0.0
    return float(item.ids.is_in(item_id.ids.implode()).mean())
