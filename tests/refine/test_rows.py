"""Vectors are read as unit rows, and refused by name where they have no direction."""

import numpy as np
import pytest
import torch

from ace_steps.errors import InputError
from ace_steps.refine.rows import as_chunks, as_matrix, chunk_rows, unit_rows


def test_a_row_is_scaled_to_length_1_and_the_argument_is_left_alone():
    given = np.array([[3.0, 4.0], [0.0, -2.0]], np.float32)
    before = given.copy()
    np.testing.assert_allclose(unit_rows(given), [[0.6, 0.8], [0.0, -1.0]], rtol=1e-15)
    np.testing.assert_array_equal(given, before)


def test_a_float16_row_whose_square_would_overflow_is_scaled_too():
    given = np.full((1, 4), 60000, np.float16)
    np.testing.assert_allclose(unit_rows(given), np.full((1, 4), 0.5), rtol=1e-15)


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (np.nan, "NaN or infinity in its vector"),
        (np.inf, "NaN or infinity in its vector"),
        (-np.inf, "NaN or infinity in its vector"),
        (0.0, "an all-zero vector"),
    ],
)
def test_a_row_without_direction_is_refused_by_its_item(bad, what):
    rows = np.ones((3, 2))
    rows[1] = bad
    with pytest.raises(InputError, match=rf"v\.parquet: item 'b' \(row 8\) has {what}; 1 such"):
        unit_rows(rows, ids=["a", "b", "c"], first=7, where="v.parquet")


def test_a_row_without_an_id_is_refused_by_its_number():
    with pytest.raises(InputError, match="vectors: row 1 has an all-zero vector"):
        unit_rows(np.array([[1.0], [0.0]]))


def test_a_chunk_is_about_32_mb_and_never_less_than_64_rows():
    assert chunk_rows(1024) * 1024 * 8 == 32 * 2**20
    assert chunk_rows(10**6) == 64


def test_arrays_tensors_and_iterables_give_the_same_rows():
    matrix = np.random.default_rng(0).standard_normal((10, 3)).astype(np.float32)
    for given in (matrix, torch.from_numpy(matrix), [matrix[:4], torch.from_numpy(matrix[4:])]):
        np.testing.assert_array_equal(np.concatenate(list(as_chunks(given))), matrix)


def test_a_bfloat16_tensor_is_taken_although_numpy_has_no_such_type():
    given = torch.tensor([[1.0, 0.5]], dtype=torch.bfloat16, requires_grad=True)
    np.testing.assert_array_equal(as_matrix(given), [[1.0, 0.5]])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.ones(3), r"shape \(3,\)"),
        (np.ones((3, 0)), r"shape \(3, 0\)"),
        (np.array([["a"]]), "type <U1"),
        (np.ones((1, 1), complex), "type complex128"),
        ("text", "str was given"),
        (7, "int was given"),
        ([np.ones((2, 3)), np.ones((2, 4))], "a chunk has width 4, but 3 is wanted"),
    ],
)
def test_what_is_no_matrix_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        list(as_chunks(given))
