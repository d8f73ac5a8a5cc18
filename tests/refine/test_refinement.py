"""``fit``, ``transform``, ``save``, ``load`` on anyone's vectors, against the defining equation."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ace_steps.errors import InputError
from ace_steps.io.provenance import Provenance
from ace_steps.refine import Refinement, fit, fit_grid
from ace_steps.refine.geometry import effective_rank
from ace_steps.refine.refinement import as_chunks, as_matrix, chunk_rows, unit_rows
from ace_steps.refine.spectral import gains
from tests.refine.builders import item_vectors, unit


def autoencoder(rows, lambda_):
    """(E E' + lambda I)^-1 E E', solved directly over items; at 0 the projection on E's columns."""
    gram = rows @ rows.T
    if lambda_ == 0:
        return rows @ np.linalg.pinv(rows)
    return np.linalg.solve(gram + lambda_ * np.eye(len(rows)), gram)


@pytest.mark.parametrize("lambda_", [0.0, 0.01, 1.0, 50.0])
@pytest.mark.parametrize("center", [False, True])
def test_the_unscaled_vectors_are_the_gram_factor_of_the_autoencoder(lambda_, center):
    vectors = item_vectors(40, 6)
    rows = unit(vectors) - (unit(vectors).mean(axis=0) if center else 0)
    refinement = fit(vectors, dim=6, lambda_=lambda_, gamma=0.1, center=center)
    unscaled = refinement.transform(vectors) / refinement.scale
    np.testing.assert_allclose(unscaled @ unscaled.T, autoencoder(rows, lambda_), atol=1e-10)


def test_at_lambda_0_the_columns_are_orthonormal_before_scaling():
    vectors = item_vectors()
    refinement = fit(vectors, dim=8, lambda_=0.0)
    unscaled = refinement.transform(vectors) / refinement.scale
    np.testing.assert_allclose(unscaled.T @ unscaled, np.eye(8), atol=1e-10)


def test_towards_infinite_lambda_the_vectors_are_svd_scores_up_to_scale():
    vectors = item_vectors()
    u, s, _ = np.linalg.svd(unit(vectors), full_matrices=False)
    refined = fit(vectors, dim=5, lambda_=1e12).transform(vectors)
    scores = u[:, :5] * s[:5]
    signs = np.sign((refined * scores).sum(axis=0))
    np.testing.assert_allclose(
        refined / np.linalg.norm(refined), scores * signs / np.linalg.norm(scores), atol=1e-8
    )


@pytest.mark.parametrize("center", [False, True])
def test_the_entries_have_standard_deviation_gamma(center):
    vectors = item_vectors()
    refined = fit(vectors, dim=7, lambda_=2.0, gamma=0.3, center=center).transform(vectors)
    np.testing.assert_allclose(refined.std(), 0.3, rtol=1e-12)


def test_permuting_the_items_permutes_the_rows():
    vectors = item_vectors()
    order = np.random.default_rng(3).permutation(len(vectors))
    one = fit(vectors, dim=6, lambda_=1.0).transform(vectors)
    other = fit(vectors[order], dim=6, lambda_=1.0).transform(vectors[order])
    np.testing.assert_allclose(other, one[order], atol=1e-10)


def test_chunks_tensors_and_arrays_give_the_same_refinement():
    vectors = item_vectors()
    expected = fit(vectors, dim=6, lambda_=1.0).transform(vectors)
    for given_ in (torch.from_numpy(vectors), (vectors[i : i + 7] for i in range(0, 60, 7))):
        refinement = fit(given_, dim=6, lambda_=1.0)
        np.testing.assert_allclose(refinement.transform(vectors), expected, atol=1e-10)


def test_the_length_of_a_row_does_not_matter():
    vectors = item_vectors()
    lengths = np.random.default_rng(0).uniform(0.1, 9, (60, 1))
    one, other = fit(vectors, dim=6), fit(vectors * lengths, dim=6)
    np.testing.assert_allclose(
        one.transform(vectors), other.transform(vectors * lengths), atol=1e-10
    )


def test_what_goes_in_decides_what_comes_out():
    vectors = item_vectors().astype(np.float32)
    refinement = fit(vectors, dim=6)
    array = refinement.transform(vectors)
    tensor = refinement.transform(torch.from_numpy(vectors))
    chunks = refinement.transform(vectors[i : i + 20] for i in (0, 20, 40))
    assert (array.dtype, refinement.transform(vectors.astype(float)).dtype) == (
        np.float32,
        np.float64,
    )
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_array_equal(tensor.numpy(), array)
    np.testing.assert_array_equal(np.concatenate(list(chunks)), array)
    assert refinement.transform(vectors[:0]).shape == (0, 6)


def test_a_new_item_is_refined_alone_as_it_would_be_among_others():
    vectors, refinement = item_vectors(), fit(item_vectors(), dim=6)
    whole = refinement.transform(vectors)
    np.testing.assert_allclose(refinement.transform(vectors[9:10])[0], whole[9], atol=1e-12)


def test_spectrum_and_gain_are_those_of_the_vectors_and_the_refined_vectors():
    vectors = item_vectors()
    refinement = fit(vectors, dim=6, lambda_=2.0)
    unscaled = refinement.transform(vectors) / refinement.scale
    for values, matrix in ((refinement.spectrum, unit(vectors)), (refinement.gain, unscaled)):
        expected = np.linalg.svd(matrix, compute_uv=False)[:6]
        np.testing.assert_allclose(values, expected, atol=1e-10)


def test_a_grid_is_the_fits_of_its_lambdas_and_its_vectors_convert():
    vectors, lambdas = item_vectors(), [0.0, 2.0, 50.0]
    grid = fit_grid(vectors, 6, lambdas=lambdas, gamma=0.1, center=False)
    whitened = grid[0].transform(vectors)
    for refinement, lambda_ in zip(grid, lambdas, strict=True):
        expected = fit(vectors, dim=6, lambda_=lambda_, gamma=0.1).transform(vectors)
        np.testing.assert_array_equal(refinement.transform(vectors), expected)
        np.testing.assert_allclose(refinement.convert(whitened, grid[0]), expected, rtol=1e-10)


def test_refinements_of_different_vectors_do_not_convert():
    one, other = (fit(item_vectors(seed=seed), dim=6) for seed in (0, 1))
    with pytest.raises(InputError, match="refinements of different vectors do not convert"):
        one.convert(np.ones((1, 6)), other)


def test_a_saved_refinement_is_the_same_when_loaded(tmp_path):
    vectors, path = item_vectors(), tmp_path / "ace.safetensors"
    refinement = fit(vectors, dim=6, lambda_=3.0, center=True)
    refinement.save(path)
    loaded = Refinement.load(path)
    np.testing.assert_array_equal(loaded.transform(vectors), refinement.transform(vectors))
    assert loaded.facts == refinement.facts
    assert loaded.facts["lambda"] == 3.0


def test_a_note_of_ones_own_is_kept_with_the_map(tmp_path):
    refinement = fit(item_vectors(), dim=4)
    refinement.save(tmp_path / "own.safetensors", Provenance("mine", facts={"method": "ace"}))
    assert Refinement.load(tmp_path / "own.safetensors").facts == {"method": "ace"}


@settings(max_examples=60)
@given(
    st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=20),
    st.floats(1e-6, 1e6),
    st.floats(1.0, 1e3),
)
def test_a_larger_lambda_never_raises_the_effective_rank(values, lambda_, factor):
    spectrum = np.sort(values)[::-1]
    smaller, larger = gains(spectrum, np.array([lambda_, lambda_ * factor]))
    assert effective_rank(larger) <= effective_rank(smaller) + 1e-9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lambda_": -1.0}, "lambda_: .*>= 0, got -1"),
        ({"lambda_": float("nan")}, "lambda_: .*got nan"),
        ({"lambda_": float("inf")}, "lambda_: .*got inf"),
        ({"gamma": 0.0}, "gamma: .*> 0"),
        ({"gamma": float("nan")}, "gamma: .*> 0"),
        ({"dim": 0}, "dim: .*at least 1"),
        ({"dim": 13}, "dim: .*most 12, got 13"),
    ],
)
def test_a_setting_out_of_range_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        fit(item_vectors(), **{"dim": 6, **change})


