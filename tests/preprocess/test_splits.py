"""Splits: disjoint, ordered, and without the future in training."""

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from ace_steps.preprocess.splits import global_time, leave_one_out, time_bounds

LOGS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 20)), min_size=1, max_size=60)


def log(rows):
    schema = {"user": pl.Int32, "timestamp": pl.Float64}
    return pl.DataFrame(sorted(rows), schema=schema, orient="row").with_row_index("event")


def test_the_last_event_is_test_and_the_one_before_valid():
    split = leave_one_out(log([(0, 1), (0, 2), (0, 3), (0, 4), (1, 1), (1, 2), (1, 3)]))
    assert split["split"].to_list() == [
        *("train", "train", "valid", "test"),
        *("train", "valid", "test"),
    ]


def test_histories_of_fewer_than_three_events_are_trained_on_only():
    split = leave_one_out(log([(0, 1), (1, 1), (1, 2)]))
    assert split["split"].to_list() == ["train", "train", "train"]


@given(LOGS)
def test_leave_one_out_is_disjoint_complete_and_ordered(rows):
    events = log(rows)
    split = leave_one_out(events)
    assert split.drop("split").equals(events)  # each event once, under one label
    place = {"train": 0, "valid": 1, "test": 2}
    for _, history in split.group_by("user"):
        labels = [place[name] for name in history["split"]]
        assert labels == sorted(labels)
        assert labels.count(1) == labels.count(2) == (1 if len(labels) >= 3 else 0)


def test_time_bounds_are_the_times_that_shares_of_the_events_have():
    # Ten events at 0..9: the last two are tested on, the two before are validated on.
    assert time_bounds(np.arange(10.0), valid_share=0.2, test_share=0.2) == (6.0, 8.0)


def test_a_global_split_takes_each_users_first_event_of_a_period():
    rows = [(0, 1), (0, 6), (0, 7), (0, 8), (0, 9), (1, 7), (1, 9), (2, 2), (2, 8)]
    split = global_time(log(rows), valid_at=6.0, test_at=8.0)
    assert split.select("user", "timestamp", "split").rows() == [
        (0, 1.0, "train"),
        (0, 6.0, "valid"),
        (0, 8.0, "test"),
        (2, 2.0, "train"),  # user 1 has nothing before time 6 and is left out
        (2, 8.0, "test"),
    ]


@given(LOGS, st.floats(0.05, 0.4), st.floats(0.05, 0.4))
def test_nothing_trained_on_is_later_than_anything_held_out(rows, valid_share, test_share):
    events = log(rows)
    times = events["timestamp"].to_numpy()
    valid_at, test_at = time_bounds(times, valid_share=valid_share, test_share=test_share)
    split = global_time(events, valid_at=valid_at, test_at=test_at)
    times = {name: split.filter(pl.col("split") == name)["timestamp"] for name in ("train", "test")}
    held_out = split.filter(pl.col("split") != "train")
    if len(held_out) and len(times["train"]):
        assert times["train"].max() < held_out["timestamp"].min()
    for _, history in split.group_by("user"):
        labels = history["split"].to_list()
        assert labels.count("valid") <= 1
        assert labels.count("test") <= 1
        assert labels == sorted(labels, key=["train", "valid", "test"].index)
        assert labels[0] == "train"
