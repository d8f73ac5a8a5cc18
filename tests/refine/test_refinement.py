"""A map of rows: ``transform``, ``save`` and ``load`` on anyone's vectors."""

import numpy as np
import pytest
import torch

from ace_steps.errors import InputError
from ace_steps.io.provenance import Provenance
from ace_steps.refine import Refinement, fit
from ace_steps.refine.refinement import chunk_rows, unit_chunks, unit_rows
from tests.refine.builders import item_vectors

VECTORS = item_vectors()


def test_what_goes_in_decides_what_comes_out(monkeypatch):
    monkeypatch.setattr("ace_steps.refine.refinement.chunk_rows", lambda dim: 7)
    vectors, refinement = VECTORS.astype(np.float32), fit(VECTORS, dim=6)
    array = refinement.transform(vectors)
    np.testing.assert_allclose(array, refinement.transform(VECTORS), rtol=1e-4, atol=1e-6)
    assert (array.dtype, refinement.transform(VECTORS).dtype) == (np.float32, np.float64)
    tensor = refinement.transform(torch.from_numpy(vectors))
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_array_equal(tensor.numpy(), array)
    chunks = refinement.transform(vectors[i : i + 20] for i in (0, 20, 40))
    np.testing.assert_array_equal(np.concatenate(list(chunks)), array)
    assert refinement.transform(vectors[:0]).shape == (0, 6)


def test_a_new_item_is_refined_alone_as_it_would_be_among_others():
    refinement = fit(VECTORS, dim=6)
    whole = refinement.transform(VECTORS)
    np.testing.assert_allclose(refinement.transform(VECTORS[9:10])[0], whole[9], atol=1e-12)


def test_a_saved_refinement_is_the_same_when_loaded(tmp_path):
    path = tmp_path / "ace.safetensors"
    refinement = fit(VECTORS, dim=6, lambda_=3.0, center=True)
    refinement.save(path)
    loaded = Refinement.load(path)
    np.testing.assert_array_equal(loaded.transform(VECTORS), refinement.transform(VECTORS))
    facts = {"method": "ace", "lambda": 3.0, "gamma": 0.1, "center": True}
    assert loaded.facts == refinement.facts == facts
    refinement.save(str(path), Provenance("mine", facts={"method": "my own"}))
    assert Refinement.load(str(path)).facts == {"method": "my own"}


def test_a_row_is_scaled_to_length_1_and_the_argument_is_left_alone():
    matrix = np.array([[3.0, 4.0], [0.0, -2.0]])
    before = matrix.copy()
    np.testing.assert_allclose(unit_rows(matrix), [[0.6, 0.8], [0.0, -1.0]], rtol=1e-15)
    np.testing.assert_array_equal(matrix, before)
    half = np.full((1, 4), 60000, np.float16)  # its square would overflow
    np.testing.assert_allclose(unit_rows(half), np.full((1, 4), 0.5), rtol=1e-15)


@pytest.mark.parametrize(
    ("bad", "what"),
    [(np.nan, "NaN or infinity"), (-np.inf, "NaN or infinity"), (0.0, "an all-zero vector")],
)
def test_a_row_without_direction_is_refused_by_its_item_or_its_number(bad, what, monkeypatch):
    monkeypatch.setattr("ace_steps.refine.refinement.chunk_rows", lambda dim: 1)
    rows = np.ones((3, 2))
    rows[1] = bad
    with pytest.raises(InputError, match=rf"v\.parquet: item 'b' \(row 8\) has {what}.*; 1 such"):
        unit_rows(rows, ids=["a", "b", "c"], first=7, where="v.parquet")
    with pytest.raises(InputError, match=f"vectors: row 4 has {what}"):
        list(unit_chunks([rows[:1], rows[:1], rows[:1], rows]))


def test_zero_rows_stay_zero_where_they_are_allowed():
    np.testing.assert_array_equal(unit_rows(np.array([[0.0], [2.0]]), zeros=True), [[0.0], [1.0]])


def test_a_chunk_is_about_32_mb_and_never_less_than_64_rows():
    assert chunk_rows(1024) * 1024 * 8 == 32 * 2**20
    assert chunk_rows(10**6) == 64


def test_arrays_tensors_and_iterables_give_the_same_rows():
    matrix = np.random.default_rng(0).standard_normal((10, 3)).astype(np.float32)
    rounded = torch.from_numpy(matrix).bfloat16().requires_grad_()  # NumPy has no such type
    for vectors in (torch.from_numpy(matrix), [matrix[:4], torch.from_numpy(matrix[4:])]):
        rows = np.concatenate([rows for _, rows in unit_chunks(vectors)])
        np.testing.assert_array_equal(rows, unit_rows(matrix))
    ((_, rows),) = unit_chunks(rounded)
    np.testing.assert_array_equal(rows, unit_rows(rounded.detach().float().numpy()))


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.ones(3), r"shape \(3,\)"),
        (np.ones((3, 0)), r"shape \(3, 0\)"),
        (np.array([["a"]]), "type <U1"),
        (np.ones((1, 1), complex), "type complex128"),
        ("text", "got str"),
        (7, "got int"),
        ([np.ones((2, 3)), np.ones((2, 4))], "dim 3, got 4"),
    ],
)
def test_what_is_no_matrix_is_refused(vectors, message):
    with pytest.raises(InputError, match=message):
        fit(vectors, dim=1)


def test_vectors_of_another_dim_are_refused_by_transform():
    with pytest.raises(InputError, match="dim 12, got 4"):
        fit(VECTORS, dim=3).transform(np.ones((2, 4)))
