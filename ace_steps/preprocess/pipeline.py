"""From raw data to the four tables of a dataset: filter, order, split, number, describe."""

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

import numpy as np
import polars as pl

from ace_steps.errors import InputError
from ace_steps.preprocess.item_text import write_texts
from ace_steps.preprocess.raw_data import N_EXAMPLES, RawData
from ace_steps.preprocess.settings import Counts, DatasetSettings
from ace_steps.runtime import derive_seed

SHORTEST_SPLIT = 3  # one event each to train, to validate and to test on
TOP_PERCENT = (1, 2, 5, 10, 20, 50)

Statistics = dict[str, float]  # the table data_report, in its order


@dataclass(frozen=True)
class Dataset:
    """The tables interactions, users, items and data_report, with warnings to log."""

    interactions: pl.DataFrame
    users: pl.DataFrame
    items: pl.DataFrame
    data_report: pl.DataFrame
    warnings: list[str]


def build_dataset(raw: RawData, settings: DatasetSettings, name: str) -> Dataset:
    """Filter, order, split and number a log, and write its items' texts.

    The order of the work: rating threshold, time window, items without a text row, chronological
    order, duplicates, k-core, sample of users (and the k-core again), split. Users and items are
    numbered by their raw ids in ascending text order, so no order of the raw lines changes them.

    Statistics of the report are named ``<counted>_<when>``: ``users``, ``items``, ``events`` alone
    are the final counts, ``users_raw``, ``users_after_core`` and so on those after each filter that
    was applied. Memory: about 100 bytes an event at the peak, besides the raw ids.

    Args:
        raw: What a reader returned.
        settings: The dataset's settings.
        name: The dataset's name, for the text template.

    Raises:
        InputError: nothing is left, items lack a text row, a text is blank, the split is empty.
    """
    statistics: Statistics = {}
    catalog = raw.items
    events = raw.events.rename({"user_id": "user", "item_id": "item"})
    events = _in_scope(events, catalog["item_id"], settings, statistics)
    del raw  # the ids as text are most of the memory
    user_ids, item_ids = events["user"].unique().sort(), events["item"].unique().sort()
    events = events.select(_codes("user", user_ids), _codes("item", item_ids), "timestamp")
    events = _filtered(events, settings, statistics)
    events = _split(events, settings, statistics)
    users, events = _numbered("user", events, user_ids, first=0)
    items, events = _numbered("item", events, item_ids, first=1)
    events = events.with_columns(position=pl.int_range(pl.len(), dtype=pl.Int32).over("user"))
    train = events.filter(pl.col("split") == "train")["item"].to_numpy()
    train_counts = np.bincount(train, minlength=len(items) + 1)[1:]
    _describe(events, train_counts, statistics)
    items = _with_texts(items, catalog, name, settings, statistics)
    items = items.with_columns(train_count=pl.Series(train_counts, dtype=pl.Int32))
    warnings = _deviations(statistics, settings.expected)
    report = pl.DataFrame(
        {"statistic": list(statistics), "value": [float(v) for v in statistics.values()]},
        schema={"statistic": pl.String, "value": pl.Float64},
    )
    events = events.with_columns(pl.col("timestamp").floor().cast(pl.Int64))
    return Dataset(events, users, items, report, warnings)


def _in_scope(
    events: pl.DataFrame, catalog: pl.Series, settings: DatasetSettings, statistics: Statistics
) -> pl.DataFrame:
    """The events that rating, time window and catalog leave."""
    n_raw = len(events)
    _count(statistics, "raw", events)
    if settings.min_rating is not None:
        if events["rating"].null_count():
            raise InputError("min_rating is set, but the log has events without a rating.")
        events = events.filter(pl.col("rating") >= settings.min_rating)
        _count(statistics, "after_rating", events)
    if settings.time_start or settings.time_end:
        start, end = (
            datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() if day else None
            for day in (settings.time_start, settings.time_end)
        )
        time = pl.col("timestamp")
        events = events.filter((time >= (start or 0)) & (time < (end or float("inf"))))
        _count(statistics, "after_window", events)
    if settings.missing_items == "drop":
        events = events.filter(pl.col("item").is_in(catalog.implode()))
        _count(statistics, "after_missing_items", events)
    if events.is_empty():
        raise InputError(
            f"no events are left after the rating and time filters and the items without a row; "
            f"the log has {n_raw}."
        )
    return events


def _codes(kind: str, ids: pl.Series) -> pl.Expr:
    """A column of raw ids as their indices in the sorted ids."""
    return pl.col(kind).cast(pl.Enum(ids)).to_physical().cast(pl.Int32)


