"""The factor against NumPy's SVD of the rows themselves, which shares no algebra with it."""

import numpy as np
import pytest

from ace_steps.errors import InputError
from ace_steps.refine.factor import factorise, with_fixed_signs
from ace_steps.refine.moments import Moments
from tests.refine.made import made_vectors, unit
from tests.refine.test_moments import summed


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("n_leading", [None, 5])
def test_singular_values_and_directions_are_those_of_an_svd(center, n_leading):
    rows = unit(made_vectors(80, 10))
    mean = rows.mean(axis=0) if center else np.zeros(10)
    _, s, vt = np.linalg.svd(rows - mean, full_matrices=False)
    found = factorise(summed(rows), center=center, n_leading=n_leading)
    n = len(found.singular_values)
    assert n == (n_leading or 10)
    np.testing.assert_allclose(found.singular_values, s[:n], atol=1e-10)
    np.testing.assert_allclose(np.abs((found.directions * vt[:n].T).sum(axis=0)), 1, atol=1e-10)
    np.testing.assert_allclose(found.mean, mean, atol=1e-15)
    np.testing.assert_allclose(found.total, (rows - mean).sum(axis=0), atol=1e-10)


def test_the_largest_entry_of_a_direction_is_positive():
    signed = with_fixed_signs(np.array([[0.1, 0.6], [-0.9, -0.8], [0.2, 0.0]]))
    np.testing.assert_array_equal(signed, [[-0.1, -0.6], [0.9, 0.8], [-0.2, 0.0]])


def test_the_first_of_two_entries_of_equal_size_decides_the_sign():
    half = np.sqrt(0.5)
    nearly = np.array([[-half], [half * (1 + 1e-12)]])
    np.testing.assert_allclose(with_fixed_signs(nearly), [[half], [-half]], rtol=1e-10)


def test_the_order_of_the_rows_does_not_reach_the_signs():
    rows = unit(made_vectors())
    one = factorise(summed(rows), center=False)
    other = factorise(summed(rows[::-1]), center=False)
    np.testing.assert_allclose(one.directions, other.directions, atol=1e-10)


@pytest.mark.parametrize("rank", [1, 3, 7])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_rank_is_found_and_nothing_is_left_beyond_it(rank, dtype):
    rows = unit(made_vectors(200, 12, rank=rank).astype(dtype).astype(np.float64))
    found = factorise(summed(rows), center=False)
    assert found.rank == rank
    assert (found.singular_values[rank:] == 0).all()
    assert (found.singular_values[:rank] > 0).all()


def test_equal_rows_have_rank_0_once_centred():
    rows = unit(np.tile([[1.0, 2.0, 3.0]], (5000, 1)))
    assert factorise(summed(rows), center=False).rank == 1
    assert factorise(summed(rows), center=True).rank == 0


@pytest.mark.parametrize(
    ("n", "width", "rank", "asked", "message"),
    [
        (5, 12, None, 6, "dim 6 is asked for, but there are only 5 items"),
        (60, 12, None, 13, "dim 13 is asked for, but the item vectors have only 12 entries"),
        (60, 12, 4, 5, "dim 5 is asked for, but the item vectors have only rank 4, with 60"),
    ],
)
def test_more_components_than_there_are_is_refused_with_the_limit(n, width, rank, asked, message):
    factor = factorise(summed(unit(made_vectors(n, width, rank=rank))), center=False)
    with pytest.raises(InputError, match=message):
        factor.leading(asked)


def test_no_rows_have_no_factor():
    with pytest.raises(InputError, match="the table is empty"):
        factorise(Moments(np.zeros((3, 3)), np.zeros(3), 0), center=False)
