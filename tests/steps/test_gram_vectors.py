"""One shard's sums, with the rows' items named when they cannot be summed."""

import numpy as np

from ace_steps.io.tensors import read_tensors
from tests.refine.builders import VECTORS, gram, refused, unit, write_vectors


def test_a_shard_holds_the_sums_of_its_own_rows_leaf_by_leaf(tmp_path):
    write_vectors(tmp_path / "vectors.parquet", VECTORS)
    code, path = gram(tmp_path, "2-of-4")  # leaves 2 and 3 of 8
    arrays, note = read_tensors(path)
    rows = unit(VECTORS.astype(np.float32).astype(float))
    assert code == 0
    for leaf, expected in enumerate((rows[22:33], rows[33:45])):
        np.testing.assert_allclose(arrays["gram"][leaf], expected.T @ expected, atol=1e-12)
        np.testing.assert_allclose(arrays["total"][leaf], expected.sum(axis=0), atol=1e-12)
    assert arrays["count"].tolist() == [11, 12]
    assert (note.facts["count"], note.facts["shard"]) == (23, "2-of-4")


def test_the_first_shard_keeps_one_sum_and_one_without_leaves_none(tmp_path):
    write_vectors(tmp_path / "vectors.parquet", VECTORS)
    arrays = [read_tensors(gram(tmp_path, shard)[1])[0] for shard in ("1-of-2", "9-of-9")]
    assert [each["gram"].shape for each in arrays] == [(1, 12, 12), (0, 12, 12)]


def test_a_bad_row_is_named_by_its_number_in_the_file_and_only_in_its_shard(tmp_path, capfd):
    spoiled = VECTORS.copy()
    spoiled[50, 2] = np.nan
    write_vectors(tmp_path / "vectors.parquet", spoiled)
    assert gram(tmp_path, "1-of-2")[0] == 0
    capfd.readouterr()
    code, path = gram(tmp_path, "2-of-2")
    refused(capfd, code, r"item 'i50' \(row 50\) has NaN or infinity")
    assert not path.exists()
