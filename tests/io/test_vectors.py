"""Tables of vectors: streamed writing, anyone's Parquet read in chunks, refusals."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ace_steps.errors import InputError
from ace_steps.io.provenance import Provenance
from ace_steps.io.vectors import FLOATS, iter_vectors, read_vectors, vector_writer

NOTE = Provenance(step="test", settings={"x": 1})


def write_vectors(path, matrix, *, pieces=1, dtype=np.float32):
    with vector_writer(path, "item_vectors", matrix.shape[1], dtype, NOTE) as writer:
        for rows in np.array_split(np.arange(len(matrix)), pieces):
            keys = {"item": rows + 1, "item_id": [f"i{row}" for row in rows]}
            writer.write(keys, matrix[rows])


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("pieces", [1, 3])
def test_vectors_come_back_whatever_the_pieces(tmp_path, dtype, pieces):
    matrix = np.random.default_rng(0).normal(size=(70, 4)).astype(dtype)
    write_vectors(tmp_path / "v", matrix, pieces=pieces, dtype=dtype)
    vectors = read_vectors(tmp_path / "v")
    assert vectors.matrix.dtype == dtype
    np.testing.assert_array_equal(vectors.matrix, matrix)
    np.testing.assert_array_equal(vectors.index, np.arange(1, 71))
    assert vectors.ids[69] == "i69"


def test_pieces_do_not_change_the_bytes(tmp_path):
    matrix = np.random.default_rng(0).normal(size=(70, 4))
    write_vectors(tmp_path / "one", matrix)
    write_vectors(tmp_path / "many", matrix, pieces=7)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "many").read_bytes()


def test_row_groups_are_bounded_in_bytes_and_read_alone(tmp_path):
    matrix = np.zeros((300, 65_536), np.float32)  # 256 KB a row
    matrix[:, 0] = np.arange(300)
    write_vectors(tmp_path / "v", matrix, pieces=5)
    with pq.ParquetFile(tmp_path / "v") as file:
        groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert groups == [64, 64, 64, 64, 44]
    for rows in (range(300), range(60, 70), range(64, 128), range(299, 300), range(5, 5)):
        pieces = list(iter_vectors(tmp_path / "v", rows=rows, chunk_rows=50))
        assert [int(n) for piece in pieces for n in piece.matrix[:, 0]] == list(rows)


def test_an_empty_file_has_its_dimension(tmp_path):
    write_vectors(tmp_path / "v", np.empty((0, 3)))
    assert read_vectors(tmp_path / "v").matrix.shape == (0, 3)


def test_a_writer_that_fails_leaves_nothing(tmp_path):
    def write_another_dim():
        with vector_writer(tmp_path / "v", "item_vectors", 4, np.float32, NOTE) as writer:
            writer.write({"item": [1], "item_id": ["a"]}, np.zeros((1, 5)))

    with pytest.raises(ValueError, match=r"expected shape \(rows, 4\), got \(1, 5\)"):
        write_another_dim()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", FLOATS, ids=str)
@pytest.mark.parametrize("make", [pa.list_, pa.large_list, lambda kind: pa.list_(kind, 2)])
def test_anyones_vectors_are_read(tmp_path, kind, make):
    values = np.array([[1, 2], [3, 4], [5, 6]], FLOATS[kind])
    column = pa.array([list(row) for row in values], make(kind))
    pq.write_table(pa.table({"id": [7, 8, 9], "embedding": column}), tmp_path / "v")
    columns = {"id_column": "id", "vector_column": "embedding"}
    chunks = list(iter_vectors(tmp_path / "v", **columns, chunk_rows=2))
    assert [len(chunk) for chunk in chunks] == [2, 1]
    assert chunks[0].ids.to_list() == ["7", "8"]
    np.testing.assert_array_equal(np.concatenate([c.matrix for c in chunks]), values)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ([[1.0], [1.0, 2.0]], "the vector of row 1: expected 1 entries, got 2"),
        ([[1.0], None], "the vector of row 1: expected 1 entries, got None"),
        ([1.0, 2.0], "column 'vector': expected lists of float16, .* got double"),
    ],
)
def test_what_are_no_vectors_of_one_dimension_is_refused(tmp_path, vectors, message):
    pq.write_table(pa.table({"item_id": ["a", "b"], "vector": vectors}), tmp_path / "v")
    with pytest.raises(InputError, match=message):
        read_vectors(tmp_path / "v")
    with pytest.raises(InputError, match=r"column 'id' is missing; .* item_id, vector"):
        read_vectors(tmp_path / "v", id_column="id")
