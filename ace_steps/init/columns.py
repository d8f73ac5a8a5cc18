"""Which columns of a log and a catalog hold what, by their names and by their content.

Each column gets a score for each role; the scores are small hand-set weights, so that content can
overrule a name and a name decides where content fits several columns. The chosen assignment has the
largest sum; a role is in doubt where another column would lose less than ``MARGIN``.
"""

import itertools
import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from ace_steps.init.heads import Head
from ace_steps.preprocess.raw_data import seconds_of
from ace_steps.preprocess.read_table import PER_SECOND

PLAIN_TYPES = (pl.String, pl.Categorical, pl.Date, pl.Datetime)
MARGIN = 0.5
N_CANDIDATES = 6  # columns of a role that are combined with those of the other roles
MIN_OVERLAP = 0.2  # share of the log's ids that the catalog must have, where it was read whole
LEAST_FILLED = 0.99
N_RATING_VALUES = 101
LARGEST_RATING = 100
EARLIEST_S, LATEST_S = 315_532_800, 4_102_444_800  # 1980 to 2100: no two units overlap there
ISO = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)? ?(Z|UTC|[+-]\d{2}(:?\d{2})?)?$"
LOCAL_DATE = r"^\d{1,4}[./-]\d{1,2}[./-]\d{1,4}\b"  # 31.01.2024, 01/31/2024
COMPACT_DATE = (19800101, 21001231)  # 20240131 as a number
MOST = 0.99  # of the values that must be times, or numbers


# Whole words. Those of four letters and more also count inside a longer word: `Kundennummer`.
_VOCABULARY = {
    "user": """
        user uid member customer client cust buyer shopper reviewer visitor account subscriber
        person player listener viewer reader guest household consumer
        kunde kunden kaufer kaeufer nutzer benutzer mitglied besteller konto
        utilisateur acheteur membre abonne utente cliente acquirente usuario comprador
        gebruiker klant""",
    "stand-in of a user": "session sessions device cookie",
    "item": """
        item iid product prod sku asin article movie film song track book isbn business listing
        offer ean gtin upc game app video news recipe poi venue course hotel restaurant place
        artikel produkt ware buch produit livre prodotto articolo libro producto articulo
        produto""",
    "timestamp": """
        timestamp time ts date datetime epoch unix created when at purchased ordered visited moment
        datum zeit zeitpunkt zeitstempel uhrzeit bestellt heure horodatage data ora fecha hora
        tijd tijdstip""",
    "other time": "update updated modified birth birthday delivery shipped end geburt expires",
    "rating": """
        rating ratings rate stars star score overall grade bewertung sterne punkte evaluation
        voto puntuacion valoracion calificacion nota waardering""",
    "id": "id ids nr no num nummer numero number code key kennung identifier ref",
    "attribute": """
        name title price cost amount count qty quantity category brand type kind description text
        url image city country email age gender color size stock status order invoice transaction
        event row line index preis titel menge anzahl marke kategorie bestellung beschreibung
        prix titre nom commande prezzo nome precio nombre titulo""",
}
WORDS = {kind: frozenset(text.split()) for kind, text in _VOCABULARY.items()}
SHORTEST_STEM = 4


def words_of(name: str) -> list[str]:
    """The words of a name in lower case without accents: ``KäuferNr`` has kaufer and nr."""
    parted = re.sub(r"([a-z0-9ß-ÿ])([A-Z])", r"\1 \2", name)
    plain = unicodedata.normalize("NFKD", parted).encode("ascii", "ignore").decode().lower()
    return re.findall(r"[a-z]+", plain)


def name_score(name: str, role: str) -> float:
    """From -0.6, for a name that says something else, over 0, to 1.2 for an evident one."""
    words = words_of(name)
    known = WORDS[role]
    stems = [stem for stem in known if len(stem) >= SHORTEST_STEM]
    is_id = any(word in WORDS["id"] for word in words)
    score = 0.0
    if any(word in known or word.removesuffix("s") in known for word in words):
        score = 1.0
    elif any(stem in word for stem in stems for word in words):
        score = 0.8
        is_id = is_id or any(word.endswith(("id", "nr", "nummer", "code")) for word in words)
    elif role == "user" and any(stem in w for stem in WORDS["stand-in of a user"] for w in words):
        score = 0.2
    if role in ("user", "item"):
        score += 0.2 * is_id
        score -= 0.6 * any(word in WORDS["attribute"] for word in words)
    if role == "timestamp":
        score -= 0.5 * any(word in WORDS["other time"] for word in words)
    return max(score, -0.6)


