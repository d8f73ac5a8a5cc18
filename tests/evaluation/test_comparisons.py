"""Which refinements are compared, and their statistics: scipy, McNemar, Holm's rule by hand."""

import numpy as np
import polars as pl
import pytest
import scipy.stats

from ace_steps.evaluation.comparisons import (
    CHUNK,
    Pair,
    bootstrap_intervals,
    compare,
    corrected,
    holm,
    pairs,
    seeds_p,
    sign_flip_p,
)
from ace_steps.evaluation.metrics import SLICES

METHODS = {"plain": "random", "white": "whitening", "llm": "llm2x", "ace": "ace"}
STATISTICS = {
    "metrics": ["recall@20", "ndcg@20"],
    "confidence": 0.95,
    "resamples": 200,
    "seed": 0,
    "alpha": 0.05,
}


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        (
            {"plain": 0.1, "white": 0.3, "llm": 0.2, "ace": 0.25},
            [
                Pair("white", "plain", "baseline"),
                Pair("llm", "plain", "baseline"),
                Pair("ace", "plain", "baseline"),
                Pair("ace", "white", "best_baseline"),
            ],
        ),
        (
            {"plain": 0.4, "white": 0.3, "ace": 0.25},
            [Pair("white", "plain", "baseline"), Pair("ace", "plain", "both")],
        ),
        ({"white": 0.3, "ace": 0.2}, [Pair("ace", "white", "best_baseline")]),
        ({"ace": 0.2}, []),
    ],
)
def test_all_are_compared_with_random_and_ace_with_its_best_baseline_by_validation(
    scores, expected
):
    assert pairs(METHODS, scores) == expected


def groups(n_users, odd=None):
    inside = dict.fromkeys(SLICES, np.ones(n_users, bool))
    return pl.DataFrame({f"in_{part}": inside[part] for part in SLICES}).with_columns(
        in_head_items=np.arange(n_users) % 2 == 1 if odd is None else odd
    )


def test_the_numbers_of_one_pair_are_those_of_hand_arithmetic():
    ranks = {
        "a": {1: np.array([1.0, 30, 3, 40]), 2: np.array([1.0, 2, 30, 40])},
        "b": {1: np.array([30.0, 30, 3, 40]), 2: np.array([1.0, 30, 30, 40]), 3: np.ones(4)},
    }
    table = compare(ranks, groups(4), [Pair("a", "b", "baseline")], STATISTICS)
    row = table.filter(slice="all", metric="recall").row(0, named=True)
    assert (row["n_users"], row["n_seeds"]) == (4, 2)  # seed 3 has no partner
    assert row["mean_a"] == pytest.approx(4 / 8)
    assert row["mean_b"] == pytest.approx(2 / 8)
    assert row["difference"] == pytest.approx(2 / 8)
    assert row["relative"] == pytest.approx(1.0)
    assert row["p"] == pytest.approx(2 / 4)  # two users differ, both by 1/2: signs ++ and --
    assert row["seed_deviation"] == pytest.approx(0.0)  # +1/4 on both seeds
    odd = table.filter(slice="head_items", metric="recall").row(0, named=True)  # users 1 and 3
    assert (odd["n_users"], odd["mean_a"], odd["mean_b"]) == (2, 0.25, 0.0)
    assert odd["seed_deviation"] == pytest.approx(0.5 / np.sqrt(2))  # 0 and +1/2
    assert np.isnan(odd["relative"])


def test_a_slice_without_users_and_a_pair_without_a_common_seed_have_no_row():
    ranks = {"a": {1: np.ones(3)}, "b": {1: np.ones(3)}, "c": {2: np.ones(3)}}
    slices, a_b, a_c = groups(3, np.zeros(3, bool)), Pair("a", "b", "both"), Pair("a", "c", "both")
    table = compare(ranks, slices, [a_b, a_c], STATISTICS)
    assert set(table["slice"]) == set(SLICES) - {"head_items"}
    assert set(table["refinement_b"]) == {"b"}
    assert set(compare(ranks, slices, [a_c], STATISTICS).columns) == set(table.columns)


def drawn_grid(seed, n_users=1500, n_seeds=2):
    """Comparisons of ranks of eight equally good refinements on two backbones."""
    rng = np.random.default_rng(seed)
    methods = {f"m{i}": "svd" for i in range(6)} | {"plain": "random", "ace": "ace"}
    slices = pl.DataFrame({f"in_{part}": rng.random(n_users) < 0.5 for part in SLICES})
    tables = []
    for backbone in ("one", "two"):
        hard = rng.random(n_users)  # what makes a user hard, the same for every refinement
        ranks = {
            name: {s: np.ceil(100 ** (hard + rng.random(n_users))) for s in range(n_seeds)}
            for name in methods
        }
        compared = pairs(methods, dict.fromkeys(methods, 0.1))
        table = compare(ranks, slices, compared, STATISTICS)
        setup = {"dataset": "d", "encoder": "e", "backbone_entry": backbone}
        tables.append(table.with_columns(pl.lit(v).alias(k) for k, v in setup.items()))
    return corrected(tables)


