"""Item vectors joined by the items' raw ids."""

import numpy as np
import polars as pl
import pytest

from ace_steps.errors import InputError
from ace_steps.io.vectors import Vectors
from ace_steps.sequences.inputs import item_matrix


def matrix_of(ids, rows):
    vectors = Vectors(None, pl.Series(ids), np.array(rows, np.float16))
    return item_matrix(pl.Series(["a", "b"]), vectors)


def test_each_item_gets_the_vector_of_its_id_below_a_zero_row():
    matrix = matrix_of(["b", "x", "a"], [[1, 2], [np.nan, 4], [5, 6]])
    assert (matrix.tolist(), matrix.dtype) == ([[0, 0], [5, 6], [1, 2]], np.float32)


@pytest.mark.parametrize(
    ("ids", "rows", "message"),
    [
        (["b"], [[1]], "1 of 2 items have no vector, e.g. 'a'"),
        (["a", "b", "a"], [[1], [2], [3]], "item id 'a' has several vectors"),
        (["b", "a"], [[np.inf], [2]], "vector of item id 'b' is not finite"),
    ],
)
def test_items_without_one_finite_vector_are_refused(ids, rows, message):
    with pytest.raises(InputError, match=message):
        matrix_of(ids, rows)
