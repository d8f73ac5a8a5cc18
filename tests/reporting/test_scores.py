"""What the report claims of the refinement that validation prefers, and what it marks."""

from dataclasses import replace

import polars as pl
import pytest

from ace_steps.reporting.scores import best_and_second, preferred_verdict, setups
from tests.reporting.made_report import CONFIG

ALPHA = CONFIG["statistics"]["alpha"]
CLAIMS = {  # difference and corrected p of ace against random on all test targets, by metric
    "is significantly better than random init": {"recall": (0.1, 0.01), "ndcg": (0.1, 0.04)},
    "is significantly worse than random init": {"recall": (-0.1, 0.01)},
    "shows no significant difference from": {"recall": (0.1, ALPHA), "ndcg": (0.1, 0.5)},
    "(Recall@20 better, NDCG@20 no signif": {"recall": (0.1, 0.01), "ndcg": (0.1, 0.5)},
    "was not tested against random init": {},
}


@pytest.mark.parametrize(("claim", "outcomes"), CLAIMS.items())
def test_no_more_is_claimed_than_the_tests_support(artifacts, claim, outcomes):
    is_pair = (pl.col("refinement_b") == "random") & (pl.col("refinement_a") == "ace")
    is_pair &= pl.col("slice") == "all"
    rows = [
        artifacts.comparisons.filter(is_pair)
        .head(1)
        .with_columns(metric=pl.lit(name), difference=d, p_holm=p)
        for name, (d, p) in outcomes.items()
    ]
    others = artifacts.comparisons.filter(~is_pair)
    (setup,) = setups(artifacts.runs, artifacts.metrics, CONFIG)
    made = replace(artifacts, comparisons=pl.concat([*rows, others], how="vertical_relaxed"))
    assert claim in preferred_verdict(made, setup)


def test_a_preferred_baseline_is_not_compared_with_itself(artifacts):
    (setup,) = setups(artifacts.runs.filter(refinement="random"), artifacts.metrics, CONFIG)
    assert preferred_verdict(artifacts, setup) == "is the baseline itself"


def test_what_is_printed_equal_is_marked_equal():
    assert best_and_second([0.12341, None, 0.1, 0.12344]) == {"0.1234": "best", "0.1000": "second"}
    assert best_and_second([0.5, 0.5]) == {}
