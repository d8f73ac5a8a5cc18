"""Every refinement against plain matrices of the rows, and one contract for all of them."""

import json

import numpy as np
import pytest
import scipy.linalg

from ace_steps.errors import InputError
from ace_steps.refine.factor import factorize
from ace_steps.refine.methods import FactoredVectors, parse_settings, prepare
from ace_steps.registry import REFINEMENTS
from tests.refine.builders import SETTINGS, item_vectors, moments_of, unit

N, D, K = 90, 12, 8  # K is the dim in SETTINGS
ROWS = unit(item_vectors(N, D))
APART = ROWS - ROWS.mean(axis=0)
TABLES = {"random", "llm2x", "svd", "whitening", "ace"}


def prepared(method, rows=ROWS, **change):
    text = json.dumps({"method": method, **SETTINGS[method], **change})
    return prepare(parse_settings(text, "--settings"), factored(rows))


def factored(rows):
    moments = moments_of(rows)
    raw, centered = (factorize(moments, center=center) for center in (False, True))
    return FactoredVectors(raw, centered, lambda: iter([rows]))


def refined_rows(method, rows=ROWS, chunk=N, **change):
    refine = prepared(method, rows, **change).start()
    return np.concatenate([refine(rows[i : i + chunk]) for i in range(0, len(rows), chunk)])


def same_up_to_signs(result, expected, atol=1e-9):
    signs = np.sign((result * expected).sum(axis=0))
    np.testing.assert_allclose(result, expected * signs, atol=atol)


def svd(rows):
    u, s, vt = np.linalg.svd(rows, full_matrices=False)
    return u, s, vt


def zca(rows):
    """U V' by the polar decomposition, a solver of its own."""
    return scipy.linalg.polar(rows)[0]


@pytest.mark.parametrize("method", REFINEMENTS)
def test_every_method_refines_with_nothing_given_but_its_name(method):
    values = {"method": method}
    if method == "ace":
        values["lambda_rel"] = 0.1  # alone it is a grid
    settings = parse_settings(json.dumps(values), "--settings")
    rows = unit(item_vectors(200, 136))
    refinement = prepare(settings, factored(rows))
    result = refinement.start()(rows)
    assert result.shape == (200, refinement.dim)
    assert np.isfinite(result).all()
    assert refinement.item_encoder.get("width", refinement.dim) == 128
    if method not in ("random", "llm2x"):
        assert result.std() == pytest.approx(settings.gamma, rel=1e-6)


def test_defaults_that_are_not_a_number_of_their_own_are_resolved():
    assert parse_settings('{"method": "alphafuse", "dim": 9}', "--settings").n_trainable() == 4
    fuse = prepared("alphafuse", trainable_last=None)
    assert fuse.item_encoder["trainable_last"] == K // 2


@pytest.mark.parametrize("method", REFINEMENTS)
def test_chunks_change_nothing_beyond_rounding(method):
    whole = refined_rows(method)
    np.testing.assert_allclose(refined_rows(method, chunk=7), whole, atol=1e-12)
    assert whole.shape == (N, prepared(method).dim)


@pytest.mark.parametrize("method", sorted(set(REFINEMENTS) - {"random"}))
def test_the_order_of_the_items_permutes_the_rows_alone(method):
    order = np.random.default_rng(5).permutation(N)
    other = refined_rows(method, rows=np.ascontiguousarray(ROWS[order]))
    np.testing.assert_allclose(other, refined_rows(method)[order], atol=1e-10)


@pytest.mark.parametrize("method", sorted(set(REFINEMENTS) - {"random"}))
def test_moments_gain_and_map_are_those_of_the_rows(method):
    refinement, rows = prepared(method), refined_rows(method)
    np.testing.assert_allclose(refinement.moments.gram, rows.T @ rows, atol=1e-9)
    np.testing.assert_allclose(refinement.moments.total, rows.sum(axis=0), atol=1e-9)
    np.testing.assert_allclose(refinement.map.apply(ROWS), rows, atol=0)
    n_first = refinement.item_encoder.get("parts", [refinement.dim])[0]
    first = rows[:, :n_first] / refinement.facts["scale"]
    values = np.linalg.svd(first, compute_uv=False)
    np.testing.assert_allclose(refinement.gain, values[: len(refinement.gain)], atol=1e-9)


