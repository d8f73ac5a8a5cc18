import numpy as np
import polars as pl
import pytest

from ace_steps.config.grid import Plan, Run
from ace_steps.evaluation.results import (
    chosen_runs,
    in_order,
    relative,
    runs_table,
    seed_means,
    spread,
    validation_scores,
)
from tests.reporting.made_results import made_config


def metrics_of(runs: pl.DataFrame, scores: dict[tuple[str, int], tuple[float, float]]):
    """NDCG@10 of each (refinement, seed): on validation, and on test."""
    rows = [
        {
            **Run(*row)._asdict(),
            "split": split,
            "slice": "all",
            "metric": "ndcg",
            "cutoff": 10,
            "value": value,
        }
        for row in runs.select(Run._fields).iter_rows()
        for split, value in zip(("valid", "test"), scores[row[2], row[4]], strict=True)
    ]
    return pl.DataFrame(rows)


def collected(config: dict) -> pl.DataFrame:
    """All runs of the first cell, its first point chosen."""
    plan = Plan(config)
    first = plan.first_runs(plan.cells[0])[0]
    return in_order(runs_table(plan, plan.runs(plan.cells[0], first), {first}), plan)


def test_means_and_deviations_over_seeds_are_those_of_numpy():
    runs = collected(made_config([5], [1, 2, 3]))
    name = runs["refinement"][0]
    values = [0.31, 0.27, 0.36]
    metrics = metrics_of(runs, {(name, seed): (values[seed - 1], 0) for seed in (1, 2, 3)})
    row = seed_means(metrics, runs).filter(pl.col("split") == "valid").row(0, named=True)
    assert row["mean"] == pytest.approx(np.mean(values))
    assert row["deviation"] == pytest.approx(np.std(values, ddof=1))
    assert row["n_seeds"] == 3


def test_no_deviation_is_made_up_for_one_seed():
    runs = collected(made_config([5], [1]))
    metrics = metrics_of(runs, {(runs["refinement"][0], 1): (0.3, 0.2)})
    assert seed_means(metrics, runs)["deviation"].null_count() == 2


def test_a_relative_change_is_against_the_baseline():
    assert relative(0.13, 0.1) == pytest.approx(0.3)
    assert relative(0.13, None) is None
    assert relative(0.13, 0.0) is None
    assert relative(None, 0.1) is None


def test_runs_stand_in_the_order_of_the_configuration_and_strangers_are_left_out():
    config = made_config([50, 5], [2, 1], ("svd", "random"))
    plan = Plan(config)
    runs = [run for cell in plan.cells for run in plan.first_runs(cell)]
    table = runs_table(plan, runs, set(runs[:1]))
    stranger = table.head(1).with_columns(encoder=pl.lit("gone"))
    found = in_order(pl.concat([table.reverse(), stranger]), plan)
    assert found["refinement"].to_list() == ["svd", "random", "ace-lambda_50", "ace-lambda_5"]
    assert chosen_runs(table, plan)["refinement"].to_list() == ["svd"]


def test_a_refinement_without_an_encoder_stands_for_every_encoder():
    config = made_config([5], [1], ("random",))
    config["encoders"]["large"] = config["encoders"]["small"]
    plan = Plan(config)
    runs = [run for cell in plan.cells for run in plan.first_runs(cell)]
    table = runs_table(plan, runs, set(runs))
    assert len(table) == 3
    found = spread(table, plan).filter(refinement="random")
    assert sorted(found["encoder"]) == ["large", "small"]
    assert len(spread(table, plan)) == 4


def test_validation_scores_are_means_over_seeds_whatever_the_test_scores():
    config = made_config([5], [1, 2])
    runs = collected(config)
    name = runs["refinement"][0]
    metrics = metrics_of(runs, {(name, 1): (0.3, 0.9), (name, 2): (0.5, 0.1)})
    found = validation_scores(runs, metrics, metric="ndcg", cutoff=10)
    assert found == {("shop", "small", "sasrec"): {"ace": pytest.approx(0.4)}}
