"""The factor against NumPy's SVD of the rows themselves, which shares no algebra with it."""

import numpy as np
import pytest

from ace_steps.errors import InputError
from ace_steps.refine.factor import factorize, with_fixed_signs
from ace_steps.refine.gram import Moments
from tests.refine.builders import item_vectors, moments_of, unit


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("n_leading", [None, 5])
def test_singular_values_and_components_are_those_of_an_svd(center, n_leading):
    rows = unit(item_vectors(80, 10))
    mean = rows.mean(axis=0) if center else np.zeros(10)
    _, s, vt = np.linalg.svd(rows - mean, full_matrices=False)
    result = factorize(moments_of(rows), center=center, n_leading=n_leading)
    n = len(result.singular_values)
    assert n == (n_leading or 10)
    np.testing.assert_allclose(result.singular_values, s[:n], atol=1e-10)
    np.testing.assert_allclose(np.abs((result.components * vt[:n].T).sum(axis=0)), 1, atol=1e-10)
    np.testing.assert_allclose(result.mean, mean, atol=1e-15)
    np.testing.assert_allclose(result.total, (rows - mean).sum(axis=0), atol=1e-10)


def test_the_largest_entry_of_a_component_is_positive():
    signed = with_fixed_signs(np.array([[0.1, 0.6], [-0.9, -0.8], [0.2, 0.0]]))
    np.testing.assert_array_equal(signed, [[-0.1, -0.6], [0.9, 0.8], [-0.2, 0.0]])


def test_the_first_of_two_entries_of_equal_size_decides_the_sign():
    half = np.sqrt(0.5)
    nearly = np.array([[-half], [half * (1 + 1e-12)]])
    np.testing.assert_allclose(with_fixed_signs(nearly), [[half], [-half]], rtol=1e-10)


def test_the_order_of_the_rows_does_not_reach_the_signs():
    rows = unit(item_vectors())
    one = factorize(moments_of(rows), center=False)
    other = factorize(moments_of(rows[::-1]), center=False)
    np.testing.assert_allclose(one.components, other.components, atol=1e-10)


@pytest.mark.parametrize("rank", [1, 3, 7])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_rank_is_found_and_nothing_is_left_beyond_it(rank, dtype):
    rows = unit(item_vectors(200, 12, rank=rank).astype(dtype).astype(np.float64))
    result = factorize(moments_of(rows), center=False)
    assert result.rank == rank
    assert (result.singular_values[rank:] == 0).all()
    assert (result.singular_values[:rank] > 0).all()


def test_equal_rows_have_rank_0_once_centered():
    rows = unit(np.tile([[1.0, 2.0, 3.0]], (5000, 1)))
    assert factorize(moments_of(rows), center=False).rank == 1
    assert factorize(moments_of(rows), center=True).rank == 0


@pytest.mark.parametrize(
    ("n", "rank", "dim", "message"),
    [
        (5, None, 6, "dim: .*most 5, got 6: .*5 items"),
        (60, None, 13, "dim: .*most 12, got 13: .*12 entries"),
        (60, 4, 5, "dim: .*most 4, got 5: .*rank 4, with 60 items of dim 12"),
    ],
)
def test_more_components_than_there_are_is_refused_with_the_limit(n, rank, dim, message):
    factor = factorize(moments_of(unit(item_vectors(n, rank=rank))), center=False)
    with pytest.raises(InputError, match=message):
        factor.leading(dim)


def test_no_rows_have_no_factor():
    with pytest.raises(InputError, match="the table is empty"):
        factorize(Moments(np.zeros((3, 3)), np.zeros(3), 0), center=False)
