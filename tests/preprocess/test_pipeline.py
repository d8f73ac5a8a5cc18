"""Filters and splits against naive loops; the whole of preprocessing on logs counted by hand."""

import hashlib
import runpy
from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ace_steps.errors import InputError
from ace_steps.preprocess.pipeline import (
    build_dataset,
    chronological,
    global_time,
    k_core,
    leave_one_out,
    tie_hash,
    time_bounds,
)
from ace_steps.preprocess.raw_data import RawData
from ace_steps.preprocess.read_recbole import read
from ace_steps.preprocess.settings import Counts
from tests.conftest import ROOT
from tests.preprocess.conftest import dataset_settings

OPEN = {"min_user_events": 1, "min_item_events": 1, "template": "{title}"}
PAIRS = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), min_size=1, max_size=60)
TIMES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 20)), min_size=1, max_size=60)
LOGS = st.lists(
    st.tuples(st.sampled_from("uvwxyz"), st.sampled_from("abcde"), st.integers(0, 3)),
    min_size=4,
    max_size=40,
)


def naive_core(pairs, min_user, min_item):
    """Drop one user or item at a time, as the definition says; rows of the events left."""
    left = dict(enumerate(pairs))
    while True:
        users = Counter(user for user, _ in left.values())
        items = Counter(item for _, item in left.values())
        bad_user = next((u for u, n in users.items() if n < min_user), None)
        bad_item = next((i for i, n in items.items() if n < min_item), None)
        if bad_user is None and bad_item is None:
            return set(left)
        left = {
            row: (user, item)
            for row, (user, item) in left.items()
            if (user != bad_user if bad_user is not None else item != bad_item)
        }


@settings(max_examples=60)
@given(PAIRS, st.integers(1, 4), st.integers(1, 4))
def test_the_core_is_what_dropping_one_by_one_leaves(pairs, min_user, min_item):
    events = pl.DataFrame(pairs, schema=["user", "item"], orient="row").with_row_index("row")
    left = k_core(events, min_user=min_user, min_item=min_item)
    assert set(left["row"]) == naive_core(pairs, min_user, min_item)


