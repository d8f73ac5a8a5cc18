"""Gram matrix, sum and count: streamed, split and joined without a difference."""

import numpy as np
import pytest
import torch

from ace_steps.errors import InputError
from ace_steps.io.shards import parse_shard, require_all_shards, shard_rows
from ace_steps.refine.factor import eigenpairs
from ace_steps.refine.moments import Moments, MomentSum, mirror_lower
from ace_steps.refine.partial import join
from ace_steps.refine.torch_algebra import TorchMomentSum, TorchSolver
from tests.refine.made import made_vectors, unit

NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")


def summed(rows, chunk=7):
    total = MomentSum(rows.shape[1])
    for start in range(0, len(rows), chunk):
        total.add(np.ascontiguousarray(rows[start : start + chunk]))
    return total.moments()


def test_the_sums_are_those_of_plain_loops():
    rows = np.array([[1.0, 2.0], [3.0, -1.0]])
    found = summed(rows, chunk=1)
    np.testing.assert_array_equal(found.gram, [[1 + 9, 2 - 3], [2 - 3, 4 + 1]])
    np.testing.assert_array_equal(found.total, [4.0, 1.0])
    np.testing.assert_array_equal(found.mean, [2.0, 0.5])
    assert (found.count, found.width) == (2, 2)


def test_centring_is_the_gram_matrix_of_centred_rows():
    rows = unit(made_vectors())
    apart = rows - rows.mean(axis=0)
    found = summed(rows).centred()
    np.testing.assert_allclose(found.gram, apart.T @ apart, atol=1e-12)
    np.testing.assert_array_equal(found.total, np.zeros(12))


@pytest.mark.parametrize("chunk", [1, 5, 60])
def test_chunk_size_and_row_order_change_nothing_beyond_rounding(chunk):
    rows = unit(made_vectors())
    shuffled = rows[np.random.default_rng(1).permutation(len(rows))]
    np.testing.assert_allclose(summed(shuffled, chunk).gram, rows.T @ rows, atol=1e-10)


@pytest.mark.parametrize("n_shards", [1, 2, 7, 100])
def test_shards_cover_every_row_once_and_join_to_the_whole(n_shards):
    rows = unit(made_vectors())
    names = [f"{i}-of-{n_shards}" for i in range(1, n_shards + 1)]
    ranges = [shard_rows(name, len(rows)) for name in names]
    assert [row for part in ranges for row in part] == list(range(len(rows)))
    parts = [(n, [summed(rows[r.start : r.stop])]) for n, r in zip(names, ranges, strict=True)]
    joined = join(parts[::-1])
    np.testing.assert_allclose(joined.gram, rows.T @ rows, atol=1e-10)
    np.testing.assert_allclose(joined.total, rows.sum(axis=0), atol=1e-10)
    assert joined.count == 60


def test_joining_in_another_order_gives_the_same_bytes():
    rows = unit(made_vectors())
    parts = [(f"{i + 1}-of-3", [summed(rows[i * 20 : i * 20 + 20])]) for i in range(3)]
    assert join(parts).gram.tobytes() == join(parts[::-1]).gram.tobytes()


@pytest.mark.parametrize(
    ("shards", "message"),
    [
        (["1-of-3", "3-of-3"], "shard 2-of-3 is missing"),
        (["1-of-2", "1-of-2"], "shard 1-of-2 is given more than once"),
        (["1-of-2", "2-of-3"], "shard 2-of-3 does not belong to a split into 2"),
    ],
)
def test_a_set_of_shards_that_is_not_whole_is_refused(shards, message):
    with pytest.raises(InputError, match=message):
        require_all_shards(shards)


@pytest.mark.parametrize("text", ["", "2", "3-of-2", "0-of-2", "1-of-0", "a-of-b", "1-of-2x"])
def test_a_shard_of_another_form_is_refused(text):
    with pytest.raises(InputError, match="like 2-of-4"):
        parse_shard(text)


def test_sums_of_different_widths_do_not_add():
    with pytest.raises(InputError, match="width 2 and 3 do not add"):
        summed(np.ones((1, 2))) + summed(np.ones((1, 3)))


def test_an_empty_shard_adds_nothing_whatever_its_width():
    one, none = summed(np.ones((1, 2))), Moments(np.zeros((0, 0)), np.zeros(0), 0)
    assert (one + none).count == (none + one).count == 1


def test_the_lower_triangle_is_mirrored_across_blocks():
    lower = np.tril(np.random.default_rng(0).standard_normal((1100, 1100)))
    whole = lower + np.tril(lower, -1).T
    mirror_lower(lower)
    np.testing.assert_array_equal(lower, whole)


@pytest.mark.parametrize("name", ["cpu", pytest.param("cuda", marks=NEEDS_GPU)])
def test_the_torch_path_agrees_with_the_numpy_path(name):
    rows, device = unit(made_vectors(400, 40)), torch.device(name)
    total = TorchMomentSum(40, device)
    for start in range(0, 400, 150):
        total.add(rows[start : start + 150])
    found, wanted = total.moments(), summed(rows)
    np.testing.assert_allclose(found.gram, wanted.gram, atol=1e-10)
    np.testing.assert_array_equal(found.gram, found.gram.T)
    np.testing.assert_allclose(found.total, wanted.total, atol=1e-10)
    assert found.count == wanted.count
    for n_leading in (None, 9):
        values, vectors = TorchSolver(device)(found.gram, n_leading)
        expected, directions = eigenpairs(wanted.gram, n_leading)
        np.testing.assert_allclose(values, expected, atol=1e-6)
        np.testing.assert_allclose(np.abs((vectors * directions).sum(axis=0)), 1, atol=1e-6)
