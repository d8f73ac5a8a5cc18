"""Folding new items in: the same vectors as the table's, without another solve."""

import numpy as np
import pytest

from ace_steps.io import parquet
from ace_steps.io.vectors import read_vectors
from ace_steps.refine import fit
from tests.refine.builders import (
    COLUMNS,
    SETTINGS,
    VECTORS,
    factor,
    fold_in,
    refine,
    refused,
    settings_of,
    write_foreign,
    write_vectors,
)

FLOAT32 = VECTORS.astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    """A folder with item vectors and their factor."""
    write_vectors(tmp_path / "vectors.parquet", VECTORS)
    assert factor(tmp_path) == 0
    return tmp_path


@pytest.fixture
def fitted(tmp_path):
    """A folder with a map that the library saved."""
    fit(FLOAT32, dim=6, lambda_=1.0).save(tmp_path / "map.safetensors")
    return tmp_path


@pytest.mark.parametrize("method", sorted(set(SETTINGS) - {"random"}))
def test_folding_in_the_same_items_reproduces_their_table(folder, method):
    assert refine(folder, settings_of(method)) == 0
    assert fold_in(folder, folder / "vectors.parquet") == 0
    refined = read_vectors(folder / "refined.parquet")
    folded = read_vectors(folder / "folded.parquet")
    np.testing.assert_allclose(folded.matrix, refined.matrix, rtol=1e-5, atol=1e-8)
    notes = [parquet.read_provenance(folder / f) for f in ("refined.parquet", "folded.parquet")]
    assert notes[0].facts["item_encoder"] == notes[1].facts["item_encoder"]


def test_a_new_item_is_folded_in_without_the_others(folder):
    assert refine(folder, settings_of("ace")) == 0
    new = write_foreign(folder / "new.parquet", VECTORS[17:18])
    assert fold_in(folder, new, *COLUMNS) == 0
    folded = read_vectors(folder / "folded.parquet")
    expected = read_vectors(folder / "refined.parquet").matrix[17]
    assert (folded.ids.to_list(), folded.index.tolist()) == (["p0"], [1])
    np.testing.assert_allclose(folded.matrix[0], expected, rtol=1e-4, atol=1e-6)  # float64 went in


def test_a_drawn_table_has_no_map_to_fold_in_with(folder, capfd):
    assert refine(folder, settings_of("random")) == 0
    capfd.readouterr()
    refused(
        capfd,
        fold_in(folder, folder / "vectors.parquet"),
        r"map\.safetensors: 'random' draws its vectors; there is no map of new ones",
    )


def test_new_vectors_of_another_dim_are_refused(folder, capfd):
    assert refine(folder, settings_of("ace")) == 0
    write_vectors(folder / "other.parquet", np.ones((2, 5)))
    capfd.readouterr()
    refused(capfd, fold_in(folder, folder / "other.parquet"), "dim 12.* got 5")


def test_a_map_that_is_no_map_is_refused(folder, capfd):
    capfd.readouterr()
    code = fold_in(folder, folder / "vectors.parquet", map_name="factor.safetensors")
    refused(capfd, code, "tensor 'weights' is missing")


def test_a_map_saved_by_the_library_folds_items_in(fitted):
    vectors = write_vectors(fitted / "vectors.parquet", FLOAT32[:5])
    assert fold_in(fitted, vectors) == 0
    folded = read_vectors(fitted / "folded.parquet").matrix
    expected = fit(FLOAT32, dim=6, lambda_=1.0).transform(FLOAT32[:5])
    np.testing.assert_allclose(folded, expected, rtol=1e-5)


def test_no_new_items_give_an_empty_table(fitted):
    vectors = write_vectors(fitted / "vectors.parquet", FLOAT32[:0])
    assert fold_in(fitted, vectors) == 0
    assert read_vectors(fitted / "folded.parquet").matrix.shape == (0, 6)


def test_a_new_item_without_a_direction_is_named(fitted, capfd):
    vectors = write_vectors(fitted / "vectors.parquet", FLOAT32[:3] * [[1], [1], [0]])
    refused(capfd, fold_in(fitted, vectors), r"item 'i2' \(row 2\) has an all-zero vector")
    assert not (fitted / "folded.parquet").exists()


def test_a_new_item_given_twice_is_named(fitted, capfd):
    path = write_vectors(fitted / "vectors.parquet", FLOAT32[:3], ids=["a", "b", "a"])
    refused(capfd, fold_in(fitted, path), "holds 'a' more than once; 1 such ids")
    assert not (fitted / "folded.parquet").exists()
