"""Lambda: given as it is, relative, or solved for a geometry that the vectors then have."""

import json
import re
from itertools import combinations

import numpy as np
import pytest

from ace_steps.errors import InputError
from ace_steps.refine.ace import LAMBDA_KEYS, AceSettings, mean_cosines, solve_lambda
from ace_steps.refine.factor import factorize
from ace_steps.settings import parse
from tests.refine.builders import item_vectors, moments_of, unit

ROWS = unit(item_vectors(70, 9))
BASE = {"method": "ace", "dim": 6, "gamma": 0.1}


def solved(center=False, rows=ROWS, **dial):
    text = json.dumps({**BASE, "center": center, **dial})
    factor = factorize(moments_of(rows), center=center).leading(6)
    chunks = [rows[:30], rows[30:]]
    return solve_lambda(parse(AceSettings, text, "--settings"), factor, lambda: iter(chunks))


def ace_rows(lambda_, center=False):
    """The refined rows through an SVD of all rows."""
    u, s, _ = np.linalg.svd(ROWS - center * ROWS.mean(axis=0), full_matrices=False)
    return u[:, :6] * (s / np.sqrt(s**2 + lambda_))[:6]


def pairwise_cosine(rows):
    return np.mean([one @ other for one, other in combinations(unit(rows), 2)])


def test_lambda_is_taken_as_it_is():
    assert solved(**{"lambda": 3.5}) == 3.5
    assert solved(**{"lambda": 0}) == 0


def test_lambda_rel_is_in_units_of_the_weakest_component_kept():
    weakest = np.linalg.svd(ROWS, compute_uv=False)[5] ** 2
    assert solved(lambda_rel=2.0) == pytest.approx(2 * weakest, rel=1e-9)


@pytest.mark.parametrize("share", [0.65, 0.8, 0.95, 0.999])
def test_the_solved_lambda_gives_the_effective_rank_of_the_target(share):
    values = np.linalg.svd(ace_rows(solved(target={"effective_rank": share})), compute_uv=False)
    shares = values / values.sum()
    assert np.exp(-(shares * np.log(shares)).sum()) / 6 == pytest.approx(share, abs=1e-9)


def test_an_effective_rank_of_1_is_whitening():
    assert solved(target={"effective_rank": 1.0}) == 0


@pytest.mark.parametrize("cosine", [0.25, 0.5, 0.9])
def test_the_solved_lambda_gives_the_mean_cosine_of_the_target(cosine):
    result = solved(target={"mean_cosine": cosine})
    assert pairwise_cosine(ace_rows(result)) == pytest.approx(cosine, abs=1e-8)


def test_the_mean_cosine_at_lambda_0_is_solved_by_0():
    lowest = pairwise_cosine(ace_rows(0.0))
    assert solved(target={"mean_cosine": float(lowest) + 1e-12}) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("center", [False, True])
def test_the_mean_cosine_of_a_grid_is_that_of_each_of_its_lambdas(center):
    lambdas = np.array([0.0, 0.3, 40.0])
    factor = factorize(moments_of(ROWS), center=center).leading(6)
    result = mean_cosines(iter([ROWS[:11], ROWS[11:]]), factor, lambdas)
    expected = [pairwise_cosine(ace_rows(lambda_, center)) for lambda_ in lambdas]
    np.testing.assert_allclose(result, expected, atol=1e-10)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"effective_rank": 0.01}, r"effective_rank: expected 0\.\d+ to 1,.* got 0\.01"),
        ({"mean_cosine": -0.9}, r"mean_cosine: expected -?0\.\d+ to 0\.\d+,.* got -0\.9"),
    ],
)
def test_a_target_out_of_reach_is_refused_with_the_reachable_interval(target, message):
    with pytest.raises(InputError, match=rf"target\.{message}"):
        solved(target=target)


def test_the_stated_interval_is_the_one_between_whitened_and_raw():
    with pytest.raises(InputError) as refusal:
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
        ({"target": {}}, "target: .*one of effective_rank and mean_cosine"),
        (
            {"target": {"effective_rank": 0.5, "mean_cosine": 0.1}},
            "target: .*one of effective_rank and mean_cosine",
        ),
        ({"target": {"effective_rank": 0}}, r"target\.effective_rank: .*> 0.*0"),
        ({"target": {"effective_rank": 1.5}}, r"target\.effective_rank: .*<= 1.*1\.5"),
        ({"target": {"mean_cosine": 2}}, r"target\.mean_cosine: .*<= 1.*2"),
        ({"target": {"efective_rank": 0.5}}, r"target\.efective_rank: .*'effective_rank'"),
    ],
)
def test_a_dial_that_is_not_exactly_one_is_refused(dial, message):
    with pytest.raises(InputError, match=f"--settings: .*{message}"):
        solved(**dial)


def test_a_lambda_that_is_no_number_is_refused():
    text = json.dumps({**BASE, "lambda": float("nan")})
    with pytest.raises(InputError, match=r"lambda: .*finite number.*nan"):
        parse(AceSettings, text, "--settings")


@pytest.mark.parametrize("given", [{}, {"lambda": None, "lambda_rel": None, "target": None}])
def test_without_a_dial_lambda_rel_is_a_small_grid(given):
    settings = AceSettings(**given)
    assert settings.lambda_rel == [0, 0.1, 1]
    assert (settings.lambda_, settings.target) == (None, None)


@pytest.mark.parametrize(
    "dial", [{"lambda": 0.0}, {"lambda_rel": 2.0}, {"target": {"mean_cosine": 0.1}}]
)
def test_a_dial_that_is_given_is_the_only_one(dial):
    kept = AceSettings.model_validate({**BASE, **dial}).as_json()
    assert {name for name in LAMBDA_KEYS if kept[name] is not None} == {*dial}


@pytest.mark.parametrize(
    ("dial", "key", "values"),
    [
        ({"lambda": [1, 2]}, "lambda", r"\[1.*2"),
        ({"lambda_rel": [0.5]}, "lambda_rel", r"\[0\.5\]"),
        ({"target": {"mean_cosine": [0.1, 0.2]}}, r"target\.mean_cosine", r"\[0\.1, 0\.2\]"),
        ({}, "lambda_rel", r"\[0\.0, 0\.1, 1\.0\]"),
    ],
)
def test_a_step_refines_for_one_value_and_refuses_a_grid(dial, key, values):
    with pytest.raises(InputError, match=f"--settings: {key}: .*single value.*{values}"):
        solved(**dial)