def _filtered(
    events: pl.DataFrame, settings: DatasetSettings, statistics: Statistics
) -> pl.DataFrame:
    """The events in order, without duplicates as the settings say, in the k-core, sampled."""
    seed = derive_seed(settings.seed, "ties")
    events = chronological(events, tie_rule=settings.tie_rule, seed=seed)
    pair = pl.col("user").cast(pl.Int64) * 2**31 + pl.col("item")
    is_last = settings.duplicates == "last"
    distinct = events.filter(pair.is_last_distinct() if is_last else pair.is_first_distinct())
    statistics["duplicate_events"] = len(events) - len(distinct)
    if settings.duplicates != "all":
        events = distinct
        _count(statistics, "after_duplicates", events)
    del distinct
    events = _core(events, settings)
    _count(statistics, "after_core", events)
    if settings.max_users is not None:
        generator = np.random.default_rng(derive_seed(settings.seed, "users"))
        users = events["user"].unique().sort().to_numpy()
        n_users = min(settings.max_users, len(users))
        sample = generator.choice(users, n_users, replace=False)
        events = _core(events.filter(pl.col("user").is_in(sample)), settings)
        _count(statistics, "after_sample", events)
    return events


def _core(events: pl.DataFrame, settings: DatasetSettings) -> pl.DataFrame:
    min_user, min_item = settings.min_user_events, settings.min_item_events
    kept = k_core(events, min_user=min_user, min_item=min_item)
    if kept.is_empty():
        raise InputError(
            f"no users and items are left of {len(events)} events: none have at least "
            f"{min_user} events a user and {min_item} an item."
        )
    return kept


def _split(events: pl.DataFrame, settings: DatasetSettings, statistics: Statistics) -> pl.DataFrame:
    """The events that the split takes, with their split."""
    if settings.split == "leave_one_out":
        events = leave_one_out(events)
    else:
        times, shares = events["timestamp"].to_numpy(), (settings.valid_share, settings.test_share)
        valid_at, test_at = time_bounds(times, valid_share=shares[0], test_share=shares[1])
        events = global_time(events, valid_at=valid_at, test_at=test_at)
        statistics |= {"split_valid_from": valid_at, "split_test_from": test_at}
        _count(statistics, "after_split", events)
    for split in ("train", "valid", "test"):
        n_events = int((events["split"] == split).sum())
        if not n_events:
            raise InputError(f"the split '{settings.split}' leaves no {split} events.")
        statistics[f"events_{split}"] = n_events
    return events


