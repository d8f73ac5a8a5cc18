"""ACE against its defining equation, and lambda solved for a geometry of the vectors."""

import json
import re
from itertools import combinations

import numpy as np
import pytest
import torch

from ace_steps.errors import InputError
from ace_steps.refine import fit, fit_grid
from ace_steps.refine.ace import LAMBDA_KEYS, AceSettings, mean_cosines, solve_lambda
from ace_steps.refine.factor import factorize
from ace_steps.settings import parse
from tests.refine.builders import item_vectors, moments_of, unit

VECTORS = item_vectors(70, 9)
ROWS = unit(VECTORS)
BASE = {"method": "ace", "dim": 6, "gamma": 0.1}


def solved(**dial):
    factor = factorize(moments_of(ROWS), center=False).leading(6)
    chosen = parse(AceSettings, json.dumps({**BASE, **dial}), "--settings")
    return solve_lambda(chosen, factor, lambda: iter([ROWS[:30], ROWS[30:]]))


def ace_rows(lambda_, center=False):
    """The refined rows through an SVD of all rows."""
    u, s, _ = np.linalg.svd(ROWS - center * ROWS.mean(axis=0), full_matrices=False)
    return u[:, :6] * (s / np.sqrt(s**2 + lambda_))[:6]


def pairwise_cosine(rows):
    return np.mean([one @ other for one, other in combinations(unit(rows), 2)])


def autoencoder(rows, lambda_):
    """(E E' + lambda I)^-1 E E', solved directly over items; at 0 the projection on E's columns."""
    gram = rows @ rows.T
    if lambda_ == 0:
        return rows @ np.linalg.pinv(rows)
    return np.linalg.solve(gram + lambda_ * np.eye(len(rows)), gram)


@pytest.mark.parametrize("lambda_", [0.0, 0.01, 50.0])
@pytest.mark.parametrize("center", [False, True])
def test_the_unscaled_vectors_are_the_gram_factor_of_the_autoencoder(lambda_, center):
    rows = ROWS - (ROWS.mean(axis=0) if center else 0)
    refinement = fit(VECTORS, dim=9, lambda_=lambda_, gamma=0.3, center=center)
    refined = refinement.transform(VECTORS)
    assert refined.std() == pytest.approx(0.3, rel=1e-12)
    unscaled = refined / refinement.scale
    np.testing.assert_allclose(unscaled @ unscaled.T, autoencoder(rows, lambda_), atol=1e-10)
    for values, matrix in ((refinement.spectrum, rows), (refinement.gain, unscaled)):
        np.testing.assert_allclose(values, np.linalg.svd(matrix, compute_uv=False), atol=1e-10)


def test_chunks_tensors_lengths_and_order_of_the_rows_change_no_refined_vector():
    expected = fit(VECTORS, dim=6, lambda_=1.0).transform(VECTORS)
    lengths = np.random.default_rng(0).uniform(0.1, 9, (70, 1))
    same = (torch.from_numpy(VECTORS), iter([VECTORS[:9], VECTORS[9:]]), VECTORS * lengths)
    for vectors in (*same, VECTORS[::-1]):
        refined = fit(vectors, dim=6, lambda_=1.0).transform(VECTORS)
        np.testing.assert_allclose(refined, expected, atol=1e-10)


def test_a_grid_is_the_fits_of_its_lambdas_and_its_vectors_convert():
    lambdas = [0.0, 2.0, 50.0]
    grid = fit_grid(VECTORS, 6, lambdas=lambdas, gamma=0.1, center=False)
    whitened = grid[0].transform(VECTORS)
    for refinement, lambda_ in zip(grid, lambdas, strict=True):
        expected = fit(VECTORS, dim=6, lambda_=lambda_, gamma=0.1).transform(VECTORS)
        np.testing.assert_array_equal(refinement.transform(VECTORS), expected)
        np.testing.assert_allclose(refinement.convert(whitened, grid[0]), expected, rtol=1e-10)
    with pytest.raises(InputError, match="refinements of different vectors do not convert"):
        grid[0].convert(whitened, fit(VECTORS[1:], dim=6))


@pytest.mark.parametrize(
    ("vectors", "change", "message"),
    [
        (VECTORS, {"lambda_": -1.0}, "lambda_: .*>= 0, got -1"),
        (VECTORS, {"lambda_": float("nan")}, "lambda_: .*got nan"),
        (VECTORS, {"lambda_": float("inf")}, "lambda_: .*got inf"),
        (VECTORS, {"gamma": 0.0}, "gamma: .*> 0"),
        (VECTORS, {"gamma": float("inf")}, "gamma: .*got inf"),
        (VECTORS, {"dim": 0}, "dim: .*at least 1"),
        (VECTORS, {"dim": 10}, "dim: .*most 9.*got 10"),
        (VECTORS[:0], {}, "at least one row"),
        (iter([]), {}, "at least one row"),
        (np.ones((5, 3)), {"dim": 1}, "all equal"),
    ],
)
def test_what_cannot_be_fitted_is_refused(vectors, change, message):
    with pytest.raises(InputError, match=message):
        fit(vectors, **{"dim": 6, **change})


