from types import SimpleNamespace

import polars as pl
import pytest

from ace_steps.io.tables import COMPARISONS
from ace_steps.reporting.differences import difference_section
from ace_steps.reporting.scores import Setup, verdict

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
    artifacts = SimpleNamespace(comparisons=table, config=CONFIG, folder="results")
    empty = pl.DataFrame()
    setups = [
        Setup(dataset, "small", "sasrec", empty, empty, empty, "random")
        for dataset in ("shop", "fair", "market")
    ]
    return difference_section(artifacts, setups)


@pytest.mark.parametrize(
    ("difference", "p_holm", "expected"),
    [
        (0.01, 0.049, "better"),
        (-0.01, 0.049, "worse"),
        (0.01, 0.05, "no significant difference"),
        (0.01, float("nan"), "no significant difference"),
    ],
)
def test_a_difference_is_one_only_below_the_level(difference, p_holm, expected):
    assert verdict({"difference": difference, "p_holm": p_holm}, ALPHA) == expected


def blocks_of(section, kind):
    return [block for block in section.blocks if block.kind == kind]


def test_a_forest_plot_says_each_difference_with_its_interval_and_verdict():
    section = section_of({}, {"refinement_a": "svd", "p_holm": 0.5})
    (figure,) = blocks_of(section, "figure")
    assert figure.file == "differences/shop/small/sasrec.svg"
    between = "+0.0050, interval +0.0030 to +0.0070"
    assert f"ace \N{MINUS SIGN} random init {between}, better" in figure.alt
    assert f"svd \N{MINUS SIGN} random init {between}, no significant difference" in figure.alt
    assert "ace,random,ndcg,20,0.005000,0.003000,0.007000,0.004000" in figure.csv
    assert ">significantly better</text>" in figure.svg
    assert "significantly worse" not in figure.svg


def test_over_several_setups_verdicts_are_counted_and_each_has_its_plot():
    changes = [
        {},
        {"dataset": "fair", "difference": -0.005, "relative": -0.1},
        {"dataset": "market", "p_holm": 0.5, "relative": 0.02},
    ]
    section = section_of(*changes)
    assert [part.title.split()[0] for part in section.parts] == ["shop", "fair", "market"]
    counts, every = blocks_of(section, "table")
    texts = [cell.text for cell in counts.rows[0]]
    assert texts == ["ace", "random init", "NDCG@20", "3", "1", "1", "1", "+2.0 %"]
    assert len(every.rows) == 3


def test_a_score_of_nothing_has_no_relative_change():
    (table,) = blocks_of(section_of({"mean_b": 0.0, "relative": float("nan")}), "table")
    assert "nan" not in [cell.text for cell in table.rows[0]]


def test_the_table_holds_all_targets_and_the_words_count_every_comparison():
    section = section_of({}, {"slice": "tail_items"}, {"metric": "recall"})
    assert "over the 3 comparisons made" in section.blocks[0].text
    (table,) = blocks_of(section, "table")
    assert len(table.rows) == 2
    assert table.source == "results/report/comparisons.parquet"


def test_without_comparisons_nothing_is_claimed():
    (text,) = section_of().blocks
    assert "may be chance" in text.text