def _numbered(
    kind: str, events: pl.DataFrame, ids: pl.Series, *, first: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The table of users or items that are left, and the events with their dense numbers."""
    codes = events[kind].unique().sort()
    numbers = pl.int_range(first, first + len(codes), dtype=pl.Int32, eager=True)
    lookup = np.zeros(len(ids), np.int32)
    lookup[codes.to_numpy()] = numbers.to_numpy()
    table = pl.DataFrame({kind: numbers, f"{kind}_id": ids.gather(codes)})
    return table, events.with_columns(pl.Series(kind, lookup[events[kind].to_numpy()]))


def _with_texts(
    items: pl.DataFrame,
    catalog: pl.DataFrame,
    name: str,
    settings: DatasetSettings,
    statistics: Statistics,
) -> pl.DataFrame:
    """The items with their texts and the texts' digests."""
    missing = items.filter(~pl.col("item_id").is_in(catalog["item_id"].implode()))["item_id"]
    if len(missing):
        raise InputError(
            f"{len(missing)} items of the log have no row in the items file, e.g. "
            f"{', '.join(missing[:N_EXAMPLES])}; set missing_items to 'drop' to leave them out."
        )
    catalog = catalog.join(items, on="item_id", how="semi")
    texts, counts = write_texts(catalog, name, settings)
    items = items.join(texts, on="item_id", how="left", maintain_order="left")
    lengths = items["text"].str.len_chars()
    statistics |= counts
    statistics["duplicate_texts"] = len(items) - items["text"].n_unique()
    statistics |= {"text_chars_mean": lengths.mean(), "text_chars_max": lengths.max()}
    digests = [sha256(text.encode()).hexdigest() for text in items["text"]]
    return items.with_columns(text_sha256=pl.Series(digests))


# Filters and order


def k_core(events: pl.DataFrame, *, min_user: int, min_item: int) -> pl.DataFrame:
    """The largest log, of these events, where every user and item has enough events.

    Rounds of dropping users and items that have too few events, until nothing changes; the result
    does not depend on the order of the drops, and is empty where no such log exists.
    """
    n_events = None
    while len(events) != n_events:
        n_events = len(events)
        events = events.filter(pl.len().over("user") >= min_user, pl.len().over("item") >= min_item)
    return events


def chronological(events: pl.DataFrame, *, tie_rule: str, seed: int) -> pl.DataFrame:
    """The events (user, item, timestamp) sorted by user, then time, then the tie rule.

    Equal times of one user keep the order of the file (``file_order``), or follow a hash of seed,
    user and item (``hashed``), which no order of the file can change. Neither sorts by item: that
    would put an item's position in the catalog into the held-out items.
    """
    if tie_rule == "hashed":
        keys = tie_hash(events["user"].to_numpy(), events["item"].to_numpy(), seed)
        events = events.with_columns(tie=keys).sort("tie", maintain_order=True).drop("tie")
    # Stable sorts, the least important key first: twice as fast here as one sort by two keys.
    return events.sort("timestamp", maintain_order=True).sort("user", maintain_order=True)


def tie_hash(users: np.ndarray, items: np.ndarray, seed: int) -> np.ndarray:
    """(n_events,) uint64: a hash of seed, user and item that every platform computes alike.

    Source:
        The finalizer of SplitMix64, Steele, Lea and Flood, OOPSLA 2014.
    """
    state = _mix(users.astype(np.uint64) + np.uint64(seed % 2**64))
    return _mix(state ^ items.astype(np.uint64))


def _mix(state: np.ndarray) -> np.ndarray:
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


# Splits


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
    """First times of the validation and of the test period, which have these shares of the events.

    Each is an event's own time: whoever shares it is in that period.
    """
    ordered = np.sort(timestamps)
    n_test = max(1, round(len(ordered) * test_share))
    n_valid = max(1, round(len(ordered) * valid_share))
    valid_at = ordered[max(0, len(ordered) - n_test - n_valid)]
    return float(valid_at), float(ordered[len(ordered) - n_test])


def global_time(events: pl.DataFrame, *, valid_at: float, test_at: float) -> pl.DataFrame:
    """The events with a column split, where nothing trained on is later than anything held out.

    Train is what happened before ``valid_at``. A user's first event of the validation period is the
    validation item, the first of the test period the test item. The later events of a period are
    dropped: to train on them would let the future in, and a history that holds them would not be
    the one the item was chosen in. Users without an event before ``valid_at`` are dropped.

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
    labeled = events.with_columns(split=split)
    rank = pl.int_range(pl.len()).over("user", "split")
    has_past = (pl.col("split") == "train").any().over("user")
    return labeled.filter(has_past & ((pl.col("split") == "train") | (rank == 0)))


# Statistics of the data report


def _count(statistics: Statistics, stage: str, events: pl.DataFrame) -> None:
    """Note the users, items and events after a stage."""
    statistics[f"events_{stage}"] = len(events)
    statistics[f"users_{stage}"] = events["user"].n_unique()
    statistics[f"items_{stage}"] = events["item"].n_unique()


def _describe(events: pl.DataFrame, train_counts: np.ndarray, statistics: Statistics) -> None:
    """Note the final counts, histories, ties, popularity, and held-out items unseen in training.

    Args:
        events: Final interactions, sorted by user and position, timestamps unrounded.
        train_counts: (n_items,) training events of each item.
        statistics: They are added here.
    """
    lengths = events.group_by("user").len()["len"].to_numpy()
    n_held_out = events.filter(pl.col("split") != "train")["user"].n_unique()
    statistics |= {
        "users": len(lengths),
        "items": len(train_counts),
        "events": len(events),
        "density": len(events) / (len(lengths) * len(train_counts)),
        "users_train_only": len(lengths) - n_held_out,
        "history_length_min": lengths.min(),
        "history_length_mean": lengths.mean(),
        "history_length_median": np.median(lengths),
        "history_length_max": lengths.max(),
    }
    bins = np.bincount(np.frexp(lengths)[1] - 1)  # [1, 2), [2, 4), [4, 8), ...
    for power in np.flatnonzero(bins):
        low, high = 2**power, 2 ** (power + 1) - 1
        statistics[f"users_with_history_{low:06d}_to_{high:06d}"] = bins[power]
    # An event is tied if it shares its user and time with the one before or after it.
    is_same = (pl.col(name) == pl.col(name).shift(1) for name in ("user", "timestamp"))
    tied = events.select("split", earlier=pl.all_horizontal(is_same).fill_null(False))
    later = pl.col("earlier").shift(-1, fill_value=False)
    statistics["tied_events_share"] = tied.select((pl.col("earlier") | later).mean()).item()
    test = tied.filter(pl.col("split") == "test")
    statistics["tied_test_targets_share"] = test["earlier"].mean()
    curve = np.cumsum(np.sort(train_counts)[::-1])
    for percent in TOP_PERCENT:
        share = curve[max(1, round(len(curve) * percent / 100)) - 1] / curve[-1]
        statistics[f"train_share_of_top_{percent:02d}_percent_items"] = share
    statistics["items_unseen_in_train"] = (train_counts == 0).sum()
    for split in ("valid", "test"):
        held_out = events.filter(pl.col("split") == split)["item"].to_numpy()
        statistics[f"{split}_targets_unseen_share"] = (train_counts[held_out - 1] == 0).mean()


def _deviations(statistics: Statistics, expected: Counts | None) -> list[str]:
    """Note every final count that differs from the expected one; a sentence for each."""
    warnings = []
    for name, count in (expected.as_json() if expected else {}).items():
        if statistics[name] != count:
            statistics[f"warning_{name}_expected"] = count
            statistics[f"warning_{name}_found"] = statistics[name]
            warnings.append(f"expected {count} {name}, got {statistics[name]}")
    return warnings
