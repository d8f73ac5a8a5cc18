import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ace_steps.config.grid import Run
from ace_steps.evaluation.metrics import (
    CUTOFFS,
    METRICS,
    SLICES,
    mean_metric,
    run_metrics,
    slice_columns,
)
from tests.reporting.made_results import ranks_table

RANKS = np.array([1.0, 2.0, 3.0, 7.5, 100.0])


def test_recall_counts_the_items_within_the_cutoff():
    assert [mean_metric(RANKS, "recall", k) for k in (1, 5, 10)] == [1 / 5, 3 / 5, 4 / 5]
    assert mean_metric(np.array([10.5]), "recall", 10) == 0


def test_ndcg_discounts_by_the_logarithm_of_the_rank():
    by_hand = (1 / 1 + 1 / 1.5849625007 + 1 / 2) / 5  # log2(2), log2(3), log2(4)
    assert mean_metric(RANKS, "ndcg", 5) == pytest.approx(by_hand, rel=1e-9)
    assert all(mean_metric(np.array([1.0]), "ndcg", cutoff) == 1 for cutoff in CUTOFFS)


def test_mrr_is_the_mean_of_reciprocal_ranks_within_the_cutoff():
    assert mean_metric(RANKS, "mrr", 5) == pytest.approx((1 + 1 / 2 + 1 / 3) / 5)
    assert mean_metric(RANKS, "mrr", 10) == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 7.5) / 5)


@pytest.mark.parametrize("metric", METRICS)
def test_the_mean_over_no_user_is_refused(metric):
    with pytest.raises(ValueError, match=f"{metric}@10 of no user"):
        mean_metric(np.array([]), metric, 10)


@given(ranks=st.lists(st.floats(1, 1e6), min_size=1), metric=st.sampled_from(sorted(METRICS)))
def test_every_metric_lies_between_0_and_1_and_grows_with_the_cutoff(ranks, metric):
    values = [mean_metric(np.array(ranks), metric, cutoff) for cutoff in CUTOFFS]
    assert values == sorted(values)
    assert values[0] >= 0
    assert values[-1] <= 1


def test_metrics_of_a_run_are_those_of_hand_arithmetic():
    run = Run("shop", "small", "ace-lambda_5", "sasrec", 1)
    shares = {"head_share": 0.2, "long_share": 0.2, "few_train_events": 5}
    metrics = run_metrics(ranks_table(run, [1, 3, 30], [2, 100, 7]), run, shares)
    metrics = metrics.filter(slice="all").drop("slice", "n_targets")
    value = {row[5:8]: row[8] for row in metrics.iter_rows()}
    assert value["valid", "recall", 1] == pytest.approx(1 / 3)
    assert value["valid", "recall", 50] == 1.0
    assert value["valid", "ndcg", 10] == pytest.approx((1 + 1 / 2) / 3)  # log2(1 + 3) = 2
    assert value["valid", "mrr", 50] == pytest.approx((1 + 1 / 3 + 1 / 30) / 3)
    assert value["test", "recall", 10] == pytest.approx(2 / 3)
    assert value["test", "ndcg", 5] == pytest.approx(1 / math.log2(3) / 3)
    assert value["test", "mrr", 5] == pytest.approx(1 / 2 / 3)
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
    by_slice = members(ranked_items([1, 1, 2, 3, 4, 5], [3] * 6, [9, 9, 7, 2, 1, 0]))
    assert by_slice["head_items"] == [0, 1]  # of five items one; two users hold it
    assert by_slice["tail_items"] == [2, 3, 4, 5]
    assert by_slice["few_train_events"] == [3, 4, 5]
    assert by_slice["all"] == [0, 1, 2, 3, 4, 5]
    tied = members(ranked_items([1, 2, 3, 4, 5], [3] * 5, [9, 9, 9, 1, 0]))
    assert tied["head_items"] == [0, 1, 2]


def test_long_histories_are_a_share_of_the_users_of_each_split():
    valid = ranked_items([1, 2, 3, 4, 5], [50, 40, 3, 2, 1], [1] * 5, "valid")
    test = ranked_items([1, 2, 3, 4, 5], [1, 2, 3, 40, 50], [1] * 5)
    both = slice_columns(
        pl.concat([valid, test]), head_share=0.2, long_share=0.4, few_train_events=0
    )
    long = both.filter("in_long_histories")
    assert long.filter(split="valid")["user"].to_list() == [0, 1]
    assert long.filter(split="test")["user"].to_list() == [3, 4]
    assert both.filter("in_short_histories").height == 6
    assert both.filter("in_few_train_events").height == 0
