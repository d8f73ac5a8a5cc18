"""Train, validation and test: which event of a history is held out."""

import numpy as np
import polars as pl

SHORTEST_SPLIT = 3  # one event each to train, to validate and to test on


def leave_one_out(events: pl.DataFrame) -> pl.DataFrame:
    """The events with a column split: a user's last is test, the one before valid, others train.

    A user with fewer than three events cannot be split and is trained on only.

    Args:
        events: Column user at least, sorted by user, then time.
    """
    length = pl.len().over("user")
    from_end = length - 1 - pl.int_range(pl.len()).over("user")
    return events.with_columns(
        split=pl.when((length < SHORTEST_SPLIT) | (from_end >= 2))
        .then(pl.lit("train"))
        .when(from_end == 1)
        .then(pl.lit("valid"))
        .otherwise(pl.lit("test"))
    )


def time_bounds(
    timestamps: np.ndarray, *, valid_share: float, test_share: float
) -> tuple[float, float]:
    """Times at which the validation period and the test period begin.

    Args:
        timestamps: (n_events,) times, in seconds.
        valid_share: Share of the events that fall into the validation period, about.
        test_share: Share of the events that fall into the test period, about.

    Returns:
        The first time of each period, each an event's own: whoever shares it is in that period.
    """
    ordered = np.sort(timestamps)
    n_test = max(1, round(len(ordered) * test_share))
    n_valid = max(1, round(len(ordered) * valid_share))
    valid_at = ordered[max(0, len(ordered) - n_test - n_valid)]
    return float(valid_at), float(ordered[len(ordered) - n_test])


def global_time(events: pl.DataFrame, *, valid_at: float, test_at: float) -> pl.DataFrame:
    """The events with a column split, where nothing trained on is later than anything held out.

    Train is what happened before ``valid_at``. A user's first event of the validation period is the
    validation target, the first of the test period the test target. The later events of a period
    are dropped: to train on them would let the future in, and a history that holds them would not
    be the one the target was chosen in. Users without an event before ``valid_at`` are dropped.

    Args:
        events: Columns user and timestamp at least, sorted by user, then time.
        valid_at: First time of the validation period.
        test_at: First time of the test period.
    """
    split = (
        pl.when(pl.col("timestamp") < valid_at)
        .then(pl.lit("train"))
        .when(pl.col("timestamp") < test_at)
        .then(pl.lit("valid"))
        .otherwise(pl.lit("test"))
    )
    labelled = events.with_columns(split=split)
    place = pl.int_range(pl.len()).over("user", "split")
    has_past = (pl.col("split") == "train").any().over("user")
    return labelled.filter(has_past & ((pl.col("split") == "train") | (place == 0)))
