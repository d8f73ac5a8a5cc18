"""The contract of all refinements, and the settings that are refused."""

import json

import numpy as np
import pytest

from ace_steps.errors import InputError
from ace_steps.refine.methods import prepare
from ace_steps.registry import REFINEMENTS
from tests.refine.builders import (
    ROWS,
    D,
    N,
    factored,
    item_vectors,
    parsed,
    prepared,
    refined_rows,
    settings_of,
    unit,
)

LINEAR = sorted(set(REFINEMENTS) - {"random"})


@pytest.mark.parametrize("method", REFINEMENTS)
def test_every_method_refines_with_nothing_given_but_its_name(method):
    settings = parsed({"method": method} | ({"lambda_rel": 0.1} if method == "ace" else {}))
    rows = unit(item_vectors(200, 136))
    refinement = prepare(settings, factored(rows))
    result = refinement.apply(rows)
    assert result.shape == (200, refinement.dim)
    assert np.isfinite(result).all()
    assert refinement.item_encoder.get("width", refinement.dim) == 128
    assert json.loads(json.dumps(refinement.facts)) == refinement.facts
    if method not in ("random", "llm2x"):
        assert result.std() == pytest.approx(settings.gamma, rel=1e-6)


@pytest.mark.parametrize("method", REFINEMENTS)
def test_chunks_change_nothing_beyond_rounding(method):
    np.testing.assert_allclose(refined_rows(method, chunk=7), refined_rows(method), atol=1e-12)


@pytest.mark.parametrize("method", LINEAR)
def test_the_order_of_the_items_permutes_the_rows_alone(method):
    order = np.random.default_rng(5).permutation(N)
    other = refined_rows(method, rows=np.ascontiguousarray(ROWS[order]))
    np.testing.assert_allclose(other, refined_rows(method)[order], atol=1e-10)


@pytest.mark.parametrize("method", LINEAR)
def test_moments_gain_and_map_are_those_of_the_rows(method):
    refinement, rows = prepared(method), refined_rows(method)
    np.testing.assert_allclose(refinement.moments.gram, rows.T @ rows, atol=1e-9)
    np.testing.assert_allclose(refinement.moments.total, rows.sum(axis=0), atol=1e-9)
    assert refinement.moments.count == N
    np.testing.assert_array_equal(refinement.map.apply(ROWS), rows)
    n_first = refinement.item_encoder.get("parts", [refinement.dim])[0]
    first = rows[:, :n_first] / refinement.facts["scale"]
    values = np.linalg.svd(first, compute_uv=False)
    np.testing.assert_allclose(refinement.gain, values[: len(refinement.gain)], atol=1e-9)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("[", "not JSON"),
        ({}, "method: missing.*random.*ace"),
        (settings_of("svd") | {"method": "acee"}, "method: .*'acee'.*'ace'"),
        (settings_of("svd", gamma=0), "gamma: .*> 0.*0"),
        (settings_of("svd", dim=0), "dim: .*>= 1.*0"),
        (settings_of("svd", gamma=-1, dim="8", centre=True), "dim: .*gamma: .*centre: .*'center'"),
        (settings_of("alphafuse", trainable_last=9), "trainable_last: .*8.*9"),
        (settings_of("alphafuse", trainable_last=[3, 9]), "trainable_last: .*8.*9"),
        (settings_of("random", std=[0.02, 0.1]), r"std: .*single value.*\[0\.02, 0\.1\]"),
        (settings_of("svd", gamma=[0.1]), r"gamma: .*single value.*\[0\.1\]"),
    ],
)
def test_settings_that_cannot_be_are_refused(values, message):
    with pytest.raises(InputError, match=f"--settings: {message}"):
        parsed(values)


@pytest.mark.parametrize("method", ["llm2x", "svd", "whitening", "ace", "alphafuse"])
def test_a_dim_beyond_the_rank_is_refused(method):
    with pytest.raises(InputError, match=r"dim: .*rank"):
        prepared(method, rows=unit(item_vectors(N, D, rank=6)))


SHAPES = [(method, {"dim": dim}) for method in REFINEMENTS for dim in (D, D + 1)]
SHAPES += [("whitenrec_plus", {"groups": groups}) for groups in (3, 5)]


@pytest.mark.parametrize(("method", "change"), SHAPES)
def test_a_plan_knows_from_the_encoders_dim_what_the_step_refuses(method, change):
    refusal = parsed(settings_of(method, **change)).refusal_of(D)
    if refusal is None:
        assert prepared(method, rows=unit(np.vstack([ROWS, np.eye(D)])), **change).dim
    else:
        ((key, value),) = change.items()
        assert refusal.startswith(f"{key}: ")
        assert str(value) in refusal
        with pytest.raises(InputError):
            prepared(method, **change)


def test_a_plan_refuses_a_grid_of_groups_of_which_one_does_not_divide():
    settings = REFINEMENTS["whitenrec_plus"].settings_class()(groups=[3, 5])
    assert "12, got 5" in settings.refusal_of(D)