@pytest.mark.parametrize("method", REFINEMENTS)
def test_training_can_tell_what_to_build(method):
    refinement = prepared(method)
    encoder = refinement.item_encoder
    assert json.loads(json.dumps(refinement.facts)) == refinement.facts
    if method in TABLES:
        drawn = {"kind": "drawn_table", "std": 0.02}
        assert encoder == (drawn if method == "random" else {"kind": "table"})
        assert refinement.dim == K
        return
    assert sum(encoder["parts"]) == refinement.dim
    assert encoder["width"] == K


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


def test_ace_meets_whitening_and_svd_at_the_ends_of_lambda():
    whitened = refined_rows("ace", **{"lambda": 0})
    np.testing.assert_allclose(whitened, refined_rows("whitening"), atol=1e-12)
    np.testing.assert_allclose(
        refined_rows("ace", **{"lambda": 1e13}), refined_rows("svd"), atol=1e-9
    )


def test_the_facts_of_ace_hold_the_solved_lambda():
    weakest = svd(ROWS)[1][K - 1] ** 2
    facts = prepared("ace", **{"lambda": 3.0}).facts
    assert facts["lambda"] == 3.0
    assert facts["lambda_rel"] == pytest.approx(3.0 / weakest, rel=1e-9)


@pytest.mark.parametrize("groups", [1, 2, 3, 12])
def test_whitenrec_plus_is_full_and_group_zca_side_by_side(groups):
    result = refined_rows("whitenrec_plus", groups=groups)
    parts = [zca(part) for part in np.split(APART, groups, axis=1)]
    np.testing.assert_allclose(result[:, :D], zca(APART), atol=1e-9)
    np.testing.assert_allclose(result[:, D:], np.hstack(parts), atol=1e-9)
    assert prepared("whitenrec_plus").item_encoder == {
        "kind": "mlp",
        "parts": [D, D],
        "hidden": D // 2,
        "width": K,
        "activation": "relu",
    }


def test_whitenrec_plus_leaves_out_components_without_content():
    rows = unit(item_vectors(N, D, rank=5))
    result = refined_rows("whitenrec_plus", rows=rows, groups=2)
    values = np.linalg.svd(result[:, :D], compute_uv=False)
    np.testing.assert_allclose(values[:5], 1, atol=1e-8)
    np.testing.assert_allclose(values[5:], 0, atol=1e-8)


def test_whitenrec_plus_refuses_groups_that_do_not_divide_the_dim():
    with pytest.raises(InputError, match=r"groups: .*12, got 5"):
        prepared("whitenrec_plus", groups=5)


def test_alpharec_is_the_unit_vectors_themselves():
    np.testing.assert_array_equal(refined_rows("alpharec"), ROWS)
    assert prepared("alpharec").item_encoder == {
        "kind": "mlp",
        "parts": [D],
        "hidden": D // 2,
        "width": K,
        "activation": "leaky_relu",
    }


