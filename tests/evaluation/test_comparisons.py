"""Which entries are compared, and what is found where the answer is known."""

import numpy as np
import polars as pl
import pytest

from ace_steps.evaluation.comparisons import Pair, compare, corrected, pairs
from ace_steps.evaluation.metrics import SLICES

METHODS = {"plain": "random", "white": "whitening", "llm": "llm2x", "ace": "ace"}
STATISTICS = {
    "metrics": ["recall@20", "ndcg@20"],
    "confidence": 0.95,
    "resamples": 200,
    "seed": 0,
    "alpha": 0.05,
}
SETUP = {"dataset": "d", "encoder": "e", "backbone_entry": "b"}


def test_all_are_compared_with_random_and_ace_with_its_best_baseline_by_validation():
    found = pairs(METHODS, {"plain": 0.1, "white": 0.3, "llm": 0.2, "ace": 0.25})
    assert found == [
        Pair("white", "plain", "baseline"),
        Pair("llm", "plain", "baseline"),
        Pair("ace", "plain", "baseline"),
        Pair("ace", "white", "best_baseline"),
    ]


def test_where_random_is_the_best_baseline_it_is_compared_once():
    found = pairs(METHODS, {"plain": 0.4, "white": 0.3, "ace": 0.25})
    assert found[1:] == [Pair("ace", "plain", "both")]


def test_without_a_baseline_ace_still_meets_its_best_baseline():
    assert pairs(METHODS, {"white": 0.3, "ace": 0.2}) == [Pair("ace", "white", "best_baseline")]
    assert pairs(METHODS, {"ace": 0.2}) == []


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
    assert np.isnan(odd["relative"])


def test_a_slice_without_users_has_no_row():
    ranks = {"a": {1: np.ones(3)}, "b": {1: np.ones(3)}}
    table = compare(ranks, groups(3, np.zeros(3, bool)), [Pair("a", "b", "both")], STATISTICS)
    assert set(table["slice"]) == set(SLICES) - {"head_items"}


def drawn_grid(seed, gain=0.0, n_users=1500, n_seeds=2):
    """Comparisons of made ranks of eight methods on two backbones, the last better by ``gain``."""
    rng = np.random.default_rng(seed)
    names = [*(f"m{i}" for i in range(7)), "winner"]
    methods = dict.fromkeys(names, "svd") | {"m0": "random", "winner": "ace"}
    members = {f"in_{part}": rng.random(n_users) < 0.5 for part in SLICES} | {"in_all": True}
    tables = []
    for backbone in ("one", "two"):
        taste = rng.random(n_users)  # what makes a user hard, the same for every method
        ranks = {
            name: {
                s: np.ceil(100 ** (taste + rng.random(n_users)) * (1 - gain * (name == "winner")))
                for s in range(n_seeds)
            }
            for name in names
        }
        wanted = pairs(methods, dict.fromkeys(names, 0.1))
        sliced = pl.DataFrame({"taste": taste}).with_columns(**members)
        table = compare(ranks, sliced, wanted, STATISTICS)
        tables.append(table.with_columns(**{k: pl.lit(v) for k, v in SETUP.items()}))
        tables[-1] = tables[-1].with_columns(backbone_entry=pl.lit(backbone))
    return corrected(tables)


def test_a_planted_winner_is_found_with_the_right_sign():
    table = drawn_grid(0, gain=0.6).filter(slice="all")
    won = table.filter(refinement_a="winner")
    assert len(won) == 2 * 2 * 1  # backbones, metrics; random is the best baseline too
    assert (won["difference"] > 0).all()
    assert (won["low"] > 0).all()
    assert (won["p_holm"] < 0.01).all()
    others = table.filter(pl.col("refinement_a") != "winner")
    assert (others["p_holm"] > 0.05).all()
    assert (table["p_holm"] >= table["p"]).all()


@pytest.mark.slow
def test_identical_methods_give_no_significant_difference_in_95_of_100_repeats():
    clean = sum(bool((drawn_grid(seed)["p_holm"] >= 0.05).all()) for seed in range(100))
    assert clean >= 95
