"""The step fold_in_items by its own; see test_refine_vectors for its agreement with the table."""

import numpy as np

from ace_steps import parquet
from ace_steps.refine import fit
from ace_steps.steps import fold_in_items
from tests.refine.made import made_vectors, refused, write_vectors

VECTORS = made_vectors(90, 12).astype(np.float32)


def fold_in(folder, vectors):
    fit(VECTORS, width=6, lambda_=1.0).save(folder / "map.safetensors")
    options = ["--vectors", str(vectors), "--map", str(folder / "map.safetensors")]
    return fold_in_items.main([*options, "--refined", str(folder / "refined.parquet")])


def test_a_map_saved_by_the_library_folds_items_in(tmp_path):
    vectors = write_vectors(tmp_path / "vectors.parquet", VECTORS[:5])
    assert fold_in(tmp_path, vectors) == 0
    found = parquet.read_vectors(tmp_path / "refined.parquet").matrix
    wanted = fit(VECTORS, width=6, lambda_=1.0).transform(VECTORS[:5])
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_no_new_items_give_an_empty_table(tmp_path):
    vectors = write_vectors(tmp_path / "vectors.parquet", VECTORS[:0])
    assert fold_in(tmp_path, vectors) == 0
    assert parquet.read_vectors(tmp_path / "refined.parquet").matrix.shape == (0, 6)


def test_a_new_item_without_a_direction_is_named(tmp_path, capfd):
    vectors = write_vectors(tmp_path / "vectors.parquet", VECTORS[:5] * [[1], [1], [0], [1], [1]])
    refused(capfd, fold_in(tmp_path, vectors), r"item 'i2' \(row 2\) has an all-zero vector")
    assert not (tmp_path / "refined.parquet").exists()


def test_a_new_item_given_twice_is_named(tmp_path, capfd):
    path = write_vectors(tmp_path / "vectors.parquet", VECTORS[:2], ids=["a", "a"])
    refused(capfd, fold_in(tmp_path, path), "holds 'a' more than once")
