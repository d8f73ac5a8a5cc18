"""Gram matrix, sum and count: streamed, split into shards and joined without a difference."""

import numpy as np
import pytest
import torch

from ace_steps.errors import InputError
from ace_steps.io.shards import parse_shard, require_all_shards, shard_rows
from ace_steps.refine.gram import (
    Moments,
    TorchMomentSum,
    eigenpairs,
    join_shards,
    mirror_lower,
    torch_eigenpairs,
)
from tests.refine.builders import item_vectors, moments_of, unit

NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
ROWS = unit(item_vectors())


def test_the_sums_are_those_of_plain_loops():
    moments = moments_of(np.array([[1.0, 2.0], [3.0, -1.0]]), chunk=1)
    np.testing.assert_array_equal(moments.gram, [[1 + 9, 2 - 3], [2 - 3, 4 + 1]])
    np.testing.assert_array_equal(moments.total, [4.0, 1.0])
    np.testing.assert_array_equal(moments.mean, [2.0, 0.5])
    assert (moments.count, moments.dim) == (2, 2)


def test_centering_is_the_gram_matrix_of_centered_rows():
    centered = ROWS - ROWS.mean(axis=0)
    moments = moments_of(ROWS).centered()
    np.testing.assert_allclose(moments.gram, centered.T @ centered, atol=1e-12)
    np.testing.assert_array_equal(moments.total, np.zeros(12))


@pytest.mark.parametrize("chunk", [1, 5, 60])
def test_chunk_size_and_row_order_change_nothing_beyond_rounding(chunk):
    shuffled = ROWS[np.random.default_rng(1).permutation(len(ROWS))]
    np.testing.assert_allclose(moments_of(shuffled, chunk).gram, ROWS.T @ ROWS, atol=1e-10)


@pytest.mark.parametrize("n_shards", [1, 2, 7, 100])
def test_shards_in_any_order_cover_every_row_once_and_join_to_the_whole(n_shards):
    names = [f"{i}-of-{n_shards}" for i in range(1, n_shards + 1)]
    ranges = [shard_rows(name, len(ROWS)) for name in names]
    assert [row for part in ranges for row in part] == list(range(len(ROWS)))
    parts = [(n, [moments_of(ROWS[r.start : r.stop])]) for n, r in zip(names, ranges, strict=True)]
    joined = join_shards(parts[::-1])
    np.testing.assert_allclose(joined.gram, ROWS.T @ ROWS, atol=1e-10)
    np.testing.assert_allclose(joined.total, ROWS.sum(axis=0), atol=1e-10)
    assert joined.count == 60
    assert joined.gram.tobytes() == join_shards(parts).gram.tobytes()


@pytest.mark.parametrize(
    ("shards", "message"),
    [
        (["1-of-3", "3-of-3"], "2-of-3 is missing"),
        (["1-of-2", "1-of-2"], "1-of-2 .*more than once"),
        (["1-of-2", "2-of-3"], "2-of-3 .*split into 2"),
    ],
)
def test_a_set_of_shards_that_is_not_whole_is_refused(shards, message):
    with pytest.raises(InputError, match=message):
        require_all_shards(shards)


@pytest.mark.parametrize("text", ["", "2", "3-of-2", "0-of-2", "1-of-0", "a-of-b", "1-of-2x"])
def test_a_shard_of_another_form_is_refused(text):
    with pytest.raises(InputError, match=f"2-of-4.*'{text}'"):
        parse_shard(text)


def test_sums_of_different_dims_do_not_add_but_an_empty_one_fits_any():
    one, none = moments_of(np.ones((1, 2))), Moments(np.zeros((0, 0)), np.zeros(0), 0)
    assert (one + none).count == (none + one).count == 1
    with pytest.raises(InputError, match=r"dim 2.*3"):
        one + moments_of(np.ones((1, 3)))


def test_the_lower_triangle_is_mirrored_across_blocks():
    lower = np.tril(np.random.default_rng(0).standard_normal((1100, 1100)))
    whole = lower + np.tril(lower, -1).T
    mirror_lower(lower)
    np.testing.assert_array_equal(lower, whole)


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
