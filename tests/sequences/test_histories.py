"""Histories of the table interactions, and what is held out of them."""

import polars as pl
import pytest

from ace_steps.errors import InputError
from ace_steps.sequences.histories import held_out, read_histories
from tests.training.made import interactions_of

TABLE = interactions_of([[3, 1, 2, 5, 4], [2, 4], [5], [1, 1, 3]])


def changed(user, position, **values):
    here = (pl.col("user") == user) & (pl.col("position") == position)
    return TABLE.with_columns(
        pl.when(here).then(pl.lit(value, TABLE[name].dtype)).otherwise(pl.col(name)).alias(name)
        for name, value in values.items()
    )


def test_events_are_stored_once_whatever_the_row_order():
    histories = read_histories(TABLE.sample(fraction=1, shuffle=True, seed=1), 6)
    assert histories.items.tolist() == [3, 1, 2, 5, 4, 2, 4, 5, 1, 1, 3]
    assert histories.offsets.tolist() == [0, 5, 7, 8, 11]
    assert histories.n_train.tolist() == [3, 2, 1, 1]
    assert histories.train_counts(6).tolist() == [2, 2, 1, 1, 1, 0]  # of train events alone


def test_the_validation_history_is_the_train_events_and_the_test_history_one_more():
    histories = read_histories(TABLE, 5)
    valid, test = held_out(histories, "valid"), held_out(histories, "test")
    assert valid.user.tolist() == test.user.tolist() == [0, 3]
    assert valid.start.tolist() == test.start.tolist() == [0, 8]
    assert (valid.item.tolist(), test.item.tolist()) == ([5, 1], [4, 3])
    assert (valid.length.tolist(), test.length.tolist()) == ([3, 1], [4, 2])
    assert test.take(slice(1, 2)).item.tolist() == [3]


def test_a_test_event_without_a_validation_event_is_held_out_too():
    table = TABLE.filter(~((pl.col("user") == 0) & (pl.col("split") == "valid")))
    test = held_out(read_histories(table, 5), "test")
    assert (test.item.tolist()[0], test.length.tolist()[0]) == (4, 3)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (TABLE.clear(), "the table has no event"),
        (changed(1, 0, item=6), "item 6 is not in the catalog of 1"),
        (changed(1, 0, item=0), "item 0 is not in the catalog"),
        (changed(1, 0, split="dev"), "'train', 'valid', 'test'.*, got 'dev'"),
        (changed(0, 0, split="test"), "user 0: expected train events, then"),
        (changed(0, 3, split="test"), "user 0: expected train events, then"),
        (changed(0, 2, split="valid"), "user 0: expected train events, then"),
    ],
)
def test_interactions_that_are_no_histories_are_refused(table, message):
    with pytest.raises(InputError, match=message):
        read_histories(table, 5)


def test_a_user_whose_only_event_is_held_out_is_refused_by_name():
    histories = read_histories(changed(2, 0, split="valid"), 5)
    with pytest.raises(InputError, match="user 2's valid event is the first of the history"):
        held_out(histories, "valid")
