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
from ace_steps.refine.spectral import gains
from tests.refine.made import made_vectors, unit


def autoencoder(rows, lambda_):
    """(E E' + lambda I)^-1 E E', solved directly over items; at 0 the projection on E's columns."""
    gram = rows @ rows.T
    if lambda_ == 0:
        return rows @ np.linalg.pinv(rows)
    return np.linalg.solve(gram + lambda_ * np.eye(len(rows)), gram)


@pytest.mark.parametrize("lambda_", [0.0, 0.01, 1.0, 50.0])
@pytest.mark.parametrize("center", [False, True])
def test_the_unscaled_vectors_are_the_gram_factor_of_the_autoencoder(lambda_, center):
    vectors = made_vectors(40, 6)
    rows = unit(vectors) - (unit(vectors).mean(axis=0) if center else 0)
    refinement = fit(vectors, dim=6, lambda_=lambda_, gamma=0.1, center=center)
    unscaled = refinement.transform(vectors) / refinement.scale
    np.testing.assert_allclose(unscaled @ unscaled.T, autoencoder(rows, lambda_), atol=1e-10)


def test_at_lambda_0_the_columns_are_orthonormal_before_scaling():
    vectors = made_vectors()
    refinement = fit(vectors, dim=8, lambda_=0.0)
    unscaled = refinement.transform(vectors) / refinement.scale
    np.testing.assert_allclose(unscaled.T @ unscaled, np.eye(8), atol=1e-10)


def test_towards_infinite_lambda_the_vectors_are_svd_scores_up_to_scale():
    vectors = made_vectors()
    u, s, _ = np.linalg.svd(unit(vectors), full_matrices=False)
    refined = fit(vectors, dim=5, lambda_=1e12).transform(vectors)
    scores = u[:, :5] * s[:5]
    signs = np.sign((refined * scores).sum(axis=0))
    np.testing.assert_allclose(
        refined / np.linalg.norm(refined), scores * signs / np.linalg.norm(scores), atol=1e-8
    )


@pytest.mark.parametrize("center", [False, True])
def test_the_entries_have_standard_deviation_gamma(center):
    vectors = made_vectors()
    refined = fit(vectors, dim=7, lambda_=2.0, gamma=0.3, center=center).transform(vectors)
    np.testing.assert_allclose(refined.std(), 0.3, rtol=1e-12)


def test_permuting_the_items_permutes_the_rows():
    vectors = made_vectors()
    order = np.random.default_rng(3).permutation(len(vectors))
    one = fit(vectors, dim=6, lambda_=1.0).transform(vectors)
    other = fit(vectors[order], dim=6, lambda_=1.0).transform(vectors[order])
    np.testing.assert_allclose(other, one[order], atol=1e-10)


def test_chunks_tensors_and_arrays_give_the_same_refinement():
    vectors = made_vectors()
    wanted = fit(vectors, dim=6, lambda_=1.0).transform(vectors)
    for given_ in (torch.from_numpy(vectors), (vectors[i : i + 7] for i in range(0, 60, 7))):
        refinement = fit(given_, dim=6, lambda_=1.0)
        np.testing.assert_allclose(refinement.transform(vectors), wanted, atol=1e-10)


def test_the_length_of_a_row_does_not_matter():
    vectors = made_vectors()
    lengths = np.random.default_rng(0).uniform(0.1, 9, (60, 1))
    one, other = fit(vectors, dim=6), fit(vectors * lengths, dim=6)
    np.testing.assert_allclose(
        one.transform(vectors), other.transform(vectors * lengths), atol=1e-10
    )


def test_what_goes_in_decides_what_comes_out():
    vectors = made_vectors().astype(np.float32)
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
    vectors, refinement = made_vectors(), fit(made_vectors(), dim=6)
    whole = refinement.transform(vectors)
    np.testing.assert_allclose(refinement.transform(vectors[9:10])[0], whole[9], atol=1e-12)


