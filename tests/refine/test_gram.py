"""Gram matrix, sum and count of streamed rows, on a CPU or a GPU."""

import numpy as np
import pytest
import torch

from ace_steps.refine.gram import TorchMomentSum, eigenpairs, torch_eigenpairs
from tests.refine.builders import item_vectors, moments_of, unit

NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
ROWS = unit(item_vectors())


@pytest.mark.parametrize("chunk", [1, 7, 60])
def test_moments_are_those_of_the_whole_matrix_whatever_the_chunks(chunk):
    moments, centered = moments_of(ROWS, chunk), ROWS - ROWS.mean(axis=0)
    np.testing.assert_allclose(moments.gram, ROWS.T @ ROWS, atol=1e-12)
    np.testing.assert_allclose(moments.total, ROWS.sum(axis=0), atol=1e-12)
    np.testing.assert_allclose(moments.mean, ROWS.mean(axis=0), atol=1e-14)
    np.testing.assert_allclose(moments.centered().gram, centered.T @ centered, atol=1e-12)
    np.testing.assert_array_equal(moments.centered().total, np.zeros(12))
    assert moments.count == moments.centered().count == 60


def test_a_gram_matrix_of_several_blocks_is_mirrored_exactly():
    rows = np.random.default_rng(0).standard_normal((3, 1100))
    gram = moments_of(rows).gram
    np.testing.assert_allclose(gram, rows.T @ rows, atol=1e-12)
    np.testing.assert_array_equal(gram, gram.T)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=NEEDS_GPU)])
def test_the_torch_path_agrees_with_the_numpy_path(device):
    rows = unit(item_vectors(400, 40))
    total = TorchMomentSum(40, device)
    for start in range(0, 400, 150):
        total.add(rows[start : start + 150])
    moments, expected = total.moments(), moments_of(rows)
    np.testing.assert_allclose(moments.gram, expected.gram, atol=1e-10)
    np.testing.assert_array_equal(moments.gram, moments.gram.T)
    np.testing.assert_allclose(moments.total, expected.total, atol=1e-10)
    assert moments.count == expected.count
    for n_leading in (None, 9):
        values, vectors = torch_eigenpairs(moments.gram, n_leading, device)
        expected_values, expected_vectors = eigenpairs(expected.gram, n_leading)
        np.testing.assert_allclose(values, expected_values, atol=1e-6)
        cosines = (vectors * expected_vectors).sum(axis=0)
        np.testing.assert_allclose(np.abs(cosines), 1, atol=1e-6)