@dataclass(frozen=True)
class Times:
    """What a column's values are as times.

    Attributes:
        unit: A value of the key ``timestamp_unit``.
        what: For a person, e.g. ``milliseconds, 2023-01-02 to 2024-05-06``.
        doubt: What is unusual about it, or empty.
        is_readable: Whether the reader takes such values.
    """

    unit: str
    what: str
    doubt: str = ""
    is_readable: bool = True


def times_of(values: pl.Series) -> Times | None:
    """What the values of a column are as times, None where they cannot be times.

    Small non-negative numbers are taken as seconds with a doubt: they may be days, or an order, or
    no times at all.
    """
    values = values.drop_nulls()
    if values.is_empty():
        return None
    if values.dtype in (pl.Date, pl.Datetime):
        first, last = values.min(), values.max()
        return Times("iso", f"iso, by its type, {first:%Y-%m-%d} to {last:%Y-%m-%d}")
    numbers = numbers_of(values)
    if numbers is not None:
        return _numeric_times(numbers)
    if values.dtype != pl.String:
        return None
    plain = values.str.strip_chars()
    if plain.str.contains(ISO).mean() >= MOST:
        unread = plain.filter(pl.select(seconds_of(pl.lit(plain))).to_series().is_null())
        if len(unread):
            return Times("iso", f"times such as '{unread[0]}'", is_readable=False)
        return Times("iso", f"iso, text, {plain.min()[:10]} to {plain.max()[:10]}")
    if plain.str.contains(LOCAL_DATE).mean() >= MOST:
        return Times("iso", f"dates such as '{plain[0]}'", is_readable=False)
    return None


def _numeric_times(numbers: pl.Series) -> Times | None:
    if numbers.is_empty():
        return None
    low, high = numbers.quantile(0.01, "nearest"), numbers.quantile(0.99, "nearest")
    if low < 0:
        return None
    for unit, factor in PER_SECOND.items():
        if EARLIEST_S * factor <= low and high <= LATEST_S * factor:
            first, last = (datetime.fromtimestamp(v / factor, UTC) for v in (low, high))
            return Times(unit, f"{unit}, {first:%Y-%m-%d} to {last:%Y-%m-%d}")
    if COMPACT_DATE[0] <= low and high <= COMPACT_DATE[1] and (numbers % 100 <= 31).all():
        doubt = (
            f"values such as {numbers[0]:.0f} look like year, month and day; as seconds, which is "
            "how they are read, their order is right and their dates are not"
        )
    else:
        doubt = (
            f"values from {numbers.min():.15g} to {numbers.max():.15g} are in no known unit; as "
            "seconds, only their order counts"
        )
    return Times("seconds", "numbers", doubt)


def numbers_of(values: pl.Series) -> pl.Series | None:
    """A column as float64, None where it holds anything but numbers."""
    if values.dtype.is_numeric():
        return values.cast(pl.Float64).drop_nans()
    if values.dtype != pl.String:
        return None
    numbers = values.str.strip_chars().cast(pl.Float64, strict=False)
    is_number = numbers.count() > 0 and numbers.count() >= MOST * values.count()
    return numbers.drop_nulls().drop_nans() if is_number else None


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
    """Which column holds what: of the log, but for ``item_id``, which is of the catalog.

    Attributes:
        score: How well the files fit these roles; larger is better.
        overlap: Share of the log's distinct items that the catalog has.
        others: By role, other columns that fit nearly as well, best first.
    """

    score: float
    user: Column
    item: Column
    timestamp: Column
    rating: Column | None
    item_id: Column
    overlap: float
    others: dict[str, list[str]]


