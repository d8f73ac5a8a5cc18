"""Vector files are streamed: memory holds a chunk of them, however many there are."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ace_steps.io.provenance import Provenance
from ace_steps.io.vectors import vector_writer
from ace_steps.refine import files
from tests.refine.builders import unit


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A file of 16 row groups of about 256 kB each."""
    path = tmp_path_factory.mktemp("many") / "vectors.parquet"
    vectors = np.random.default_rng(0).standard_normal((8192, 128)).astype(np.float32)
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), 128)
    table = pa.table({"item_id": [f"i{row}" for row in range(8192)], "vector": column})
    pq.write_table(table, path, row_group_size=512)
    return files.VectorFile(path, "item_id", "vector")


def test_what_was_read_before_is_let_go(many, monkeypatch):
    monkeypatch.setattr(files, "chunk_rows", lambda dim: 512)
    held = []
    before = pa.total_allocated_bytes()
    for _ in many.chunks():
        held.append(pa.total_allocated_bytes() - before)
    assert len(held) == 16
    assert max(held) < 2 * 2**20  # of 4 MB


def test_a_range_of_rows_is_those_rows_across_row_groups(many):
    whole = np.concatenate(list(many.unit_rows()))
    for rows in (range(0, 1), range(500, 1600), range(8191, 8192), range(40, 40)):
        chunks = list(many.chunks(rows))
        result = np.concatenate([chunk.matrix for chunk in chunks])
        np.testing.assert_array_equal(result, whole[rows.start : rows.stop])
        index = np.concatenate([chunk.index for chunk in chunks])
        np.testing.assert_array_equal(index, np.arange(rows.start + 1, rows.stop + 1))


def test_rows_are_zero_only_where_the_note_says_that_vectors_were_missing(tmp_path):
    path, vectors = tmp_path / "vectors.parquet", np.array([[3.0, 4.0], [0.0, 0.0]])
    note = Provenance("import_vectors", facts={"zero_items": 1})
    with vector_writer(path, "item_vectors", 2, np.float32, note) as writer:
        writer.write({"item": [7, 9], "item_id": ["a", "b"]}, vectors)
    (chunk,) = files.VectorFile(path, "item_id", "vector").chunks()
    np.testing.assert_allclose(chunk.matrix[:1], unit(vectors[:1]), rtol=1e-7)
    np.testing.assert_array_equal(chunk.matrix[1], [0, 0])
    assert chunk.index.tolist() == [7, 9]
