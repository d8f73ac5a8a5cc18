"""Vector files are streamed: memory holds a chunk of them, however many there are."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ace_steps.refine.vector_files import VectorFile


@pytest.fixture
def many(tmp_path):
    """A file of 16 row groups of about 1 MB each."""
    vectors = np.random.default_rng(0).standard_normal((8192, 512)).astype(np.float32)
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), 512)
    table = pa.table({"item_id": [f"i{row}" for row in range(8192)], "vector": column})
    pq.write_table(table, tmp_path / "vectors.parquet", row_group_size=512)
    return VectorFile(tmp_path / "vectors.parquet", "item_id", "vector")


def test_what_was_read_before_is_let_go(many, monkeypatch):
    monkeypatch.setattr("ace_steps.refine.vector_files.chunk_rows", lambda width: 512)
    held = []
    before = pa.total_allocated_bytes()
    for _ in many.chunks():
        held.append(pa.total_allocated_bytes() - before)
    assert len(held) == 16
    assert max(held) < 8 * 2**20  # of 16 MB


def test_a_range_of_rows_is_those_rows_across_row_groups(many):
    whole = np.concatenate([chunk.rows for chunk in many.chunks()])
    for rows in (range(0, 1), range(500, 1600), range(8191, 8192), range(40, 40)):
        chunks = list(many.chunks(rows))
        result = np.concatenate([chunk.rows for chunk in chunks])
        np.testing.assert_array_equal(result, whole[rows.start : rows.stop])
        index = np.concatenate([chunk.index for chunk in chunks])
        np.testing.assert_array_equal(index, np.arange(rows.start + 1, rows.stop + 1))
