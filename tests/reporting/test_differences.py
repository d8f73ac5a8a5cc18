from types import SimpleNamespace

import polars as pl
import pytest

from ace_steps.io.tables import COMPARISONS
from ace_steps.reporting.differences import difference_section, sentence, verdict

ALPHA = 0.05
CONFIG = {"statistics": {"alpha": ALPHA, "confidence": 0.95}, "seeds": [1]}
ROW = {
    "dataset": "shop",
    "encoder": "small",
    "backbone_entry": "sasrec",
    "refinement_a": "ace",
    "refinement_b": "random",
    "role": "baseline",
    "slice": "all",
    "metric": "ndcg",
    "cutoff": 20,
    "n_users": 100,
    "n_seeds": 1,
    "mean_a": 0.055,
    "mean_b": 0.05,
    "difference": 0.005,
    "relative": 0.1,
    "low": 0.003,
    "high": 0.007,
    "p": 0.001,
    "p_holm": 0.004,
    "seed_deviation": float("nan"),
    "p_seeds": float("nan"),
}


def comparisons(*changes: dict) -> pl.DataFrame:
    empty = pl.from_arrow(COMPARISONS.schema.empty_table())
    rows = [{**ROW, **change} for change in changes]
    return pl.concat([empty, pl.DataFrame(rows, schema=empty.schema)]) if rows else empty


def section_of(*changes: dict):
    table = comparisons(*changes)
    return difference_section(SimpleNamespace(comparisons=table, config=CONFIG, folder="results"))


@pytest.mark.parametrize(
    ("difference", "p_holm", "wanted"),
    [
        (0.01, 0.049, "better"),
        (-0.01, 0.049, "worse"),
        (0.01, 0.05, "no significant difference"),
        (0.01, float("nan"), "no significant difference"),
    ],
)
def test_a_difference_is_one_only_below_the_level(difference, p_holm, wanted):
    assert verdict({"difference": difference, "p_holm": p_holm}, ALPHA) == wanted


def test_one_comparison_is_told_with_its_size_interval_and_p():
    assert sentence(comparisons({}), ALPHA) == (
        "ace against random: NDCG@20 better "
        "(+0.0050, +10.0 %; interval +0.0030 to +0.0070; "
        "p\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}0.004)."
    )


def test_many_comparisons_are_counted():
    setups = [
        {"dataset": "a"},
        {"dataset": "b", "difference": -0.005, "relative": -0.1},
        {"dataset": "c", "p_holm": 0.5, "relative": 0.02},
    ]
    assert sentence(comparisons(*setups), ALPHA) == (
        "ace against random: NDCG@20 better in 1 of 3 setups, worse in 1, "
        "no significant difference in 1 (median change +2.0 %)."
    )


def test_a_score_of_nothing_has_no_relative_change():
    text = sentence(comparisons({"mean_b": 0.0, "relative": float("nan")}), ALPHA)
    assert "(+0.0050; interval" in text
    table = section_of({"mean_b": 0.0, "relative": float("nan")}).blocks[-1]
    assert "nan" not in [cell.text for cell in table.rows[0]]


def test_the_table_holds_all_targets_and_the_words_count_every_comparison():
    section = section_of({}, {"slice": "tail_items"}, {"metric": "recall"})
    assert "over the 3 comparisons made" in section.blocks[0].text
    table = section.blocks[-1]
    assert len(table.rows) == 2
    assert table.source == "results/report/comparisons.parquet"


def test_without_comparisons_nothing_is_claimed():
    (text,) = section_of().blocks
    assert "may be chance" in text.text
