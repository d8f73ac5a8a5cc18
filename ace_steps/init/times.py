"""What a column of times holds: its unit, and its first and last moment."""

from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from ace_steps.preprocess.raw_data import seconds_of

PER_SECOND = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
EARLIEST_S, LATEST_S = 315_532_800, 4_102_444_800  # 1980 to 2100: no two units overlap there
ISO = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)? ?(Z|UTC|[+-]\d{2}(:?\d{2})?)?$"
LOCAL_DATE = r"^\d{1,4}[./-]\d{1,2}[./-]\d{1,4}\b"  # 31.01.2024, 01/31/2024
COMPACT_DATE = (19800101, 21001231)  # 20240131 as a number
MOST = 0.99  # of the values must fit


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
        return _numeric(numbers)
    if values.dtype != pl.String:
        return None
    plain = values.str.strip_chars()
    if plain.str.contains(ISO).mean() >= MOST:
        first, last = plain.min()[:10], plain.max()[:10]
        unread = plain.filter(pl.select(seconds_of(pl.lit(plain))).to_series().is_null())
        example = f"times such as '{unread[0]}'" if len(unread) else f"iso, text, {first} to {last}"
        return Times("iso", example, is_readable=unread.is_empty())
    if plain.str.contains(LOCAL_DATE).mean() >= MOST:
        return Times("iso", f"dates such as '{plain[0]}'", is_readable=False)
    return None


def numbers_of(values: pl.Series) -> pl.Series | None:
    """A column as float64, None where it holds anything but numbers."""
    if values.dtype.is_numeric():
        return values.cast(pl.Float64).drop_nans()
    if values.dtype != pl.String:
        return None
    numbers = values.str.strip_chars().cast(pl.Float64, strict=False)
    n_missing = values.null_count()
    n_numbers = len(numbers) - numbers.null_count()
    is_number = n_numbers > 0 and n_numbers >= MOST * (len(values) - n_missing)
    return numbers.drop_nulls().drop_nans() if is_number else None


def _numeric(numbers: pl.Series) -> Times | None:
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