@pytest.mark.parametrize("given_", [np.empty((0, 4)), iter([])])
def test_no_rows_are_refused(given_):
    with pytest.raises(InputError, match="no rows"):
        fit(given_, dim=2)


def test_equal_vectors_have_no_standard_deviation_to_scale():
    with pytest.raises(InputError, match="all equal"):
        fit(np.ones((5, 3)), dim=1)


def test_vectors_of_another_dim_are_refused_by_transform():
    with pytest.raises(InputError, match="dim 12, got 4"):
        fit(item_vectors(), dim=3).transform(np.ones((2, 4)))


def test_a_negative_lambda_has_no_gain():
    with pytest.raises(ValueError, match="lambda >= 0"):
        gains(np.ones(3), -1.0)


def test_a_grid_of_lambdas_gives_one_row_of_gains_each():
    spectrum = np.array([2.0, 1.0])
    result = gains(spectrum, np.array([0.0, 3.0]))
    np.testing.assert_allclose(result, [[1.0, 1.0], [2 / np.sqrt(7), 0.5]], rtol=1e-15)


def test_the_library_loads_neither_torch_nor_transformers():
    code = (
        "import sys, ace_steps.refine; "
        "sys.exit(bool({'torch', 'transformers', 'polars', 'snakemake'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


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
    with pytest.raises(InputError, match="vectors: row 1 has an all-zero"):
        unit_rows(np.array([[1.0], [0.0]]))


def test_a_chunk_is_about_32_mb_and_never_less_than_64_rows():
    assert chunk_rows(1024) * 1024 * 8 == 32 * 2**20
    assert chunk_rows(10**6) == 64


def test_arrays_tensors_and_iterables_give_the_same_rows():
    matrix = np.random.default_rng(0).standard_normal((10, 3)).astype(np.float32)
    chunks = [matrix[:4], torch.from_numpy(matrix[4:])]
    for vectors in (matrix, torch.from_numpy(matrix), chunks):
        np.testing.assert_array_equal(np.concatenate(list(as_chunks(vectors))), matrix)


def test_a_bfloat16_tensor_is_taken_although_numpy_has_no_such_type():
    given = torch.tensor([[1.0, 0.5]], dtype=torch.bfloat16, requires_grad=True)
    np.testing.assert_array_equal(as_matrix(given), [[1.0, 0.5]])


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
        list(as_chunks(vectors))
