"""What the report claims of the refinement that validation prefers."""

from types import SimpleNamespace

import polars as pl
import pytest

from ace_steps.reporting.scores import Setup, preferred_verdict

CONFIG = {"selection": {"metric": "ndcg", "cutoff": 10}, "statistics": {"alpha": 0.05}}
SETUP = {"dataset": "shop", "encoder": "small", "backbone_entry": "sasrec"}


def verdict_of(best: str, **comparisons: tuple[float, float]) -> str:
    """With (difference, corrected p) of ace against random by metric, and the preferred entry."""
    entries = ["random", "ace"]
    points = pl.DataFrame(
        [
            {"refinement_entry": e, "refinement": e, "backbone": "sasrec", "is_chosen": True}
            for e in entries
        ]
    )
    means = points.with_columns(
        split=pl.lit("valid"), metric=pl.lit("ndcg"), cutoff=10, deviation=0.0, n_seeds=1,
        mean=(pl.col("refinement_entry") == best).cast(pl.Float64),
    )  # fmt: skip
    setup = Setup(*SETUP.values(), points, means, means, "random")
    pair = {"refinement_a": "ace", "refinement_b": "random"}
    rows = [
        SETUP | pair | {"slice": name, "metric": metric, "cutoff": 20, "difference": d, "p_holm": p}
        for metric, (d, p) in comparisons.items()
        for name in ("all", "tail_items")
    ]
    rows += [SETUP | pair | {"refinement_b": "svd", "slice": "all", "metric": "mrr", "cutoff": 20}]
    compared = pl.DataFrame(rows, schema_overrides={"difference": pl.Float64, "p_holm": pl.Float64})
    for column in ("difference", "p_holm"):
        if column not in compared.columns:
            compared = compared.with_columns(pl.lit(0.0).alias(column))
    return preferred_verdict(SimpleNamespace(config=CONFIG, comparisons=compared), setup)


@pytest.mark.parametrize(
    ("comparisons", "claim"),
    [
        ({"recall": (0.1, 0.05), "ndcg": (0.1, 0.5)}, "no significant difference from random init"),
        ({"recall": (0.1, 0.01), "ndcg": (0.1, 0.04)}, "is significantly better than random init"),
        ({"recall": (-0.1, 0.01)}, "is significantly worse than random init"),
        ({"recall": (0.1, 0.01), "ndcg": (0.1, 0.5)}, "Recall@20 better, NDCG@20 no significant"),
        ({}, "was not tested against random init"),
    ],
)
def test_no_more_is_claimed_than_the_tests_support(comparisons, claim):
    assert claim in verdict_of("ace", **comparisons)


def test_a_preferred_baseline_is_not_compared_with_itself():
    assert verdict_of("random", recall=(0.1, 0.01)) == "is the baseline itself"