def test_lambda_is_taken_as_it_is_or_in_units_of_the_weakest_component_kept():
    assert solved(**{"lambda": 3.5}) == 3.5
    weakest = np.linalg.svd(ROWS, compute_uv=False)[5] ** 2
    assert solved(lambda_rel=2.0) == pytest.approx(2 * weakest, rel=1e-9)


@pytest.mark.parametrize("share", [0.65, 0.8, 0.999])
def test_the_solved_lambda_gives_the_effective_rank_of_the_target(share):
    values = np.linalg.svd(ace_rows(solved(target={"effective_rank": share})), compute_uv=False)
    shares = values / values.sum()
    assert np.exp(-(shares * np.log(shares)).sum()) / 6 == pytest.approx(share, abs=1e-9)


@pytest.mark.parametrize("cosine", [0.25, 0.5, 0.9])
def test_the_solved_lambda_gives_the_mean_cosine_of_the_target(cosine):
    result = solved(target={"mean_cosine": cosine})
    assert pairwise_cosine(ace_rows(result)) == pytest.approx(cosine, abs=1e-8)


def test_the_geometry_of_lambda_0_is_solved_by_0():
    assert solved(target={"effective_rank": 1.0}) == 0
    lowest = pairwise_cosine(ace_rows(0.0))
    assert solved(target={"mean_cosine": float(lowest) + 1e-12}) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("center", [False, True])
def test_the_mean_cosine_of_a_grid_is_that_of_each_of_its_lambdas(center):
    lambdas = np.array([0.0, 0.3, 40.0])
    factor = factorize(moments_of(ROWS), center=center).leading(6)
    result = mean_cosines(iter([ROWS[:11], ROWS[11:]]), factor, lambdas)
    expected = [pairwise_cosine(ace_rows(lambda_, center)) for lambda_ in lambdas]
    np.testing.assert_allclose(result, expected, atol=1e-10)


def test_a_target_out_of_reach_is_refused_with_the_interval_from_whitened_to_raw():
    with pytest.raises(InputError, match=r"target\.effective_rank: .* to 1,.* got 0\.01"):
        solved(target={"effective_rank": 0.01})
    with pytest.raises(InputError, match=r"target\.mean_cosine: .* got 0\.9999") as refusal:
        solved(target={"mean_cosine": 0.9999})
    stated = re.findall(r"-?\d\.\d+", str(refusal.value))[:2]
    expected = [pairwise_cosine(ace_rows(lambda_)) for lambda_ in (0.0, 1e12)]
    np.testing.assert_allclose(list(map(float, stated)), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("dial", "message"),
    [
        ({"lambda": 1, "lambda_rel": 1}, "one of .*target, got lambda and lambda_rel"),
        ({"lambda": 1, "target": {"mean_cosine": 0.1}}, "got lambda and target"),
        ({"lambda": -1}, r"lambda: .*>= 0.*-1"),
        ({"lambda_rel": -0.5}, r"lambda_rel: .*>= 0.*-0\.5"),
        ({"lambda": float("nan")}, "lambda: .*finite number.*nan"),
        ({"lambda": [1, 2]}, r"lambda: .*single value.*\[1.*2"),
        ({}, r"lambda_rel: .*single value.*\[0\.0, 0\.1, 1\.0\]"),
        ({"target": {}}, "target: .*one of effective_rank and mean_cosine"),
        ({"target": {"effective_rank": 0.5, "mean_cosine": 0.1}}, "target: .*one of"),
        ({"target": {"effective_rank": 0}}, r"target\.effective_rank: .*> 0.*0"),
        ({"target": {"effective_rank": 1.5}}, r"target\.effective_rank: .*<= 1.*1\.5"),
        ({"target": {"mean_cosine": 2}}, r"target\.mean_cosine: .*<= 1.*2"),
        ({"target": {"mean_cosine": [0.1, 0.2]}}, r"target\.mean_cosine: .*single value"),
    ],
)
def test_a_dial_that_is_not_exactly_one_value_is_refused(dial, message):
    with pytest.raises(InputError, match=f"--settings: .*{message}"):
        solved(**dial)


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ({}, {"lambda_rel": [0.0, 0.1, 1.0]}),
        ({"lambda": None, "lambda_rel": None, "target": None}, {"lambda_rel": [0.0, 0.1, 1.0]}),
        ({"lambda": 0.0}, {"lambda": 0.0}),
        ({"lambda_rel": 2.0, "target": None}, {"lambda_rel": 2.0}),
    ],
)
def test_a_dial_that_is_given_is_the_only_one_and_without_any_lambda_rel_is_a_grid(values, kept):
    result = AceSettings.model_validate({**BASE, **values}).as_json()
    assert {name: result[name] for name in LAMBDA_KEYS if result[name] is not None} == kept
