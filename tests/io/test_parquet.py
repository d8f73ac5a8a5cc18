"""Parquet: declared tables, streamed vectors, refusals."""

import re

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ace_steps.errors import InputError
from ace_steps.io import parquet
from ace_steps.io.provenance import Provenance
from ace_steps.io.tables import INTERACTIONS, ITEMS, TABLES, USERS, item_vectors
from tests.io.test_provenance import UNUSABLE

NOTE = Provenance(step="test", settings={"x": 1})
USERS_TABLE = pl.DataFrame({"user_id": ["b", "a"], "user": [1, 0]})


def _write_vectors(path, matrix, *, pieces=1, dtype=np.float32):
    with parquet.vector_writer(path, "item_vectors", matrix.shape[1], dtype, NOTE) as writer:
        for rows in np.array_split(np.arange(len(matrix)), pieces):
            keys = {"item": rows + 1, "item_id": [f"i{row}" for row in rows]}
            writer.write(keys, matrix[rows])


def test_a_table_comes_back_sorted_with_its_provenance(tmp_path):
    path = tmp_path / "users.parquet"
    parquet.write_table(USERS_TABLE, USERS, path, NOTE)
    found = parquet.read_table(path, USERS)
    assert found.to_dict(as_series=False) == {"user": [0, 1], "user_id": ["a", "b"]}
    assert parquet.read_provenance(path) == NOTE
    assert parquet.count_rows(path) == 2


@pytest.mark.parametrize(("text", "message"), [*UNUSABLE.items(), (b"\xff", "is not JSON.")])
def test_a_note_that_cannot_be_used_is_refused_by_the_files_name(tmp_path, text, message):
    path = tmp_path / "users.parquet"
    pq.write_table(pa.table({"x": [1]}).replace_schema_metadata({"ace": text}), path)
    with pytest.raises(InputError, match=re.escape(f"users.parquet: its provenance {message}")):
        parquet.read_provenance(path)


def test_every_column_carries_its_meaning(tmp_path):
    path = tmp_path / "users.parquet"
    parquet.write_table(USERS_TABLE, USERS, path, NOTE)
    schema = pq.read_schema(path)
    assert schema.field("user_id").metadata[b"meaning"] == b"The user's id in the source."


@pytest.mark.parametrize("spec", TABLES.values(), ids=TABLES)
def test_each_declaration_has_meanings_and_a_key_among_its_columns(spec):
    assert set(spec.key) <= set(spec.schema.names)
    assert all(field.metadata[b"meaning"].endswith(b".") for field in spec.schema)


def test_an_empty_table_is_written_and_read(tmp_path):
    parquet.write_table(USERS_TABLE.clear(), USERS, tmp_path / "e", NOTE)
    assert parquet.read_table(tmp_path / "e", USERS).shape == (0, 2)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (USERS_TABLE.drop("user_id"), "has columns"),
        (USERS_TABLE.with_columns(user_id=pl.lit(None, pl.String)), "'user_id' holds nulls"),
        (USERS_TABLE.with_columns(user=pl.lit(3)), "not unique in its key"),
    ],
)
def test_what_breaks_the_declaration_is_not_written(tmp_path, table, message):
    with pytest.raises(ValueError, match=message):
        parquet.write_table(table, USERS, tmp_path / "u", NOTE)
    assert list(tmp_path.iterdir()) == []


def test_the_wrong_table_is_refused(tmp_path):
    parquet.write_table(USERS_TABLE, USERS, tmp_path / "u.parquet", NOTE)
    with pytest.raises(InputError, match=r"u\.parquet: holds the table 'users', but 'items'"):
        parquet.read_table(tmp_path / "u.parquet", ITEMS)


def test_a_missing_column_and_a_wrong_type_are_refused(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"item": [1], "vector": [2.0]}), path)
    with pytest.raises(InputError, match="column 'user' of the table 'interactions' is missing; "):
        parquet.read_table(path, INTERACTIONS)
    pq.write_table(pa.table({"user": [1.5], "user_id": ["a"]}), path)
    with pytest.raises(InputError, match="'user' is double, but the table 'users' needs int32"):
        parquet.read_table(path, USERS)


