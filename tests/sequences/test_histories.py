import polars as pl
import pytest

from ace_steps.errors import InputError
from ace_steps.sequences.histories import held_out, read_histories
from tests.training.made import interactions_of

TABLE = interactions_of([[3, 1, 2, 5, 4], [2, 4], [5], [1, 1, 3]])


def changed(user, place, **values):
    here = (pl.col("user") == user) & (pl.col("position") == place)
    return TABLE.with_columns(
        pl.when(here)
        .then(pl.lit(value))
        .otherwise(pl.col(name))
        .cast(TABLE[name].dtype)
        .alias(name)
        for name, value in values.items()
    )


def test_events_are_stored_once_whatever_the_row_order():
    histories = read_histories(TABLE.sample(fraction=1, shuffle=True, seed=1), 5)
    assert histories.items.tolist() == [3, 1, 2, 5, 4, 2, 4, 5, 1, 1, 3]
    assert histories.offsets.tolist() == [0, 5, 7, 8, 11]
    assert histories.n_train.tolist() == [3, 2, 1, 1]


def test_the_validation_history_is_the_train_events_and_the_test_history_one_more():
    histories = read_histories(TABLE, 5)
    valid, test = held_out(histories, "valid"), held_out(histories, "test")
    assert valid.user.tolist() == test.user.tolist() == [0, 3]
    assert (valid.item.tolist(), test.item.tolist()) == ([5, 1], [4, 3])
    assert (valid.length.tolist(), test.length.tolist()) == ([3, 1], [4, 2])


def test_train_counts_leave_held_out_events_out():
    # train events: 3 1 2 of user 0, 2 4 of user 1, 5 of user 2, 1 of user 3
    assert read_histories(TABLE, 6).train_counts(6).tolist() == [2, 2, 1, 1, 1, 0]


def test_a_user_with_one_event_is_no_target_and_harms_nobody():
    assert 2 not in held_out(read_histories(TABLE, 5), "test").user


def test_a_test_event_without_a_validation_event_is_a_target_too():
    table = TABLE.filter(~((pl.col("user") == 0) & (pl.col("split") == "valid")))
    test = held_out(read_histories(table, 5), "test")
    assert (test.item.tolist()[0], test.length.tolist()[0]) == (4, 3)


REFUSALS = {
    "no event": (TABLE.clear(), "the table has no event"),
    "an item of another catalog": (changed(1, 0, item=6), "item 6 is not in the catalog of 1"),
    "an item 0": (changed(1, 0, item=0), "item 0 is not in the catalog"),
    "an unknown split": (
        changed(1, 0, split="dev"),
        "'train', 'valid', 'test'.*, got 'dev'",
    ),
    "a train event after the test event": (
        changed(0, 0, split="test"),
        "user 0's splits are not in the order",
    ),
    "two test events": (changed(3, 1, split="test"), "user 3 has several valid or several test"),
}


@pytest.mark.parametrize(("table", "message"), REFUSALS.values(), ids=REFUSALS)
def test_histories_refuse(table, message):
    with pytest.raises(InputError, match=message):
        read_histories(table, 5)


def test_a_user_whose_only_event_is_held_out_is_refused_by_name():
    histories = read_histories(changed(2, 0, split="valid"), 5)
    with pytest.raises(InputError, match="user 2's valid event is the first of the history"):
        held_out(histories, "valid")
