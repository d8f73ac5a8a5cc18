"""Folding new items in: the same vectors as the table's, without another solve."""

import numpy as np
import pytest

from ace_steps.io.parquet import read_provenance
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


def refine_by(folder, method):
    """Write item vectors, their factor and the map of a method."""
    write_vectors(folder / "vectors.parquet", VECTORS)
    assert factor(folder) == 0
    assert refine(folder, settings_of(method)) == 0


@pytest.fixture
def fitted(tmp_path):
    """A folder with a map that the library saved."""
    fit(FLOAT32, dim=6, lambda_=1.0).save(tmp_path / "map.safetensors")
    return tmp_path


@pytest.mark.parametrize("method", sorted(set(SETTINGS) - {"random"}))
def test_folding_in_the_same_items_reproduces_their_table(tmp_path, method):
    refine_by(tmp_path, method)
    assert fold_in(tmp_path, tmp_path / "vectors.parquet") == 0
    refined, folded = tmp_path / "refined.parquet", tmp_path / "folded.parquet"
    np.testing.assert_allclose(
        read_vectors(folded).matrix, read_vectors(refined).matrix, rtol=1e-5, atol=1e-8
    )
    assert read_provenance(folded).facts == read_provenance(refined).facts


def test_a_new_item_is_folded_in_without_the_others(fitted):
    new = write_foreign(fitted / "new.parquet", VECTORS[17:18])
    assert fold_in(fitted, new, *COLUMNS) == 0
    folded = read_vectors(fitted / "folded.parquet")
    assert (folded.ids.to_list(), folded.index.tolist()) == (["p0"], [1])
    expected = fit(FLOAT32, dim=6, lambda_=1.0).transform(VECTORS[17:18])
    np.testing.assert_allclose(folded.matrix, expected, rtol=1e-4, atol=1e-6)


def test_no_new_items_give_an_empty_table(fitted):
    vectors = write_vectors(fitted / "vectors.parquet", FLOAT32[:0])
    assert fold_in(fitted, vectors) == 0
    assert read_vectors(fitted / "folded.parquet").matrix.shape == (0, 6)


def test_a_drawn_table_has_no_map_to_fold_in_with(tmp_path, capfd):
    refine_by(tmp_path, "random")
    capfd.readouterr()
    code = fold_in(tmp_path, tmp_path / "vectors.parquet")
    refused(capfd, code, r"map\.safetensors: 'random' draws its vectors; there is no map")
    code = fold_in(tmp_path, tmp_path / "vectors.parquet", map_name="factor.safetensors")
    refused(capfd, code, "tensor 'weights' is missing")


@pytest.mark.parametrize(
    ("vectors", "ids", "text"),
    [
        (np.ones((2, 5)), None, "dim 12.* got 5"),
        (FLOAT32[:3] * [[1], [1], [0]], None, r"item 'i2' \(row 2\) has an all-zero vector"),
        (FLOAT32[:3], ["a", "b", "a"], "holds 'a' more than once; 1 such ids"),
    ],
)
def test_vectors_that_cannot_be_folded_in_are_refused(fitted, capfd, vectors, ids, text):
    path = write_vectors(fitted / "vectors.parquet", vectors, ids=ids)
    refused(capfd, fold_in(fitted, path), text)
    assert not (fitted / "folded.parquet").exists()
