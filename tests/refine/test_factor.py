"""The factor against NumPy's SVD of the rows themselves, which shares no algebra with it."""

import numpy as np
import pytest

from ace_steps.errors import InputError
from ace_steps.refine.factor import factorize, with_fixed_signs
from tests.refine.builders import item_vectors, moments_of, unit


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("n_leading", [None, 5])
def test_singular_values_and_components_are_those_of_an_svd_with_fixed_signs(center, n_leading):
    rows = unit(item_vectors(80, 10))
    mean = rows.mean(axis=0) if center else np.zeros(10)
    _, s, vt = np.linalg.svd(rows - mean, full_matrices=False)
    result = factorize(moments_of(rows), center=center, n_leading=n_leading)
    n = len(result.singular_values)
    assert n == (n_leading or 10)
    np.testing.assert_allclose(result.singular_values, s[:n], atol=1e-10)
    largest = vt[np.arange(n), np.abs(vt[:n]).argmax(axis=1)]
    np.testing.assert_allclose(result.components, vt[:n].T * np.sign(largest), atol=1e-10)
    np.testing.assert_allclose(result.mean, mean, atol=1e-15)
    np.testing.assert_allclose(result.total, (rows - mean).sum(axis=0), atol=1e-10)
    assert (result.count, result.rank) == (80, n)


def test_the_first_of_two_entries_of_equal_size_decides_the_sign():
    half = np.sqrt(0.5)
    nearly = np.array([[-half], [half * (1 + 1e-12)]])
    np.testing.assert_allclose(with_fixed_signs(nearly), [[half], [-half]], rtol=1e-10)


@pytest.mark.parametrize("rank", [1, 7])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_rank_is_counted_and_nothing_is_left_beyond_it(rank, dtype):
    rows = unit(item_vectors(200, 12, rank=rank).astype(dtype).astype(np.float64))
    result = factorize(moments_of(rows), center=False)
    assert result.rank == rank
    assert (result.singular_values[rank:] == 0).all()
    assert (result.singular_values[:rank] > 0).all()


def test_equal_rows_have_rank_0_once_centered():
    rows = unit(np.tile([[1.0, 2.0, 3.0]], (5000, 1)))
    assert factorize(moments_of(rows), center=False).rank == 1
    assert factorize(moments_of(rows), center=True).rank == 0


@pytest.mark.parametrize(("n", "rank", "limit"), [(5, None, 5), (60, None, 12), (60, 4, 4)])
def test_more_components_than_items_entries_or_rank_are_refused(n, rank, limit):
    factor = factorize(moments_of(unit(item_vectors(n, rank=rank))), center=False)
    kept = factor.leading(limit)
    assert kept.components.shape == (12, limit)
    np.testing.assert_array_equal(kept.singular_values, factor.singular_values[:limit])
    with pytest.raises(InputError, match=f"dim: .*most {limit}.*{n} items of dim 12.*got 13"):
        factor.leading(13)
