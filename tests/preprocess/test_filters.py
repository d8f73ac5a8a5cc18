"""Filters against naive loops, and the order that histories are in."""

from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ace_steps.preprocess.filters import (
    chronological,
    core,
    sample_users,
    tie_hash,
    without_duplicates,
)

PAIRS = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), min_size=1, max_size=60)
LOGS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=40
)


def naive_core(pairs, min_user, min_item):
    """Drop one user or item at a time, as the definition says; places of the events left."""
    left = dict(enumerate(pairs))
    while True:
        users = Counter(user for user, _ in left.values())
        items = Counter(item for _, item in left.values())
        bad_user = next((u for u, n in users.items() if n < min_user), None)
        bad_item = next((i for i, n in items.items() if n < min_item), None)
        if bad_user is None and bad_item is None:
            return set(left)
        left = {
            place: (user, item)
            for place, (user, item) in left.items()
            if (user != bad_user if bad_user is not None else item != bad_item)
        }


@given(PAIRS, st.integers(1, 4), st.integers(1, 4))
def test_the_core_is_what_dropping_one_by_one_leaves(pairs, min_user, min_item):
    users, items = np.array(pairs).T
    mask = core(users, items, min_user=min_user, min_item=min_item)
    assert set(np.flatnonzero(mask)) == naive_core(pairs, min_user, min_item)


def test_the_core_goes_on_until_nothing_changes():
    # Item 2 goes (1 event), so user 1 goes (1 left), so item 1 goes, so user 0 has 1 and goes.
    users, items = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 2])
    assert not core(users, items, min_user=2, min_item=2).any()


def log(rows):
    schema = {"user": pl.Int32, "item": pl.Int32, "timestamp": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


@given(LOGS)
def test_equal_times_keep_the_order_of_the_file(rows):
    ordered = chronological(log(rows), tie_rule="file_order", seed=0).rows()
    expected = sorted(((u, i, float(t)) for u, i, t in rows), key=lambda row: (row[0], row[2]))
    assert ordered == expected  # Python's sort is stable


@given(LOGS, st.randoms(use_true_random=False))
def test_hashed_ties_do_not_depend_on_the_order_of_the_file(rows, random):
    shuffled = random.sample(rows, len(rows))
    one, other = (chronological(log(r), tie_rule="hashed", seed=3) for r in (rows, shuffled))
    assert one.rows() == other.rows()


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
    found = tie_hash(np.array([5, 7]), np.array([2, 3]), 11)
    assert found.tolist() == [mix(mix(16) ^ 2), mix(mix(18) ^ 3)]


@pytest.mark.parametrize(("keep", "times"), [("first", [1, 2]), ("last", [3, 4])])
def test_of_repeated_events_the_first_or_the_last_is_kept(keep, times):
    rows = [(0, 9, 1.0), (0, 8, 2.0), (0, 8, 3.0), (0, 9, 4.0)]
    assert without_duplicates(log(rows), keep=keep)["timestamp"].to_list() == times


def test_a_sample_has_the_wanted_users_with_all_their_events():
    users = np.repeat(np.arange(10), 3)
    mask = sample_users(users, 4, np.random.default_rng(0))
    assert sorted(Counter(users[mask]).values()) == [3, 3, 3, 3]
    assert (mask == sample_users(users, 4, np.random.default_rng(0))).all()
    assert sample_users(users, 99, np.random.default_rng(0)).all()
