"""Whom to recommend to: new users' histories, and lists of users, in other people's files."""

import polars as pl
import pytest

from ace_steps.errors import InputError
from ace_steps.sequences.histories import read_histories
from ace_steps.serving.users import only_listed, read_new_users, users_of
from tests.training.made import interactions_of

CATALOG = pl.Series(["id1", "id2", "id3"])


def read(folder, rows, *, skip_unknown=False):
    path = folder / "histories.parquet"
    columns = ["user_id", "item_id", "position"]
    pl.DataFrame(rows, schema=columns, orient="row").write_parquet(path)
    return read_new_users(path, CATALOG, skip_unknown=skip_unknown)


def histories_of(histories, table):
    users = users_of(histories, table)
    assert (users.targets.item == 0).all()
    start, length = users.targets.start, users.targets.length
    lists = [users.histories.items[s : s + n].tolist() for s, n in zip(start, length, strict=True)]
    return dict(zip(users.ids, lists, strict=True))


def test_events_are_in_the_order_of_their_position(tmp_path):
    rows = [("b", "id2", 7), ("a", "id3", -1), ("b", "id1", 2), ("a", "id3", 0)]
    assert histories_of(*read(tmp_path, rows)) == {"a": [3, 3], "b": [1, 2]}


def test_users_without_an_event_are_left_out():
    log = interactions_of([[1, 2, 3], [3, 3]]).filter(pl.col("user") == 1)
    table = pl.DataFrame({"user": [0, 1, 2], "user_id": ["a", "b", "c"]})
    assert histories_of(read_histories(log, 3), table) == {"b": [3, 3]}


def test_unknown_items_are_refused_or_skipped(tmp_path, caplog):
    rows = [("a", "id3", 0), ("b", "x", 1), ("b", "id1", 2), ("c", "y", 0)]
    with pytest.raises(InputError, match=r"2 items are not .*'x', 'y'; leave .* --skip-unknown"):
        read(tmp_path, rows)
    caplog.set_level("INFO")
    assert histories_of(*read(tmp_path, rows, skip_unknown=True)) == {"a": [3], "b": [1]}
    assert "2 events skipped" in caplog.text
    with pytest.raises(InputError, match="nobody to recommend to"):
        read(tmp_path, [("c", "y", 0)], skip_unknown=True)


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([("a", "id1", 4), ("a", "id2", 4)], "user 'a' has several events at position 4"),
        ([("a", None, 4), ("a", "id1", 5)], "'item_id' holds nulls"),
        ([("a", "id1", "first")], "'position' is large_string and does not convert to int64"),
    ],
)
def test_histories_that_cannot_be_used_are_refused(tmp_path, rows, text):
    with pytest.raises(InputError, match=text):
        read(tmp_path, rows)


def test_only_the_users_that_a_file_lists_are_left(tmp_path):
    rows = [("a", "id1", 0), ("b", "id2", 0), ("c", "id3", 0)]
    histories, users = read(tmp_path, rows)
    path = tmp_path / "users.txt"
    path.write_text("c\n\n a \nc\n")
    assert histories_of(histories, only_listed(users, path)) == {"a": [1], "c": [3]}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"a\nnobody\n", "1 of 2 users are not known, .* 'nobody'"),
        (b"\xff\xfe", "expected a text file"),
        (None, "no such file"),
    ],
)
def test_a_list_of_users_that_cannot_be_used_is_refused(tmp_path, content, text):
    if content is not None:
        (tmp_path / "users.txt").write_bytes(content)
    users = pl.DataFrame({"user": [0, 1], "user_id": ["a", "b"]})
    with pytest.raises(InputError, match=text):
        only_listed(users, tmp_path / "users.txt")
