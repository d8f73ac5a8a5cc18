import math

import numpy as np
import polars as pl
import pytest

from ace_steps.config.grid import Run
from ace_steps.evaluation.metrics import SLICES, mean_metric, run_metrics, slice_columns
from tests.reporting.made_results import ranks_table


def test_the_mean_over_no_user_is_refused():
    with pytest.raises(ValueError, match="ndcg@10 of no user"):
        mean_metric(np.array([]), "ndcg", 10)


def test_metrics_of_a_run_are_those_of_hand_arithmetic():
    run = Run("shop", "small", "ace-lambda_5", "sasrec", 1)
    shares = {"head_share": 0.2, "long_share": 0.2, "few_train_events": 5}
    metrics = run_metrics(ranks_table(run, [1, 3, 30, 10.5], [2, 100, 7, 10]), run, shares)
    assert metrics.select(Run._fields).unique().row(0) == run
    metrics = metrics.filter(slice="all").drop("slice", "n_targets")
    value = {row[5:8]: row[8] for row in metrics.iter_rows()}
    expected = {
        ("valid", "recall", 1): 1 / 4,
        ("valid", "recall", 10): 2 / 4,  # an expected rank of 10.5 is beyond the cutoff
        ("valid", "recall", 50): 1,
        ("valid", "ndcg", 10): (1 + 1 / 2) / 4,  # log2(1 + 3) = 2
        ("valid", "mrr", 20): (1 + 1 / 3 + 1 / 10.5) / 4,
        ("test", "recall", 10): 3 / 4,
        ("test", "ndcg", 5): 1 / math.log2(3) / 4,
        ("test", "mrr", 5): 1 / 2 / 4,
    }
    assert {key: value[key] for key in expected} == pytest.approx(expected)
    assert len(metrics) == 2 * 3 * 5


def ranked_items(items, lengths, counts, split="test"):
    return pl.DataFrame(
        {
            "split": split,
            "user": range(len(items)),
            "item": items,
            "history_length": lengths,
            "target_train_count": counts,
        }
    )


def members(table, **change):
    shares = {"head_share": 0.2, "long_share": 0.4, "few_train_events": 2} | change
    sliced = slice_columns(table, **shares)
    return {part: sliced.filter(f"in_{part}")["user"].to_list() for part in SLICES}


def test_head_items_are_a_share_of_the_items_not_of_the_users_and_ties_are_included():
    items, counts = [1, 1, 2, 3, 4, *[5] * 6], [9, 9, 7, 2, 1, *[0] * 6]
    by_slice = members(ranked_items(items, [3] * 11, counts), head_share=0.3)
    assert by_slice["head_items"] == [0, 1, 2]  # of five items two; three users hold them
    assert by_slice["tail_items"] == by_slice["few_train_events"] == list(range(3, 11))
    assert by_slice["all"] == list(range(11))
    tied = members(ranked_items([1, 2, 3, 4, 5], [3] * 5, [9, 9, 9, 1, 0]))
    assert tied["head_items"] == [0, 1, 2]


def test_long_histories_are_a_share_of_the_users_of_each_split():
    valid = ranked_items([1, 2, 3, 4, 5], [50, 40, 30, 20, 10], [1] * 5, "valid")
    test = ranked_items([1, 2, 3, 4, 5], [1, 2, 3, 4, 5], [1] * 5)
    both = slice_columns(
        pl.concat([valid, test]), head_share=0.2, long_share=0.4, few_train_events=0
    )
    long = both.filter("in_long_histories")
    assert long.filter(split="valid")["user"].to_list() == [0, 1]
    assert long.filter(split="test")["user"].to_list() == [3, 4]
    assert both.filter("in_short_histories").height == 6
    assert both.filter("in_few_train_events").height == 0
