import polars as pl
import pytest

from ace_steps.config.grid import Plan
from ace_steps.evaluation.results import in_order, runs_table
from ace_steps.io.tables import COMPARISONS
from ace_steps.reporting.scores import setups
from ace_steps.reporting.slices import slice_gains, slice_scores
from tests.reporting.made_results import made_config

CONFIG = made_config([5], [1, 2], ("random",))
EMPTY = pl.from_arrow(COMPARISONS.schema.empty_table())
# Recall@20 on test of (entry, slice), for the two seeds
VALUES = {
    ("random", "all"): (0.10, 0.14),
    ("random", "tail_items"): (0.0, 0.0),
    ("ace", "all"): (0.14, 0.16),
    ("ace", "tail_items"): (0.02, 0.04),
}


@pytest.fixture
def made():
    plan = Plan(CONFIG)
    chosen = {run for cell in plan.cells for run in plan.first_runs(cell)}
    every = [
        each for run in chosen for each in (run._replace(seed=seed) for seed in CONFIG["seeds"])
    ]
    runs = in_order(runs_table(plan, every, chosen), plan)
    rows = [
        {
            **{key: run[key] for key in ("dataset", "encoder", "refinement", "backbone", "seed")},
            "split": split,
            "slice": name,
            "metric": "recall",
            "cutoff": 20,
            "value": values[run["seed"] - 1] * (1 if split == "test" else 0.5),
            "n_targets": 10,
        }
        for run in runs.to_dicts()
        for (entry, name), values in VALUES.items()
        if entry == run["refinement_entry"]
        for split in ("valid", "test")
    ]
    metrics = pl.DataFrame(rows)
    (setup,) = setups(runs, metrics, CONFIG)
    return slice_scores(metrics, runs, setup), setup


def test_scores_are_means_over_the_seeds_of_the_test_targets_alone(made):
    scores, _ = made
    found = {row[:2]: row[2] for row in scores.select("refinement_entry", "slice", "mean").rows()}
    assert found == pytest.approx(
        {
            ("random", "all"): 0.12,
            ("random", "tail_items"): 0.0,
            ("ace", "all"): 0.15,
            ("ace", "tail_items"): 0.03,
        }
    )


def test_a_gain_is_relative_to_the_baseline_on_the_same_slice(made):
    (row,) = slice_gains(made[0], EMPTY, made[1]).to_dicts()  # of 0 there is no relative gain
    assert (row["refinement_entry"], row["slice"]) == ("ace", "all")
    assert row["gain"] == pytest.approx(0.15 / 0.12 - 1)
    assert row["low"] is None


def test_an_interval_is_that_of_the_difference_as_a_share_of_the_baseline(made):
    compared = {
        "dataset": "shop",
        "encoder": "small",
        "backbone_entry": "sasrec",
        "refinement_a": "ace",
        "refinement_b": "random",
        "slice": "all",
        "metric": "recall",
        "cutoff": 20,
        "low": 0.012,
        "high": 0.048,
    }
    other = {**compared, "refinement_b": "svd", "low": -9.0, "high": 9.0}
    table = pl.DataFrame([compared, other]).cast({"cutoff": pl.Int32})
    scores = made[0].cast({"cutoff": pl.Int32})
    (row,) = slice_gains(scores, table, made[1]).to_dicts()
    assert (row["low"], row["high"]) == pytest.approx((0.1, 0.4))
