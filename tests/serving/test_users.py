"""Whom to recommend to: new users' histories, and lists of users, in other people's files."""

import numpy as np
import polars as pl
import pytest

from ace_steps.errors import InputError
from ace_steps.serving.users import only_listed, users_of_file

CATALOG = pl.Series(["id1", "id2", "id3"])


def read(folder, rows, *, skip_unknown=False):
    path = folder / "histories.parquet"
    columns = ["user_id", "item_id", "position"]
    pl.DataFrame(rows, schema=columns, orient="row").write_parquet(path)
    return users_of_file(path, CATALOG, skip_unknown=skip_unknown)


def histories_of(users):
    start, length = users.targets.start, users.targets.length
    lists = [users.histories.items[s : s + n].tolist() for s, n in zip(start, length, strict=True)]
    return dict(zip(users.ids, lists, strict=True))


def test_events_are_in_the_order_of_their_position(tmp_path):
    rows = [("b", "id2", 7), ("a", "id3", -1), ("b", "id1", 2), ("a", "id3", 0)]
    users = read(tmp_path, rows)
    assert histories_of(users) == {"a": [3, 3], "b": [1, 2]}
    assert (users.targets.item == 0).all()


def test_unknown_items_are_refused_or_skipped(tmp_path, caplog):
    rows = [("a", "id3", 0), ("b", "x", 1), ("b", "id1", 2), ("c", "y", 0)]
    with pytest.raises(InputError, match=r"2 items are not .*'x', 'y'; leave .* --skip-unknown"):
        read(tmp_path, rows)
    caplog.set_level("INFO")
    assert histories_of(read(tmp_path, rows, skip_unknown=True)) == {"a": [3], "b": [1]}
    assert "2 of 4 events skipped" in caplog.text
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
    users = read(tmp_path, [("a", "id1", 0), ("b", "id2", 0), ("c", "id3", 0)])
    path = tmp_path / "users.txt"
    path.write_text("c\n\n a \nc\n")
    assert histories_of(only_listed(users, path)) == {"a": [1], "c": [3]}
    path.write_text("a\nnobody\n")
    with pytest.raises(InputError, match=r"1 of 2 users are not known, .* 'nobody'"):
        only_listed(users, path)
    np.save(tmp_path / "users.npy", np.arange(300))
    with pytest.raises(InputError, match="expected a text file"):
        only_listed(users, tmp_path / "users.npy")
    with pytest.raises(InputError, match="no such file"):
        only_listed(users, tmp_path / "none.txt")
