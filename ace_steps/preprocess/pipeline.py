"""From raw data to the four tables of a dataset."""

from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np
import polars as pl

from ace_steps.errors import InputError
from ace_steps.preprocess import filters, report, splits
from ace_steps.preprocess.item_text import ItemTexts, TextRules, write_texts
from ace_steps.preprocess.raw_events import N_EXAMPLES, RawData
from ace_steps.preprocess.report import Report
from ace_steps.preprocess.settings import DatasetSettings
from ace_steps.runtime import derive_seed


@dataclass(frozen=True)
class Dataset:
    """The tables interactions, users, items and data_report, with warnings to log."""

    interactions: pl.DataFrame
    users: pl.DataFrame
    items: pl.DataFrame
    data_report: pl.DataFrame
    warnings: list[str]


@dataclass(frozen=True)
class _Coded:
    """A log whose ids are places in sorted lists of raw ids; events in file order."""

    events: pl.DataFrame
    user_ids: pl.Series
    item_ids: pl.Series


def build_dataset(raw: RawData, settings: DatasetSettings, name: str) -> Dataset:
    """Filter, order, split and number a log, and write its items' texts.

    The order of the work: rating threshold, time window, items without a text row, chronological
    order, duplicates, k-core, sample of users (and the k-core again), split. Users and items are
    numbered by their raw ids in ascending text order, so no order of the raw lines changes them.

    Args:
        raw: What a reader gave.
        settings: The dataset's settings.
        name: The dataset's name, for the text template.

    Raises:
        InputError: nothing is left, items lack a text row, a text is blank, the split is empty.

    Cost:
        About 100 bytes an event at the peak, besides the raw ids; time grows as the sorting of
        the events does.
    """
    found = Report()
    coded, catalogue = _coded(_in_scope(raw, settings, found)), raw.items
    del raw  # the ids as text are most of the memory
    events = _filtered(coded, settings, found)
    events = _split(events, settings, found)
    users, items, events = _numbered(events, coded)
    items, texts = _with_texts(items, catalogue, settings, name)
    items = _with_train_counts(items, events)
    events = events.with_columns(
        position=pl.int_range(pl.len(), dtype=pl.Int32).over("user"),
    )
    found.describe(events, items)
    found.texts(items, texts)
    warnings = found.compare(settings.expected)
    stored = events.with_columns(pl.col("timestamp").floor().cast(pl.Int64))
    return Dataset(stored, users, items, found.table(), warnings)


def _in_scope(raw: RawData, settings: DatasetSettings, found: Report) -> pl.DataFrame:
    events = raw.events
    found.count("raw", events, "user_id", "item_id")
    if settings.min_rating is not None:
        if events["rating"].null_count():
            raise InputError("min_rating is set, but the log has events without a rating.")
        events = events.filter(pl.col("rating") >= settings.min_rating)
        found.count("after_rating", events, "user_id", "item_id")
    if settings.time_start or settings.time_end:
        start, end = _second(settings.time_start), _second(settings.time_end)
        time = pl.col("timestamp")
        events = events.filter((time >= (start or 0)) & (time < (end or float("inf"))))
        found.count("after_window", events, "user_id", "item_id")
    if settings.missing_items == "drop":
        events = events.join(
            raw.items.select("item_id"), on="item_id", how="semi", maintain_order="left"
        )
        found.count("after_missing_items", events, "user_id", "item_id")
    if events.is_empty():
        raise InputError(
            f"no events are left after the rating and time filters and the items without a row; "
            f"the log has {len(raw.events)}."
        )
    return events.drop("rating")


def _second(day: str | None) -> float | None:
    """Midnight UTC at which a day begins, in seconds from 1970."""
    if day is None:
        return None
    return datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC).timestamp()


def _coded(events: pl.DataFrame) -> _Coded:
    user_ids, item_ids = (events[name].unique().sort() for name in ("user_id", "item_id"))
    coded = events.select(
        pl.col("user_id").cast(pl.Enum(user_ids)).to_physical().cast(pl.Int32).alias("user"),
        pl.col("item_id").cast(pl.Enum(item_ids)).to_physical().cast(pl.Int32).alias("item"),
        "timestamp",
    )
    return _Coded(coded, user_ids, item_ids)