def log(rows):
    schema = {"user": pl.Int32, "item": pl.Int32, "timestamp": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_hashed_ties_do_not_sort_by_item_and_differ_by_seed():
    rows = [(0, item, 0.0) for item in range(50)]
    one, other = (chronological(log(rows), tie_rule="hashed", seed=s)["item"] for s in (0, 1))
    assert one.to_list() != sorted(one)
    assert one.to_list() != other.to_list()


def test_the_tie_hash_is_splitmix64():
    def mix(state):
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        state = (state ^ state >> 27) * 0x94D049BB133111EB % 2**64
        return state ^ state >> 31

    assert mix(0) == 0xE220A8397B1DCDAF  # the published first output of SplitMix64 for seed 0
    hashes = tie_hash(np.array([5, 7]), np.array([2, 3]), 11)
    assert hashes.tolist() == [mix(mix(16) ^ 2), mix(mix(18) ^ 3)]


def timeline(rows):
    schema = {"user": pl.Int32, "timestamp": pl.Float64}
    return pl.DataFrame(sorted(rows), schema=schema, orient="row").with_row_index("event")


@settings(max_examples=50)
@given(TIMES)
def test_leave_one_out_is_disjoint_complete_and_ordered(rows):
    events = timeline(rows)
    split = leave_one_out(events)
    assert split.drop("split").equals(events)  # each event once, under one label
    for _, history in split.group_by("user"):
        labels = history["split"].to_list()
        n_held_out = 1 if len(labels) >= 3 else 0
        assert labels == ["train"] * (len(labels) - 2 * n_held_out) + ["valid", "test"] * n_held_out


def test_time_bounds_are_the_times_that_shares_of_the_events_have():
    # Ten events at 0..9: the last two are tested on, the two before are validated on.
    assert time_bounds(np.arange(10.0), valid_share=0.2, test_share=0.2) == (6.0, 8.0)


def test_a_global_split_takes_each_users_first_event_of_a_period():
    rows = [(0, 1), (0, 6), (0, 7), (0, 8), (0, 9), (1, 7), (1, 9), (2, 2), (2, 8)]
    split = global_time(timeline(rows), valid_at=6.0, test_at=8.0)
    assert split.select("user", "timestamp", "split").rows() == [
        (0, 1.0, "train"),
        (0, 6.0, "valid"),
        (0, 8.0, "test"),
        (2, 2.0, "train"),  # user 1 has nothing before time 6 and is left out
        (2, 8.0, "test"),
    ]


@settings(max_examples=50)
@given(TIMES, st.floats(0.05, 0.4), st.floats(0.05, 0.4))
def test_nothing_trained_on_is_later_than_anything_held_out(rows, valid_share, test_share):
    events = timeline(rows)
    times = events["timestamp"].to_numpy()
    valid_at, test_at = time_bounds(times, valid_share=valid_share, test_share=test_share)
    split = global_time(events, valid_at=valid_at, test_at=test_at)
    is_train = pl.col("split") == "train"
    train, held_out = split.filter(is_train), split.filter(~is_train)
    if len(held_out) and len(train):
        assert train["timestamp"].max() < held_out["timestamp"].min()
    for _, history in split.group_by("user"):
        labels = history["split"].to_list()
        assert labels == sorted(labels, key=["train", "valid", "test"].index)
        assert labels[0] == "train"
        assert max(labels.count("valid"), labels.count("test")) <= 1


def raw_data(events, titles=None):
    """Events as (user, item, time) or (user, item, time, rating), and a title for each item."""
    full = [(*event, None)[:4] for event in events]
    schema = {"user_id": pl.String, "item_id": pl.String, "timestamp": pl.Float64}
    log = pl.DataFrame(full, schema={**schema, "rating": pl.Float64}, orient="row")
    titles = titles or {item: f"title of {item}" for item in log["item_id"].unique()}
    names = {"item_id": list(titles), "title": list(titles.values())}
    return RawData(log, pl.DataFrame(names, schema={"item_id": pl.String, "title": pl.String}))


def build(events, titles=None, **changes):
    return build_dataset(raw_data(events, titles), dataset_settings(**OPEN | changes), "shop")


def report(dataset):
    return dict(dataset.data_report.iter_rows())


def histories(dataset):
    """Each raw user's raw items in order, with their split."""
    joined = dataset.interactions.join(dataset.users, on="user").join(dataset.items, on="item")
    rows = joined.sort("user", "position").select("user_id", "item_id", "timestamp", "split").rows()
    by_user = {}
    for user, *event in rows:
        by_user.setdefault(user, []).append(tuple(event))
    return by_user


def test_the_toy_has_the_counts_that_its_rule_says():
    raw = read(ROOT / "data/toy/toy.inter", ROOT / "data/toy/toy.item")
    statistics = report(build_dataset(raw, dataset_settings(), "toy"))
    expected = {
        "events_raw": 8 * (4 + 5 + 6 + 7 + 8) + 4,
        "users_raw": 41,
        "items_raw": 25,
        "events": 241,
        "users": 40,
        "items": 24,
        "events_test": 40,
        "events_valid": 40,
        "events_train": 161,
        "duplicate_events": 1,
        "tied_events_share": 2 / 241,
        "tied_test_targets_share": 0,
        "history_length_min": 4,
        "history_length_max": 8,
        "users_with_history_000004_to_000007": 32,
        "users_with_history_000008_to_000015": 8,
        "blank_texts": 0,
        "duplicate_texts": 0,
    }
    assert {name: statistics[name] for name in expected} == pytest.approx(expected)


def test_the_committed_toy_is_what_its_rule_writes(tmp_path):
    script = tmp_path / "make_toy.py"
    script.write_text((ROOT / "data/toy/make_toy.py").read_text())
    runpy.run_path(str(script), run_name="__main__")
    for name in ("toy.inter", "toy.item"):
        assert (tmp_path / name).read_bytes() == (ROOT / "data/toy" / name).read_bytes()


def test_every_number_of_the_report_on_a_log_counted_by_hand():
    events = [
        *[("z", item, time, 5) for item, time in (("a", 1), ("b", 2), ("c", 2), ("d", 2))],
        *[("v", item, time, 5) for item, time in (("a", 1), ("a", 3), ("b", 4))],
        ("w", "a", 9, 2),  # rated just well enough
        ("w", "e", 9, 1),  # rated too low
        ("w", "e", 99, 5),  # too late
    ]
    titles = {"a": "same", "b": "same", "c": "", "d": "long title", "e": "e", "f": ""}
    limits = {"min_rating": 2, "time_start": "1970-01-01", "time_end": "1970-01-02"}
    texts = {"blank_text": "placeholder", "max_field_chars": 4}
    statistics = report(build(events, titles, **limits, **texts))
    expected = {
        "events_raw": 10,
        "events_after_rating": 9,
        "events_after_window": 9,  # second 99 is still on the first day
        "users_train_only": 1,  # w has two events
        "events_train": 2 + 1 + 2,
        "duplicate_events": 1,  # v has a twice
        "tied_events_share": 3 / 9,
        "tied_test_targets_share": 0.5,  # z's last shares its time, v's does not
        # Held out for the test: d of z, never trained on, and b of v, which z is trained on.
        "test_targets_unseen_share": 0.5,
        # For validation: c of z, never trained on, and v's second a.
        "valid_targets_unseen_share": 0.5,
        "items_unseen_in_train": 2,
        "blank_texts": 1,  # that of f does not count: nobody has it
        "duplicate_texts": 1,
        "shortened_fields": 1,
        "history_length_mean": 3,
        "users_with_history_000002_to_000003": 2,
        "users_with_history_000004_to_000007": 1,
        # Training events of a, b, e: 3, 1, 1; a alone is the top 20 % of five items.
        "train_share_of_top_20_percent_items": 3 / 5,
        "density": 9 / 15,
    }
    assert {name: statistics[name] for name in expected} == pytest.approx(expected)


def test_the_time_window_takes_its_first_day_and_not_its_last():
    day = 86_400
    events = [("u", "a", 0), ("u", "b", day), ("u", "c", 2 * day - 1), ("u", "d", 2 * day)]
    dataset = build([*events, ("u", "a", day + 1)], time_start="1970-01-02", time_end="1970-01-03")
    assert [item for item, *_ in histories(dataset)["u"]] == ["b", "a", "c"]


def test_fractions_of_a_second_order_events_and_are_stored_rounded_down():
    dataset = build([("u", "a", 5.75), ("u", "b", 5.25), ("u", "c", 6)])
    assert [(i, t) for i, t, _ in histories(dataset)["u"]] == [("b", 5), ("a", 5), ("c", 6)]
    assert report(dataset)["tied_events_share"] == 0


def test_texts_and_their_digests_belong_to_their_items():
    events = [("u", item, i) for i, item in enumerate("cab")]
    items = build(events, {"b": "B", "c": "C", "a": "A"}).items
    assert items.select("item", "item_id", "text").rows() == [
        (1, "a", "A"),
        (2, "b", "B"),
        (3, "c", "C"),
    ]
    assert items["text_sha256"][2] == hashlib.sha256(b"C").hexdigest()


@settings(suppress_health_check=[HealthCheck.filter_too_much], max_examples=40)
@given(LOGS, st.randoms(use_true_random=False), st.sampled_from(["all", "first", "last"]))
def test_with_hashed_ties_no_order_of_the_raw_lines_changes_anything(events, random, duplicates):
    changes = {"tie_rule": "hashed", "duplicates": duplicates}
    try:
        one = build(events, **changes)
    except InputError:  # nobody has three events: nothing to validate on
        return
    other = build(random.sample(events, len(events)), **changes)
    for table in ("interactions", "users", "items"):
        assert getattr(one, table).equals(getattr(other, table))


@settings(max_examples=40)
@given(LOGS)
def test_ids_are_dense_and_lead_back_to_the_raw_events_in_file_order(events):
    try:
        dataset = build(events)
    except InputError:
        return
    assert dataset.users["user"].to_list() == list(range(len(dataset.users)))
    assert dataset.items["item"].to_list() == list(range(1, len(dataset.items) + 1))
    assert dataset.users["user_id"].is_sorted()
    assert dataset.items["item_id"].is_sorted()
    expected = {}
    for user, item, time in sorted(events, key=lambda event: event[2]):  # a stable sort
        expected.setdefault(user, []).append((item, time))
    assert {u: [e[:2] for e in h] for u, h in histories(dataset).items()} == expected
    for _, history in dataset.interactions.group_by("user"):
        assert sorted(history["position"]) == list(range(len(history)))


@pytest.mark.parametrize(("keep", "times"), [("first", [1, 2, 5]), ("last", [3, 4, 5])])
def test_of_repeated_events_the_first_or_the_last_is_kept(keep, times):
    events = [("u", item, time) for time, item in enumerate("abbac", start=1)]
    dataset = build(events, duplicates=keep)
    assert [time for _, time, _ in histories(dataset)["u"]] == times
    assert report(dataset)["duplicate_events"] == 2


def test_a_sample_of_users_is_drawn_by_seed_and_brought_to_the_core():
    # Each item has 5 events; of 15 of 30 users, not every item has two.
    events = [(f"u{u:02}", f"i{(u + s) % 30}", s) for u in range(30) for s in range(5)]
    limits = {"min_user_events": 3, "min_item_events": 2}
    one, same, other = (build(events, **limits, max_users=15, seed=seed) for seed in (1, 1, 2))
    assert one.users.equals(same.users)
    assert not one.users.equals(other.users)
    assert 0 < len(one.users) <= 15
    assert report(one)["users_after_core"] == 30
    assert len(one.interactions) < 5 * len(one.users)
    for kind, least in (("user", 3), ("item", 2)):
        assert one.interactions.group_by(kind).len()["len"].min() >= least
    assert len(build(events, **limits, max_users=99).users) == 30


def test_a_global_split_counts_what_it_drops():
    events = [(user, "abcde"[s], 10 * s + k) for k, user in enumerate("uvwxyz") for s in range(5)]
    statistics = report(build(events, split="global_time", valid_share=0.2, test_share=0.2))
    expected = {"split_valid_from": 30, "split_test_from": 40, "users_train_only": 0}
    expected |= {"events_after_split": 30, "events_train": 18, "events_test": 6}
    assert {name: statistics[name] for name in expected} == expected


def test_items_without_a_row_are_an_error_unless_they_are_to_be_dropped():
    events = [("u", item, i) for i, item in enumerate("abcde")]
    titles = {"a": "A", "c": "C", "e": "E"}
    with pytest.raises(InputError, match=r"2 items of the log have no row .* e\.g\. b, d; set"):
        build(events, titles)
    dataset = build(events, titles, missing_items="drop")
    assert report(dataset)["events_after_missing_items"] == 3
    assert [item for item, *_ in histories(dataset)["u"]] == ["a", "c", "e"]


def test_an_item_that_the_core_drops_needs_no_row():
    events = [*[(u, i, t) for u in "uv" for t, i in enumerate("abc")], ("u", "rare", 0)]
    titles = {"a": "A", "b": "B", "c": "C"}
    assert len(build(events, titles, min_item_events=2).items) == 3


@pytest.mark.parametrize("n_items", [4, 2])
def test_a_deviation_from_the_expected_counts_is_a_warning_with_both_numbers(n_items):
    raw = raw_data([("u", item, i) for i, item in enumerate("abc")])
    plain = dataset_settings(**OPEN)
    assert not build_dataset(raw, plain, "shop").warnings
    expected = Counts(users=1, items=n_items, events=3)
    dataset = build_dataset(raw, plain.model_copy(update={"expected": expected}), "shop")
    assert dataset.warnings == [f"expected {n_items} items, got 3"]
    assert report(dataset)["warning_items_expected"] == n_items
    assert report(dataset)["warning_items_found"] == 3
    assert "warning_users_found" not in report(dataset)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"min_user_events": 9}, "no users and items are left of 3 events: none have at least 9"),
        ({"min_rating": 3}, "min_rating is set, but the log has events without a rating"),
        ({"time_start": "2030-01-01"}, "no events are left after the rating and time filters"),
        ({"blank_text": "error"}, "1 items have no text, e.g. c"),
        (
            {"split": "global_time", "valid_share": 0.01, "test_share": 0.98},
            "the split 'global_time' leaves no train events",
        ),
    ],
)
def test_a_log_of_which_nothing_is_left_is_refused(changes, message):
    events = [("u", item, i) for i, item in enumerate("abc")]
    titles = {"a": "A", "b": "B", "c": "" if "blank_text" in changes else "C"}
    with pytest.raises(InputError, match=message):
        build(events, titles, **changes)


def test_amazon_beauty_has_the_published_counts(amazon_beauty):
    files = (amazon_beauty / f"amazon-beauty.{kind}" for kind in ("inter", "item"))
    five_core = dataset_settings(min_user_events=5, min_item_events=5, blank_text="placeholder")
    statistics = report(build_dataset(read(*files), five_core, "amazon-beauty"))
    expected = {"users": 22_363, "items": 12_101, "events": 198_502, "blank_texts": 7}
    expected |= {"events_valid": 22_363, "events_test": 22_363}
    assert {name: statistics[name] for name in expected} == expected
