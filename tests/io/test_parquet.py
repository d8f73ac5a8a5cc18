"""Parquet: declared tables, written whole or in pieces; refusals."""

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ace_steps.errors import InputError
from ace_steps.io import tables
from ace_steps.io.parquet import (
    count_rows,
    read_foreign_table,
    read_provenance,
    read_table,
    table_writer,
    write_table,
)
from ace_steps.io.provenance import Provenance
from ace_steps.io.tables import HISTORIES, INTERACTIONS, ITEMS, USERS
from tests.io.test_tensors import UNUSABLE_NOTES

NOTE = Provenance(step="test", settings={"x": 1})
SPECS = {name: spec for name, spec in vars(tables).items() if isinstance(spec, tables.TableSpec)}


def users(*index):
    return pl.DataFrame({"user_id": [f"u{i}" for i in index], "user": np.array(index, np.int32)})


def test_a_table_comes_back_sorted_with_its_provenance(tmp_path):
    path = tmp_path / "users.parquet"
    write_table(users(1, 0), USERS, path, NOTE)
    expected = {"user": [0, 1], "user_id": ["u0", "u1"]}
    assert read_table(path, USERS).to_dict(as_series=False) == expected
    assert pl.read_parquet(path).to_dict(as_series=False) == expected  # by another reader
    assert read_provenance(path) == NOTE
    assert count_rows(path) == 2
    meaning = pq.read_schema(path).field("user_id").metadata[b"meaning"]
    assert meaning == b"The user's id in the source."


@pytest.mark.parametrize("text", [*UNUSABLE_NOTES, b"\xff"])
def test_a_note_that_cannot_be_used_is_refused_by_the_files_name(tmp_path, text):
    path = tmp_path / "users.parquet"
    pq.write_table(pa.table({"x": [1]}).replace_schema_metadata({"ace": text}), path)
    with pytest.raises(InputError, match=r"users\.parquet: its provenance cannot be used"):
        read_provenance(path)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_each_declaration_has_meanings_and_a_key_among_its_columns(spec):
    assert set(spec.key) <= set(spec.schema.names)
    assert all(field.metadata[b"meaning"].endswith(b".") for field in spec.schema)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (users(0).drop("user_id"), "columns"),
        (users(0).with_columns(user_id=pl.lit(None, pl.String)), "'user_id' holds nulls"),
        (users(3, 1, 3), "not unique in its key"),
    ],
)
def test_what_breaks_the_declaration_is_not_written(tmp_path, table, message):
    with pytest.raises(ValueError, match=message):
        write_table(table, USERS, tmp_path / "u", NOTE)
    assert list(tmp_path.iterdir()) == []


def test_a_key_of_several_columns_may_repeat_in_each(tmp_path):
    events = {"user_id": ["a", "a", "b"], "item_id": ["x", "x", "x"], "position": [0, 1, 1]}
    write_table(pl.DataFrame(events), HISTORIES, tmp_path / "h", NOTE)
    assert read_table(tmp_path / "h", HISTORIES).to_dict(as_series=False) == events


def test_another_table_a_missing_column_and_a_wrong_type_are_refused(tmp_path):
    path = tmp_path / "x.parquet"
    write_table(users(0), USERS, path, NOTE)
    with pytest.raises(InputError, match=r"x\.parquet: expected the table 'items', got 'users'"):
        read_table(path, ITEMS)
    pq.write_table(pa.table({"item": [1], "vector": [2.0]}), path)
    with pytest.raises(InputError, match=r"column 'user' of .*'interactions' is missing; .* item"):
        read_table(path, INTERACTIONS)
    pq.write_table(pa.table({"user": [1.5], "user_id": ["a"]}), path)
    with pytest.raises(InputError, match=r"'user' of .*'users': expected int32, got double"):
        read_table(path, USERS)


def write_pieces(path, *pieces):
    with table_writer(path, USERS, NOTE) as writer:
        for piece in pieces:
            writer.write(piece)
    return writer


def test_pieces_are_the_table_that_is_written_at_once(tmp_path):
    pieces = (users(1, 0), users(), users(2), users(4, 3))
    assert write_pieces(tmp_path / "pieces.parquet", *pieces).n_rows == 5
    write_table(users(0, 1, 2, 3, 4), USERS, tmp_path / "once.parquet", NOTE)
    table = read_table(tmp_path / "pieces.parquet", USERS)
    assert table.equals(read_table(tmp_path / "once.parquet", USERS))


@pytest.mark.parametrize("pieces", [[], [users()]])
def test_no_rows_give_an_empty_table(tmp_path, pieces):
    write_pieces(tmp_path / "empty.parquet", *pieces)
    assert read_table(tmp_path / "empty.parquet", USERS).shape == (0, 2)


@pytest.mark.parametrize("second", [(1, 5), (0, 7)])
def test_a_piece_that_does_not_follow_is_a_defect_and_leaves_no_file(tmp_path, second):
    with pytest.raises(ValueError, match=r"table 'users': \(\d,\) comes after \(1,\)"):
        write_pieces(tmp_path / "pieces.parquet", users(0, 1), users(*second))
    assert not list(tmp_path.iterdir())


def test_a_foreign_table_may_have_other_types_that_convert_without_loss(tmp_path):
    path = tmp_path / "logs.parquet"
    columns = {"user_id": ["a", "b"], "item_id": [7, 8], "position": pa.array([1, 2], pa.uint8())}
    pq.write_table(pa.table(columns), path)
    assert read_foreign_table(path, HISTORIES).rows() == [("a", "7", 1), ("b", "8", 2)]
    for position, message in (([1.5, 2], "does not convert to int64"), ([1, None], "nulls")):
        pq.write_table(pa.table({**columns, "position": position}), path)
        with pytest.raises(InputError, match=rf"logs\.parquet: column 'position' .*{message}"):
            read_foreign_table(path, HISTORIES)