def columns_of(head: Head) -> list[Column]:
    """The columns of a table that can have a role: text, numbers and dates, but no index of pandas.

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
    text = as_ids(series).drop_nulls()
    return Column(
        name=series.name,
        n_rows=len(series),
        ids=text.unique(),
        filled=len(text) / max(1, len(series)),
        times=times_of(series),
        numbers=numbers_of(series),
        mean_chars=text.str.len_chars().mean() or 0.0,
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
    users = _best([(_user_score(column), column) for column in log])
    times = _best([(_time_score(column), column) for column in log])
    pairs = [(_pair_score(a, b, are_whole), (a, b)) for a in log for b in catalog]
    pairs = _best(pairs, N_CANDIDATES**2)
    id_columns = {b.name: b for _, (_, b) in pairs}.values()
    penalty = {(u.name, b.name): _overlap(u, b) for _, u in users for b in id_columns}
    fits = []
    for (u, user), (t, time), (i, (item, item_id)) in itertools.product(users, times, pairs):
        if len({user.name, time.name, item.name}) == 3:
            score = u + t + i - penalty[user.name, item_id.name]  # a user is no item
            roles = {"user": user, "item": item, "timestamp": time, "item_id": item_id}
            fits.append((score, roles))
    if not fits:
        return None
    fits.sort(key=lambda fit: -fit[0])
    score, chosen = fits[0]
    near = [roles for other, roles in fits if other > score - MARGIN]
    others = {
        role: list(dict.fromkeys(r[role].name for r in near if r[role].name != column.name))
        for role, column in chosen.items()
    }
    taken = {chosen[role].name for role in ("user", "item", "timestamp")}
    ratings = _best([(_rating_score(column), column) for column in log if column.name not in taken])
    others["rating"] = [column.name for s, column in ratings[1:] if s > ratings[0][0] - MARGIN]
    return Roles(
        score=score + (0.5 if text_columns(catalog, chosen["item_id"].name) else -0.5),
        rating=ratings[0][1] if ratings else None,
        overlap=_overlap(chosen["item"], chosen["item_id"]),
        others={role: names for role, names in others.items() if names},
        **chosen,
    )


def _best(scored: list[tuple], n: int = N_CANDIDATES) -> list[tuple]:
    """The pairs of the largest scores, best first, without those whose score is None."""
    return sorted((pair for pair in scored if pair[0] is not None), key=lambda pair: -pair[0])[:n]


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
    score = name_score(column.name, "timestamp")
    if column.times.doubt and score <= 0:
        return None  # numbers that nobody calls a time
    score += 1.5 if column.is_date else 0.0
    return score - (column.filled < LEAST_FILLED) - 0.5 * (not column.times.is_readable)


def _pair_score(item: Column, item_id: Column, are_whole: bool) -> float | None:
    """How well a column of the log and one of the catalog are the same items; None: not at all."""
    for column in (item, item_id):
        if column.is_fraction or column.is_date or column.filled < LEAST_FILLED / 2:
            return None
    if item_id.uniqueness < 0.5:
        return None
    names = name_score(item.name, "item"), name_score(item_id.name, "item")
    overlap = _overlap(item, item_id)
    heads_may_miss = min(names) >= 0.7 and not are_whole
    if overlap < MIN_OVERLAP and not heads_may_miss:
        return None
    coverage = overlap * len(item.ids) / len(item_id.ids)
    score = 2 * overlap + 0.5 * coverage + sum(names)
    score += 0.3 * (item.name.casefold() == item_id.name.casefold())
    score -= 2 * (1 - item_id.uniqueness) + (item_id.uniqueness < 1) * 0.3
    score -= 0.5 * (len(item.ids) <= 12 and item.n_rows > 200)
    return score


def _rating_score(column: Column) -> float | None:
    """Only a name makes a rating: its numbers could be a quantity."""
    score, numbers = name_score(column.name, "rating"), column.numbers
    if score <= 0 or numbers is None or numbers.is_empty() or len(column.ids) > N_RATING_VALUES:
        return None
    return score if numbers.min() >= -LARGEST_RATING and numbers.max() <= LARGEST_RATING else None


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


def _overlap(item: Column, item_id: Column) -> float:
    """Share of one column's distinct values that the other has."""
    if item.ids.is_empty():
        return 0.0
    return float(item.ids.is_in(item_id.ids.implode()).mean())