@pytest.mark.slow
def test_identical_methods_give_no_significant_difference_in_95_of_100_repeats():
    clean = sum(bool((drawn_grid(seed)["p_holm"] >= 0.05).all()) for seed in range(100))
    assert clean >= 95


def test_few_differences_have_the_exact_p_of_all_signs():
    # Of 2^5 sign patterns, those with a sum of +-5 are 2.
    assert sign_flip_p(np.array([1.0, 1, 1, 1, 1, 0, 0])) == pytest.approx(2 / 32)
    # Sums of (3, 2, 1) with signs: 6 4 2 0 0 -2 -4 -6; |sum| >= 4 in four of eight.
    assert sign_flip_p(np.array([3.0, 2, -1])) == pytest.approx(4 / 8)


def test_many_differences_have_the_p_of_scipys_permutation_test():
    rng = np.random.default_rng(0)
    differences = rng.normal(0.1, 1, 400) * (rng.random(400) < 0.5)
    expected = scipy.stats.permutation_test(
        (differences,), np.sum, permutation_type="samples", n_resamples=20_000, rng=rng
    ).pvalue
    error = 4 * np.sqrt(expected * (1 - expected) / 20_000)  # four standard errors of the oracle
    assert sign_flip_p(differences) == pytest.approx(expected, abs=error)


def test_on_hits_and_misses_it_is_mcnemars_test():
    # 60 users that only a finds, 30 that only b finds: chi^2 = (60 - 30)^2 / 90 = 10.
    differences = np.concatenate([np.ones(60), -np.ones(30), np.zeros(500)])
    assert sign_flip_p(differences) == pytest.approx(scipy.stats.chi2.sf(10, df=1))


def test_no_difference_at_all_is_a_p_of_one():
    assert sign_flip_p(np.zeros(9)) == 1.0
    assert sign_flip_p(np.tile([1.0, -1.0], 50)) == pytest.approx(1.0)


def test_the_p_over_seeds_is_that_of_scipys_paired_t_test():
    a, b = np.array([0.30, 0.33, 0.31]), np.array([0.28, 0.30, 0.30])
    assert seeds_p(a - b) == pytest.approx(scipy.stats.ttest_rel(a, b).pvalue)
    assert np.isnan(seeds_p(np.array([0.1])))
    assert np.isnan(seeds_p(np.array([0.1, 0.1])))


def test_holm_is_its_rule_by_hand():
    # sorted .01 .02 .03 .04 times 4 3 2 1 = .04 .06 .06 .04, made non-decreasing
    actual = holm(np.array([0.04, 0.01, 0.03, 0.02]))
    np.testing.assert_allclose(actual, [0.06, 0.04, 0.06, 0.06])
    np.testing.assert_allclose(holm(np.array([0.9, 0.8])), [1.0, 1.0])
    assert len(holm(np.array([]))) == 0


def intervals(differences, members):
    options = {"resamples": 4000, "confidence": 0.95, "generator": np.random.default_rng(0)}
    return bootstrap_intervals(differences, members, **options)


def test_intervals_are_those_of_scipys_percentile_bootstrap():
    differences = np.random.default_rng(1).exponential(1.0, size=(300, 1))
    expected = scipy.stats.bootstrap(
        (differences[:, 0],), np.mean, n_resamples=4000, method="percentile", rng=2
    ).confidence_interval
    actual = intervals(differences, np.ones((300, 1), bool))
    spread = differences.std() / np.sqrt(300)
    np.testing.assert_allclose(actual[0], expected, atol=0.15 * spread)  # two Monte Carlo errors


@pytest.mark.parametrize("resamples", [1, CHUNK, 2 * CHUNK + 3])
def test_every_sample_of_a_constant_has_its_mean(resamples):
    differences, generator = np.full((5, 1), 2.0), np.random.default_rng(0)
    actual = bootstrap_intervals(
        differences,
        np.ones((5, 1), bool),
        resamples=resamples,
        confidence=0.999,
        generator=generator,
    )
    np.testing.assert_allclose(actual, [[2.0, 2.0]])


def test_the_interval_of_a_group_is_that_of_its_members_alone():
    rng = np.random.default_rng(3)
    differences = np.concatenate([rng.normal(0, 1, 400), np.full(200, 100.0)])[:, None]
    members = (np.arange(600) < 400)[:, None]
    low, high = intervals(differences, members)[0]
    half = 1.96 * differences[:400].std() / np.sqrt(400)
    center = differences[:400].mean()
    np.testing.assert_allclose([low, high], [center - half, center + half], atol=0.15 * half)
