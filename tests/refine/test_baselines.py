"""Each method against plain matrices of the rows, and what training is to build of it."""

import numpy as np
import pytest
import scipy.linalg

from ace_steps.errors import InputError
from tests.refine.builders import ROWS, D, K, N, item_vectors, prepared, refined_rows, unit

APART = ROWS - ROWS.mean(axis=0)
TABLE = {"kind": "table"}


def mlp(parts, activation):
    shape = {"parts": parts, "hidden": max(1, parts[0] // 2), "width": K}
    return {"kind": "mlp", **shape, "activation": activation}


def fuse(trainable_last):
    shape = {"parts": [K], "width": K, "trainable_last": trainable_last}
    return {"kind": "partly_trainable", **shape, "std": 1.0}


def same_up_to_signs(result, expected, atol=1e-9):
    signs = np.sign((result * expected).sum(axis=0))
    np.testing.assert_allclose(result, expected * signs, atol=atol)


def svd(rows):
    return np.linalg.svd(rows, full_matrices=False)


def zca(rows):
    """U V' by the polar decomposition, a solver of its own."""
    return scipy.linalg.polar(rows)[0]


@pytest.mark.parametrize(
    ("method", "change", "expected"),
    [
        ("random", {}, {"kind": "drawn_table", "std": 0.02}),
        *((method, {}, TABLE) for method in ("llm2x", "svd", "whitening", "ace")),
        ("whitenrec_plus", {}, mlp([D, D], "relu")),
        ("alpharec", {}, mlp([D], "leaky_relu")),
        ("llmemb", {"pca_dim": 5}, mlp([5], "identity")),
        ("llmemb", {"pca_dim": 1}, mlp([1], "identity")),
        ("alphafuse", {}, fuse(3)),
        ("alphafuse", {"trainable_last": 0}, fuse(0)),
        ("alphafuse", {"trainable_last": K}, fuse(K)),
        ("alphafuse", {"trainable_last": None}, fuse(K // 2)),
    ],
)
def test_training_can_tell_what_to_build(method, change, expected):
    refinement = prepared(method, **change)
    assert refinement.item_encoder == expected
    assert sum(expected.get("parts", [K])) == refinement.dim


def test_random_is_a_seeded_normal_table_whatever_the_vectors():
    table = refined_rows("random", rows=unit(item_vectors(4000, 4)))
    assert table.std() == pytest.approx(0.02, rel=0.02)
    assert abs(table.mean()) < 0.001
    np.testing.assert_array_equal(table[:N], refined_rows("random"))
    assert (refined_rows("random", seed=4) != table[:N]).all()


def test_llm2x_is_the_scores_of_a_centered_pca():
    u, s, _ = svd(APART)
    same_up_to_signs(refined_rows("llm2x"), (u * s)[:, :K])


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize(
    ("method", "gain"),
    [
        ("svd", lambda s: s),
        ("whitening", np.ones_like),
        ("ace", lambda s: s / np.sqrt(s**2 + 2.0)),
    ],
)
def test_the_spectral_tables_are_singular_vectors_times_gains(method, gain, center):
    u, s, _ = svd(APART if center else ROWS)
    result = refined_rows(method, center=center)
    expected = u[:, :K] * gain(s[:K])
    assert result.std() == pytest.approx(0.1, rel=1e-10)
    same_up_to_signs(result / np.linalg.norm(result), expected / np.linalg.norm(expected))


def test_the_facts_hold_lambda_in_both_units():
    weakest = svd(ROWS)[1][K - 1] ** 2
    facts = prepared("ace", **{"lambda": 3.0}).facts
    assert facts["lambda"] == 3.0
    assert facts["lambda_rel"] == pytest.approx(3.0 / weakest, rel=1e-9)
    assert prepared("whitening").facts["lambda"] == 0
    assert "lambda" not in prepared("svd").facts


@pytest.mark.parametrize("groups", [1, 3, 12])
def test_whitenrec_plus_is_full_and_group_zca_side_by_side(groups):
    result = refined_rows("whitenrec_plus", groups=groups)
    parts = [zca(part) for part in np.split(APART, groups, axis=1)]
    np.testing.assert_allclose(result[:, :D], zca(APART), atol=1e-9)
    np.testing.assert_allclose(result[:, D:], np.hstack(parts), atol=1e-9)


def test_whitenrec_plus_leaves_out_components_without_content():
    rows = unit(item_vectors(N, D, rank=5))
    result = refined_rows("whitenrec_plus", rows=rows, groups=2)
    assert prepared("whitenrec_plus", rows=rows).facts["rank"] == 5
    for part in (result[:, :D], result[:, D : D + 6], result[:, D + 6 :]):
        values = np.linalg.svd(part, compute_uv=False)
        np.testing.assert_allclose(values, np.arange(len(values)) < 5, atol=1e-6)


def test_alpharec_is_the_unit_vectors_themselves():
    np.testing.assert_array_equal(refined_rows("alpharec"), ROWS)


@pytest.mark.parametrize(("pca_dim", "kept"), [(5, 5), (1536, D)])
def test_llmemb_is_the_scores_of_as_many_components_as_there_are(pca_dim, kept):
    u, s, _ = svd(APART)
    same_up_to_signs(refined_rows("llmemb", pca_dim=pca_dim), (u * s)[:, :kept])
    few = prepared("llmemb", rows=unit(item_vectors(7, D)), pca_dim=pca_dim)
    assert few.dim == few.facts["pca_dim"] == min(kept, 6)  # of 7 items centering takes one


@pytest.mark.parametrize("method", ["whitenrec_plus", "alpharec", "llmemb"])
def test_gamma_sets_the_scale_of_frozen_vectors_and_nothing_else(method):
    unscaled, result = refined_rows(method), refined_rows(method, gamma=0.7)
    assert result.std() == pytest.approx(0.7, rel=1e-6)
    np.testing.assert_allclose(result, unscaled * (0.7 / unscaled.std()), rtol=1e-6, atol=1e-9)


def test_alphafuse_has_unit_variance_in_every_column():
    result = refined_rows("alphafuse")
    same_up_to_signs(result, svd(APART)[0][:, :K] * np.sqrt(N), atol=1e-8)


@pytest.mark.parametrize("method", ["whitenrec_plus", "llmemb"])
def test_equal_vectors_leave_nothing_to_center(method):
    with pytest.raises(InputError, match="all equal"):
        prepared(method, rows=unit(np.ones((5, D))))