def test_spectrum_and_gain_are_those_of_the_vectors_and_the_refined_vectors():
    vectors = made_vectors()
    refinement = fit(vectors, dim=6, lambda_=2.0)
    unscaled = refinement.transform(vectors) / refinement.scale
    for values, matrix in ((refinement.spectrum, unit(vectors)), (refinement.gain, unscaled)):
        wanted = np.linalg.svd(matrix, compute_uv=False)[:6]
        np.testing.assert_allclose(values, wanted, atol=1e-10)


def test_a_grid_is_the_fits_of_its_lambdas_and_its_vectors_convert():
    vectors, lambdas = made_vectors(), [0.0, 2.0, 50.0]
    grid = fit_grid(vectors, 6, lambdas=lambdas, gamma=0.1, center=False)
    whitened = grid[0].transform(vectors)
    for refinement, lambda_ in zip(grid, lambdas, strict=True):
        wanted = fit(vectors, dim=6, lambda_=lambda_, gamma=0.1).transform(vectors)
        np.testing.assert_array_equal(refinement.transform(vectors), wanted)
        np.testing.assert_allclose(refinement.convert(whitened, grid[0]), wanted, rtol=1e-10)


def test_refinements_of_different_vectors_do_not_convert():
    one, other = (fit(made_vectors(seed=seed), dim=6) for seed in (0, 1))
    with pytest.raises(InputError, match="refinements of different vectors do not convert"):
        one.convert(np.ones((1, 6)), other)


def test_a_saved_refinement_is_the_same_when_loaded(tmp_path):
    vectors, path = made_vectors(), tmp_path / "ace.safetensors"
    refinement = fit(vectors, dim=6, lambda_=3.0, center=True)
    refinement.save(path)
    loaded = Refinement.load(path)
    np.testing.assert_array_equal(loaded.transform(vectors), refinement.transform(vectors))
    assert loaded.facts == refinement.facts
    assert loaded.facts["lambda"] == 3.0


def test_a_note_of_ones_own_is_kept_with_the_map(tmp_path):
    refinement = fit(made_vectors(), dim=4)
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
        ({"lambda_": -1.0}, "lambda_ must be >= 0 and finite, got -1"),
        ({"lambda_": float("nan")}, "lambda_ must be >= 0 and finite, got nan"),
        ({"lambda_": float("inf")}, "lambda_ must be >= 0 and finite, got inf"),
        ({"gamma": 0.0}, "gamma must be > 0"),
        ({"gamma": float("nan")}, "gamma must be > 0"),
        ({"dim": 0}, "dim must be at least 1"),
        ({"dim": 13}, "dim 13 is asked for, but the item vectors have only 12 entries"),
    ],
)
def test_a_setting_out_of_range_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        fit(made_vectors(), **{"dim": 6, **change})


@pytest.mark.parametrize("given_", [np.empty((0, 4)), iter([])])
def test_no_rows_are_refused(given_):
    with pytest.raises(InputError, match="the input has no rows"):
        fit(given_, dim=2)


def test_equal_vectors_have_no_deviation_to_scale():
    with pytest.raises(InputError, match="the refined vectors are all equal"):
        fit(np.ones((5, 3)), dim=1)


def test_vectors_of_another_width_are_refused_by_transform():
    with pytest.raises(InputError, match="width 4 was given, but this refinement takes 12"):
        fit(made_vectors(), dim=3).transform(np.ones((2, 4)))


def test_a_negative_lambda_has_no_gain():
    with pytest.raises(ValueError, match="lambda must be >= 0"):
        gains(np.ones(3), -1.0)


def test_a_grid_of_lambdas_gives_one_row_of_gains_each():
    spectrum = np.array([2.0, 1.0])
    found = gains(spectrum, np.array([0.0, 3.0]))
    np.testing.assert_allclose(found, [[1.0, 1.0], [2 / np.sqrt(7), 0.5]], rtol=1e-15)


def test_the_library_loads_neither_torch_nor_transformers():
    code = (
        "import sys, ace_steps.refine; "
        "sys.exit(bool({'torch', 'transformers', 'polars', 'snakemake'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