@pytest.mark.parametrize(("pca_dim", "kept"), [(5, 5), (1536, D)])
def test_llmemb_is_the_scores_of_as_many_components_as_there_are(pca_dim, kept):
    u, s, _ = svd(APART)
    same_up_to_signs(refined_rows("llmemb", pca_dim=pca_dim), (u * s)[:, :kept])
    encoder = prepared("llmemb", pca_dim=pca_dim).item_encoder
    assert (encoder["parts"], encoder["hidden"]) == ([kept], kept // 2)
    assert encoder["activation"] == "identity"


def test_llmemb_takes_fewer_items_than_entries():
    assert prepared("llmemb", rows=unit(item_vectors(7, D))).dim == 6  # centering takes one


@pytest.mark.parametrize("method", ["whitenrec_plus", "alpharec", "llmemb"])
def test_gamma_sets_the_scale_of_frozen_vectors_and_nothing_else(method):
    unscaled, result = refined_rows(method), refined_rows(method, gamma=0.7)
    assert result.std() == pytest.approx(0.7, rel=1e-6)
    np.testing.assert_allclose(result, unscaled * (0.7 / unscaled.std()), rtol=1e-6, atol=1e-9)


def test_alphafuse_has_unit_variance_in_every_column():
    result = refined_rows("alphafuse")
    np.testing.assert_allclose(result.T @ result / N, np.eye(K), atol=1e-9)
    same_up_to_signs(result, svd(APART)[0][:, :K] * np.sqrt(N), atol=1e-8)
    assert prepared("alphafuse", trainable_last=0).item_encoder == {
        "kind": "partly_trainable",
        "parts": [K],
        "width": K,
        "trainable_last": 0,
        "std": 1.0,
    }


@pytest.mark.parametrize(
    ("method", "change", "message"),
    [
        ("acee", {}, "method: .*'acee'.*'ace'"),
        ("alphafuse", {"trainable_last": 9}, "trainable_last: .*8.*9"),
        ("svd", {"gamma": 0}, "gamma: .*> 0.*0"),
        ("svd", {"gamma": [0.1, 0]}, "gamma.*1.*> 0.*0"),
        ("svd", {"gamma": [0.1, 0.1]}, "gamma: .*once.*0.1"),
        ("svd", {"dim": 0}, "dim: .*>= 1.*0"),
        ("svd", {"dim": 8.5}, "dim: .*integer.*8.5"),
        ("svd", {"centre": True}, "centre: unknown key.*'center'"),
        ("llm2x", {"lambda": 3}, "lambda: unknown key.*dim"),
    ],
)
def test_settings_that_cannot_be_are_refused(method, change, message):
    base = SETTINGS.get(method, {})
    with pytest.raises(InputError, match=f"--settings: {message}"):
        parse_settings(json.dumps({"method": method, **base, **change}), "--settings")


@pytest.mark.parametrize(
    ("method", "key", "values"),
    [
        ("random", "std", [0.02, 0.1]),
        ("svd", "gamma", [0.1]),
        ("ace", "lambda", [0, 5]),
        ("whitenrec_plus", "groups", [2, 3]),
        ("llmemb", "pca_dim", [4, 8]),
        ("alphafuse", "trainable_last", [0, 3]),
    ],
)
def test_a_list_where_a_step_expects_one_value_is_refused(method, key, values):
    text = json.dumps({"method": method, key: values})
    with pytest.raises(InputError, match=f"--settings: {key}: .*single value.*list") as refusal:
        parse_settings(text, "--settings")
    assert str(values[0]) in str(refusal.value)


def test_all_mistakes_of_the_settings_are_in_one_line():
    text = json.dumps({"method": "svd", "gamma": -1, "dim": "8", "centre": True})
    with pytest.raises(InputError) as refusal:
        parse_settings(text, "--settings")
    line = str(refusal.value)
    assert "\n" not in line
    assert all(f"{key}: " in line for key in ("gamma", "dim", "centre"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "method: missing.*random.*ace"),
        ("[]", "method: missing"),
        ("[", "not JSON"),
    ],
)
def test_settings_without_a_method_are_refused(text, message):
    with pytest.raises(InputError, match=f"--settings: {message}"):
        parse_settings(text, "--settings")


@pytest.mark.parametrize("method", ["llm2x", "svd", "whitening", "ace", "alphafuse"])
def test_a_dim_beyond_the_rank_is_refused(method):
    rows = unit(item_vectors(N, D, rank=6))
    with pytest.raises(InputError, match=r"dim: .*rank"):
        prepared(method, rows=rows)


SHAPES = [(method, {"dim": dim}) for method in REFINEMENTS for dim in (D, D + 1)]
SHAPES += [("whitenrec_plus", {"groups": groups}) for groups in (3, 5)]


@pytest.mark.parametrize(("method", "change"), SHAPES)
def test_a_plan_knows_from_the_encoders_dim_what_the_step_refuses(method, change):
    values = {"method": method, **SETTINGS[method], **change}
    refusal = parse_settings(json.dumps(values), "--settings").refusal_of(D)
    if refusal is None:
        assert prepared(method, rows=unit(np.vstack([ROWS, np.eye(D)])), **change).dim
    else:
        key = next(iter(change))
        assert refusal.startswith(f"{key}: ")
        assert str(change[key]) in refusal
        with pytest.raises(InputError):
            prepared(method, **change)


@pytest.mark.parametrize("method", ["whitenrec_plus", "llmemb"])
def test_equal_vectors_leave_nothing_to_centre(method):
    with pytest.raises(InputError, match="all equal"):
        prepared(method, rows=unit(np.ones((5, D))))