def _filtered(coded: _Coded, settings: DatasetSettings, found: Report) -> pl.DataFrame:
    seed = derive_seed(settings.seed, "ties")
    events = filters.chronological(coded.events, tie_rule=settings.tie_rule, seed=seed)
    keep = "last" if settings.duplicates == "last" else "first"
    distinct = filters.without_duplicates(events, keep=keep)
    found.add("duplicate_events", len(events) - len(distinct))
    if settings.duplicates != "all":
        events = distinct
        found.count("after_duplicates", events, "user", "item")
    del distinct
    events = _core(events, settings, found, "after_core")
    if settings.max_users is not None:
        generator = np.random.default_rng(derive_seed(settings.seed, "users"))
        sampled = filters.sample_users(events["user"].to_numpy(), settings.max_users, generator)
        events = _core(events.filter(sampled), settings, found, "after_sample")
    return events


def _core(
    events: pl.DataFrame, settings: DatasetSettings, found: Report, stage: str
) -> pl.DataFrame:
    mask = filters.core(
        events["user"].to_numpy(),
        events["item"].to_numpy(),
        min_user=settings.min_user_events,
        min_item=settings.min_item_events,
    )
    kept = events.filter(mask)
    found.count(stage, kept, "user", "item")
    if kept.is_empty():
        raise InputError(
            f"no users and items are left of {len(events)} events: none have at least "
            f"{settings.min_user_events} events a user and {settings.min_item_events} an item."
        )
    return kept


def _split(events: pl.DataFrame, settings: DatasetSettings, found: Report) -> pl.DataFrame:
    if settings.split == "leave_one_out":
        labelled = splits.leave_one_out(events)
    else:
        valid_at, test_at = splits.time_bounds(
            events["timestamp"].to_numpy(),
            valid_share=settings.valid_share,
            test_share=settings.test_share,
        )
        labelled = splits.global_time(events, valid_at=valid_at, test_at=test_at)
        found.add("split_valid_from", valid_at)
        found.add("split_test_from", test_at)
        found.count("after_split", labelled, "user", "item")
    for split in ("train", "valid", "test"):
        n_events = int((labelled["split"] == split).sum())
        if not n_events:
            raise InputError(f"the split '{settings.split}' leaves no {split} events.")
        found.add(f"events_{split}", n_events)
    return labelled


def _numbered(
    events: pl.DataFrame, coded: _Coded
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Dense numbers: users from 0, items from 1, both by ascending raw id."""
    tables, numbers = [], []
    for kind, ids, first in (("user", coded.user_ids, 0), ("item", coded.item_ids, 1)):
        codes = events[kind].unique().sort()
        lookup = np.zeros(len(ids), np.int32)
        lookup[codes.to_numpy()] = np.arange(first, first + len(codes), dtype=np.int32)
        numbers.append(pl.Series(kind, lookup[events[kind].to_numpy()]))
        index = pl.int_range(first, first + len(codes), dtype=pl.Int32, eager=True)
        tables.append(pl.DataFrame({kind: index, f"{kind}_id": ids.gather(codes)}))
    return tables[0], tables[1], events.with_columns(numbers)


def _with_texts(
    items: pl.DataFrame, catalogue: pl.DataFrame, settings: DatasetSettings, name: str
) -> tuple[pl.DataFrame, ItemTexts]:
    missing = items.join(catalogue, on="item_id", how="anti", maintain_order="left")["item_id"]
    if len(missing):
        raise InputError(
            f"{len(missing)} items of the log have no row in the items file, e.g. "
            f"{', '.join(missing[:N_EXAMPLES])}; set missing_items to 'drop' to leave them out."
        )
    rules = TextRules(
        template=settings.template,
        columns=settings.text_columns,
        clean_html=settings.clean_html,
        max_field_chars=settings.max_field_chars,
        placeholder=settings.placeholder if settings.blank_text == "placeholder" else None,
    )
    texts = write_texts(catalogue.join(items, on="item_id", how="semi"), name, rules)
    joined = items.join(texts.items, on="item_id", how="left", maintain_order="left")
    return joined.with_columns(text_sha256=report.text_digests(joined["text"])), texts


def _with_train_counts(items: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    in_train = events.filter(pl.col("split") == "train")["item"].to_numpy()
    counts = np.bincount(in_train, minlength=len(items) + 1)[1:]
    return items.with_columns(train_count=pl.Series(counts, dtype=pl.Int32))
