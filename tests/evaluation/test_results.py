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

VALUES = {1: 0.31, 2: 0.27, 3: 0.36}  # NDCG@10 on validation, by seed


def collected(seeds):
    """All runs of one grid point, and their NDCG@10: on test another one than on validation."""
    plan = Plan(made_config([5], seeds))
    (first,) = plan.first_runs(plan.cells[0])
    runs = in_order(runs_table(plan, plan.runs(plan.cells[0], first), {first}), plan)
    shared = {"slice": "all", "metric": "ndcg", "cutoff": 10}
    values = [
        {**Run(*row)._asdict(), **shared, "split": split, "value": value}
        for row in runs.select(Run._fields).iter_rows()
        for split, value in (("valid", VALUES[row[4]]), ("test", 1 - VALUES[row[4]]))
    ]
    return runs, pl.DataFrame(values)


def test_means_and_deviations_over_seeds_are_those_of_numpy():
    runs, metrics = collected([1, 2, 3])
    (row,) = seed_means(metrics, runs).filter(split="valid").to_dicts()
    values = list(VALUES.values())
    assert row["mean"] == pytest.approx(np.mean(values))
    assert row["deviation"] == pytest.approx(np.std(values, ddof=1))
    assert row["n_seeds"] == 3
    runs, metrics = collected([1])
    assert seed_means(metrics, runs)["deviation"].null_count() == 2  # of one seed there is none


def test_validation_scores_are_means_over_seeds_whatever_the_test_scores():
    runs, metrics = collected([1, 2])
    scores = validation_scores(runs, metrics, metric="ndcg", cutoff=10)
    assert scores == {("shop", "small", "sasrec"): {"ace": pytest.approx(0.29)}}


def test_a_relative_change_is_against_the_baseline():
    assert relative(0.13, 0.1) == pytest.approx(0.3)
    assert relative(0.13, 0.0) is relative(0.13, None) is relative(None, 0.1) is None


def all_runs(config):
    """The plan of a configuration, and its table of runs, of which the first is chosen."""
    plan = Plan(config)
    runs = [run for cell in plan.cells for run in plan.first_runs(cell)]
    return plan, runs_table(plan, runs, set(runs[:1]))


def test_runs_stand_in_the_order_of_the_configuration_and_others_are_left_out():
    plan, table = all_runs(made_config([50, 5], [2, 1], ("svd", "random")))
    other = table.head(1).with_columns(encoder=pl.lit("gone"))
    ordered = in_order(pl.concat([table.reverse(), other]), plan)
    assert ordered["refinement"].to_list() == ["svd", "random", "ace-lambda_50", "ace-lambda_5"]
    assert ordered["order"].to_list() == [0, 1, 2, 3]
    assert chosen_runs(table, plan)["refinement"].to_list() == ["svd"]


def test_a_refinement_without_an_encoder_stands_for_every_encoder():
    config = made_config([5], [1], ("random",))
    config["encoders"]["large"] = config["encoders"]["small"]
    plan, table = all_runs(config)
    assert len(table) == 3
    copied = spread(table, plan)
    assert sorted(copied.filter(refinement="random")["encoder"]) == ["large", "small"]
    assert len(copied) == 4