def test_a_flipped_bit_of_the_data_is_an_error(tmp_path):
    path = tmp_path / "v.parquet"
    _write_vectors(path, np.random.default_rng(0).normal(size=(50, 4)))
    content = path.read_bytes()
    first = pq.ParquetFile(path).metadata.row_group(0).column(2)
    start, length = first.data_page_offset, first.total_compressed_size
    for place in (start + length // 3, start + length // 2, start + length - 1):
        damaged = bytearray(content)
        damaged[place] ^= 4
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"v\.parquet: damaged, its checksum differs"):
            parquet.read_vectors(path)


@pytest.mark.parametrize("size", [0, 3, 200])
def test_a_truncated_file_is_refused(tmp_path, size):
    path = tmp_path / "u.parquet"
    parquet.write_table(USERS_TABLE, USERS, path, NOTE)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match=r"u\.parquet: not a readable Parquet file"):
        parquet.read_table(path, USERS)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("pieces", [1, 3])
def test_vectors_come_back_whatever_the_pieces(tmp_path, dtype, pieces):
    matrix = np.random.default_rng(0).normal(size=(70, 4)).astype(dtype)
    _write_vectors(tmp_path / "v", matrix, pieces=pieces, dtype=dtype)
    found = parquet.read_vectors(tmp_path / "v")
    assert found.matrix.dtype == dtype
    np.testing.assert_array_equal(found.matrix, matrix)
    np.testing.assert_array_equal(found.index, np.arange(1, 71))
    assert found.ids[69] == "i69"


def test_pieces_do_not_change_the_bytes(tmp_path):
    matrix = np.random.default_rng(0).normal(size=(70, 4))
    _write_vectors(tmp_path / "one", matrix)
    _write_vectors(tmp_path / "many", matrix, pieces=7)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "many").read_bytes()


def test_row_groups_of_vectors_are_bounded_in_bytes(tmp_path):
    matrix = np.zeros((300, 65_536), np.float32)  # 256 KB a row
    _write_vectors(tmp_path / "v", matrix, pieces=5)
    file = pq.ParquetFile(tmp_path / "v")
    groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert groups == [64, 64, 64, 64, 44]


def test_a_writer_that_fails_leaves_nothing(tmp_path):
    def broken():
        with parquet.vector_writer(tmp_path / "v", "item_vectors", 4, np.float32, NOTE) as writer:
            writer.write({"item": [1], "item_id": ["a"]}, np.zeros((1, 5)))

    with pytest.raises(ValueError, match=r"shape \(1, 5\), not \(rows, 4\)"):
        broken()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64()])
@pytest.mark.parametrize("make", [pa.list_, pa.large_list, lambda kind: pa.list_(kind, 2)])
def test_anyones_vectors_are_read(tmp_path, kind, make):
    values = np.array([[1, 2], [3, 4], [5, 6]], FLOAT[kind])
    column = pa.array([list(row) for row in values], make(kind))
    pq.write_table(pa.table({"id": [7, 8, 9], "embedding": column}), tmp_path / "v")
    chunks = list(
        parquet.iter_vectors(
            tmp_path / "v", id_column="id", vector_column="embedding", chunk_rows=2
        )
    )
    assert [len(chunk) for chunk in chunks] == [2, 1]
    assert chunks[0].ids.to_list() == ["7", "8"]
    np.testing.assert_array_equal(np.concatenate([c.matrix for c in chunks]), values)


FLOAT = parquet.FLOATS


def test_vectors_of_two_widths_or_none_are_refused_by_row(tmp_path):
    pq.write_table(pa.table({"item_id": ["a", "b"], "vector": [[1.0], [1.0, 2.0]]}), tmp_path / "v")
    with pytest.raises(InputError, match="the vector of row 1 has 2 entries, but 1 are wanted"):
        parquet.read_vectors(tmp_path / "v")
    pq.write_table(pa.table({"item_id": ["a", "b"], "vector": [[1.0], None]}), tmp_path / "v")
    with pytest.raises(InputError, match="the vector of row 1 has None entries"):
        parquet.read_vectors(tmp_path / "v")


def test_a_column_that_holds_no_vectors_is_refused(tmp_path):
    pq.write_table(pa.table({"item_id": ["a"], "vector": [1.0]}), tmp_path / "v")
    with pytest.raises(InputError, match="column 'vector' is double, but a list of float16"):
        parquet.read_vectors(tmp_path / "v")
    with pytest.raises(InputError, match="column 'id' is missing; found item_id, vector"):
        parquet.read_vectors(tmp_path / "v", id_column="id")


def test_the_width_is_part_of_the_declaration():
    assert item_vectors(8, pa.float32()).schema.field("vector").type.list_size == 8
