import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ace_steps.evaluation.metrics import CUTOFFS, METRICS, mean_metric

RANKS = np.array([1.0, 2.0, 3.0, 7.5, 100.0])


def test_recall_counts_the_targets_within_the_cutoff():
    assert mean_metric(RANKS, "recall", 1) == 1 / 5
    assert mean_metric(RANKS, "recall", 5) == 3 / 5
    assert mean_metric(RANKS, "recall", 10) == 4 / 5


def test_ndcg_discounts_by_the_logarithm_of_the_place():
    by_hand = (1 / 1 + 1 / 1.5849625007 + 1 / 2) / 5  # log2(2), log2(3), log2(4)
    assert mean_metric(RANKS, "ndcg", 5) == pytest.approx(by_hand, rel=1e-9)


def test_one_target_in_first_place_has_an_ndcg_of_one_at_every_cutoff():
    assert all(mean_metric(np.array([1.0]), "ndcg", cutoff) == 1 for cutoff in CUTOFFS)


def test_mrr_is_the_mean_of_reciprocal_ranks_within_the_cutoff():
    assert mean_metric(RANKS, "mrr", 5) == pytest.approx((1 + 1 / 2 + 1 / 3) / 5)
    assert mean_metric(RANKS, "mrr", 10) == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 7.5) / 5)


def test_a_rank_between_two_places_is_outside_the_lower_one():
    assert mean_metric(np.array([10.5]), "recall", 10) == 0


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
