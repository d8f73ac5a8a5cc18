"""Each measure by hand or by brute force."""

import math
from itertools import combinations

import numpy as np
import pytest

from ace_steps.refine import geometry
from tests.refine.builders import item_vectors, unit


def test_mean_cosine_is_the_mean_over_all_pairs():
    rows = unit(item_vectors(20, 5))
    pairs = [one @ other for one, other in combinations(rows, 2)]
    scaled = np.vstack([rows * np.arange(1, 21)[:, None], np.zeros((1, 5))])  # 0 adds nothing
    total = geometry.sum_of_unit_rows(scaled)
    np.testing.assert_allclose(geometry.mean_cosine(total @ total, 20), np.mean(pairs), rtol=1e-12)


@pytest.mark.parametrize(
    ("values", "expected"),
    # shares 1/2, 1/4, 1/4: entropy 1.5 ln 2
    [([0.3, 0.3, 0.3, 0.3], 4), ([5.0, 0.0], 1), ([2.0, 1.0, 1.0], 2**1.5)],
)
def test_effective_rank_is_the_exponential_of_the_entropy_of_shares(values, expected):
    assert geometry.effective_rank(np.array(values)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("variances", "score"),
    [
        ([1, 1, 1, 1], 1),
        ([1, 0, 0, 0], 0),
        ([3, 3, 0, 0], 1 / 3),
        ([2, 2, 2, 0], 2 / 3),
        ([1], 0),
        ([0, 0], 0),
    ],
)
def test_isoscore_is_the_share_of_dimensions_in_use(variances, score):
    # Rudman et al. 2022: k of d dimensions used evenly score (k - 1) / (d - 1)
    assert geometry.isoscore(np.array(variances, float)) == pytest.approx(score, abs=1e-12)


def test_spectral_measures_are_sums_over_the_spectrum():
    # squares 4, 1, 1: shares of the values 1/2, 1/4, 1/4
    result = geometry.spectral_measures(np.array([1.0, 2.0, 1.0]), np.array([3.0, 3.0, 0.0]))
    expected = {
        "top_share": 4 / 6,
        "participation_ratio": 36 / 18,
        "effective_rank": 2**1.5,
        "effective_rank_share": 2**1.5 / 3,
        "isoscore": 1 / 2,
    }
    assert result == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("lambda_", [0.0, 0.5, 20.0])
@pytest.mark.parametrize("kept", [2, 6])
def test_reconstruction_error_is_that_of_the_autoencoder_itself(lambda_, kept):
    rows = unit(item_vectors(30, 6))
    u, s, _ = np.linalg.svd(rows, full_matrices=False)
    b = u[:, :kept] @ np.diag(s[:kept] ** 2 / (s[:kept] ** 2 + lambda_)) @ u[:, :kept].T
    expected = np.linalg.norm(rows.T - rows.T @ b) ** 2 / np.linalg.norm(rows) ** 2
    result = geometry.reconstruction_error(s[:kept], float((s**2).sum()), lambda_)
    assert result == pytest.approx(expected, abs=1e-12)


def test_partition_ratio_is_the_ratio_of_plain_sums(monkeypatch):
    monkeypatch.setattr(geometry, "BLOCK_ROWS", 2)  # several blocks
    rows = np.array([[2.0, 0.0], [0.0, 1.0], [2.0, 0.0]])
    length = math.sqrt((4 + 1 + 4) / 3)
    z = [
        sum(math.exp(sign * row[axis] / length) for row in rows)
        for axis in (0, 1)
        for sign in (1, -1)
    ]
    result = geometry.partition_ratio(rows, np.eye(2))
    assert result == pytest.approx(min(z) / max(z), rel=1e-12)
    assert geometry.partition_ratio(7 * rows, -np.eye(2)) == pytest.approx(result, rel=1e-12)
    assert geometry.partition_ratio(np.zeros((2, 2)), np.eye(2)) == 1


@pytest.mark.parametrize(("n", "dtype"), [(20_000, np.float32), (600_000, np.float64)])
def test_partition_ratio_is_a_number_where_the_exponential_overflows(n, dtype):
    rows = np.zeros((n, 1), dtype)
    rows[777] = 1.0  # of root mean square 1 / sqrt(n)
    far = math.sqrt(n)  # exp(141) is beyond float32, exp(775) beyond float64
    expected = (n - 1 + math.exp(-far)) * math.exp(-far / 2) * math.exp(-far / 2)
    result = geometry.partition_ratio(rows, np.eye(1, dtype=dtype))
    assert result == pytest.approx(expected, rel=1e-9)


def test_neighbors_are_the_ten_nearest_by_cosine(monkeypatch):
    monkeypatch.setattr(geometry, "BLOCK_ROWS", 7)  # several blocks
    rows = item_vectors(600, 5).astype(np.float32)
    cosines = unit(rows.astype(float)) @ unit(rows.astype(float)).T
    np.fill_diagonal(cosines, -2)
    expected = np.sort(np.argsort(-cosines, axis=1)[:, :10], axis=1)
    with_zero = np.vstack([rows, np.zeros((1, 5), np.float32)])  # at cosine 0 to all
    nearest = np.sort(geometry.neighbors(with_zero), axis=1)
    np.testing.assert_array_equal(nearest[:-1], expected)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_fewer_rows_than_ten_have_all_others_as_neighbors(n):
    nearest = geometry.neighbors(np.eye(n, dtype=np.float32))
    assert [sorted({*range(n)} - {row}) for row in range(n)] == np.sort(nearest, axis=1).tolist()


def test_overlap_is_the_share_of_common_neighbors():
    one, other = np.array([[1, 2], [0, 3]]), np.array([[2, 1], [4, 0]])
    assert geometry.overlap(one, other) == 3 / 4


def test_the_sample_is_every_row_up_to_the_limit_and_seeded_beyond(monkeypatch):
    monkeypatch.setattr(geometry, "SAMPLE_ROWS", 10)
    np.testing.assert_array_equal(geometry.sample_of(10), np.arange(10))
    sample = geometry.sample_of(1000)
    assert len(set(sample)) == 10
    assert (np.diff(sample) > 0).all()
    np.testing.assert_array_equal(sample, geometry.sample_of(1000))


@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_the_sample_is_taken_as_the_chunks_pass(chunk):
    rows, sample = item_vectors(20, 3), np.array([0, 3, 4, 11, 19])
    taker = geometry.SampleTaker(sample)
    for start in range(0, 20, chunk):
        taker.add(rows[start : start + chunk])
    np.testing.assert_array_equal(taker.rows(), rows[sample].astype(np.float32))
