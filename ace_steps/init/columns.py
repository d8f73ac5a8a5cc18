"""What the name and the content of a column say: its role, ids, times, numbers or words."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import polars as pl

from ace_steps.preprocess.raw_data import PER_SECOND, seconds_of

EARLIEST_S, LATEST_S = 315_532_800, 4_102_444_800  # 1980 to 2100: no two units overlap there
DATE = r"^\d{1,4}[./-]\d{1,2}[./-]\d{1,4}(?:\D|$)"  # 31.01.2024, 1/31/2024, 2024-01-31T08:00+02
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
WEIGHTS = {  # of words of each kind in the name of a column, for each role
    "user": {"user": 1.0, "stand-in of a user": 0.2, "id": 0.2, "attribute": -0.6},
    "item": {"item": 1.0, "id": 0.2, "attribute": -0.6},
    "timestamp": {"timestamp": 1.0, "other time": -0.5},
    "rating": {"rating": 1.0},
}


def name_score(name: str, role: str) -> float:
    """How well a name fits a role: 1 and more for an evident one, below 0 for another's."""
    parted = re.sub(r"([a-z0-9ß-ÿ])([A-Z])", r"\1 \2", name)  # KäuferNr: kaufer and nr
    plain = unicodedata.normalize("NFKD", parted).encode("ascii", "ignore").decode().lower()
    words = set(re.findall(r"[a-z]+", plain))
    words |= {word.removesuffix("s") for word in words}
    score = 0.0
    for kind, weight in WEIGHTS[role].items():
        stems = () if weight < 0 else (s for s in WORDS[kind] if len(s) >= SHORTEST_STEM)
        if words & WORDS[kind] or any(stem in word for stem in stems for word in words):
            score += weight
    return score


@dataclass(frozen=True)
class Times:
    """What a column's values are as times.

    Attributes:
        unit: A value of the key ``timestamp_unit``; None where the reader takes no such values.
        what: For a person, e.g. ``milliseconds, 2023-01-02 to 2024-05-06``.
        doubt: What is unusual about it, or empty.
    """

    unit: str | None
    what: str
    doubt: str = ""


def times_of(values: pl.Series) -> Times | None:
    """What the values of a column are as times, None where they cannot be times.

    Small non-negative numbers are taken as seconds with a doubt: they may be days, or an order, or
    no times at all.
    """
    values = values.drop_nulls()
    numbers = numbers_of(values)
    if numbers is not None:
        return _numeric_times(numbers)
    if values.dtype in (pl.Date, pl.Datetime):
        values = values.dt.strftime("%Y-%m-%d")
    if values.dtype != pl.String or (values.str.contains(DATE).mean() or 0) < MOST:
        return None
    plain = values.str.strip_chars()
    unread = plain.filter(pl.select(seconds_of(pl.lit(plain))).to_series().is_null())
    if len(unread):
        return Times(None, f"times such as '{unread[0]}'")
    return Times("iso", f"iso, {plain.min()[:10]} to {plain.max()[:10]}")


def _numeric_times(numbers: pl.Series) -> Times | None:
    low, high = numbers.quantile(0.01, "nearest"), numbers.quantile(0.99, "nearest")
    if low is None or low < 0:
        return None
    for unit, factor in PER_SECOND.items():
        if EARLIEST_S * factor <= low and high <= LATEST_S * factor:
            first, last = (datetime.fromtimestamp(v / factor, UTC) for v in (low, high))
            return Times(unit, f"{unit}, {first:%Y-%m-%d} to {last:%Y-%m-%d}")
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


class Column:
    """What counts of a column's content.

    Attributes:
        n_rows: Of the table.
        ids: All values as text, whole floats without their ``.0``, empty texts null.
        distinct: The distinct values as text.
        filled: Share of values that are not missing.
        uniqueness: Distinct values for each value that is there.
        numbers: Its values as float64, None where they are no numbers.
        times: What it is as a time, None where it cannot be.
    """

    def __init__(self, series: pl.Series) -> None:
        self.name = series.name
        self.n_rows = len(series)
        self.numbers = numbers_of(series)
        self.times = times_of(series)
        if series.dtype.is_float() and (self.numbers % 1 == 0).all():
            series = series.fill_nan(None).cast(pl.Int64, strict=False)
        text = series.cast(pl.String, strict=False)
        self.ids = text.set(text == "", None)
        self.distinct = self.ids.drop_nulls().unique()
        n_values = self.ids.count()
        self.filled = n_values / max(1, self.n_rows)
        self.uniqueness = len(self.distinct) / max(1, n_values)

    @cached_property
    def may_be_id(self) -> bool:
        """Whether its values are mostly there, and neither fractions nor dates."""
        is_fraction = self.numbers is not None and bool((self.numbers % 1 != 0).any())
        return self.filled > 0.5 and not is_fraction and not self.is_date

    @property
    def is_date(self) -> bool:
        """Whether it is a time beyond doubt."""
        return self.times is not None and not self.times.doubt

    @property
    def has_words(self) -> bool:
        """Whether it holds words."""
        return self.filled > 0 and self.numbers is None and not self.is_date

    def share_in(self, other: "Column") -> float:
        """Share of its distinct values that another column has."""
        return float(self.distinct.is_in(other.distinct.implode()).mean() or 0.0)


def columns_of(table: pl.DataFrame) -> list[Column]:
    """The columns of a table that can have a role: text, numbers and dates, but no index of pandas.

    Its index has no name in CSV and ``__index_level_0__`` in Parquet.
    """
    plain = (pl.String, pl.Categorical, pl.Date, pl.Datetime)
    return [
        Column(series)
        for series in table
        if (series.dtype in plain or series.dtype.is_numeric())
        and series.name
        and not series.name.startswith("__index_level_")
    ]
