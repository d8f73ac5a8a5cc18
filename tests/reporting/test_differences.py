from dataclasses import replace

import polars as pl
import pytest

from ace_steps.config.grid import Plan
from ace_steps.evaluation.results import in_order, runs_table
from ace_steps.io.tables import COMPARISONS, RUN
from ace_steps.reporting.differences import difference_section, slice_gains, slice_scores
from ace_steps.reporting.formatting import MINUS
from ace_steps.reporting.page import Figure, Table
from ace_steps.reporting.scores import Setup, setups, with_verdict
from tests.reporting.made_report import CONFIG
from tests.reporting.made_results import made_config

EMPTY = pl.from_arrow(COMPARISONS.schema.empty_table())
ROW = {
    **{"dataset": "shop", "encoder": "small", "backbone_entry": "sasrec"},
    **{"refinement_a": "ace", "refinement_b": "random", "role": "baseline"},
    **{"slice": "all", "metric": "ndcg", "cutoff": 20, "n_users": 100, "n_seeds": 1},
    **{"mean_a": 0.055, "mean_b": 0.05, "difference": 0.005, "relative": 0.1},
    **{"low": 0.003, "high": 0.007, "p": 0.001, "p_holm": 0.004},
    **{"seed_deviation": float("nan"), "p_seeds": float("nan")},
}


def compared(*changes: dict) -> pl.DataFrame:
    return pl.DataFrame([ROW | change for change in changes], schema=EMPTY.schema)


@pytest.fixture
def section_of(artifacts):
    def section_of(*changes):
        empty = pl.DataFrame()
        shown = [
            Setup(dataset, "small", "sasrec", empty, empty, empty, "random")
            for dataset in ("shop", "fair", "market")
        ]
        return difference_section(replace(artifacts, comparisons=compared(*changes)), shown)

    return section_of


def blocks_of(section, kind):
    return [block for block in section.blocks if isinstance(block, kind)]


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
    rows = with_verdict(compared({"difference": difference, "p_holm": p_holm}), CONFIG)
    assert rows["verdict"].to_list() == [expected]


def test_a_forest_plot_holds_each_difference_with_its_interval_and_verdict(section_of):
    (figure,) = blocks_of(section_of({}, {"refinement_a": "svd", "p_holm": 0.5}), Figure)
    assert figure.file == "differences/shop/small/sasrec.svg"
    assert "ace,random,ndcg,20,0.005,0.003,0.007,0.004" in figure.csv
    assert f">ace {MINUS} random init</text>" in figure.svg
    assert ">significantly better</text>" in figure.svg
    assert ">no significant difference</text>" in figure.svg
    assert "significantly worse" not in figure.svg


def test_over_several_setups_verdicts_are_counted_and_each_has_its_plot(section_of):
    section = section_of(
        {},
        {"dataset": "fair", "difference": -0.005, "relative": -0.1},
        {"dataset": "market", "p_holm": 0.5, "relative": 0.02},
    )
    assert [part.title.split()[0] for part in section.parts] == ["shop", "fair", "market"]
    counts, every = blocks_of(section, Table)
    texts = [cell.text for cell in counts.rows[0]]
    assert texts == ["ace", "random init", "NDCG@20", "3", "1", "1", "1", "+2.0 %"]
    assert len(every.rows) == 3


def test_the_table_holds_all_targets_and_the_words_count_every_comparison(section_of):
    unknown = {"metric": "recall", "mean_b": 0.0, "relative": float("nan")}
    section = section_of({}, {"slice": "tail_items"}, unknown)
    assert "over the 3 comparisons made" in section.blocks[0].text
    (table,) = blocks_of(section, Table)
    assert len(table.rows) == 2
    assert "nan" not in [cell.text for row in table.rows for cell in row]


def test_without_comparisons_nothing_is_claimed(section_of):
    (text,) = section_of().blocks
    assert "may be chance" in text.text


# Recall@20 on test of (entry, slice), for the two seeds
VALUES = {
    ("random", "all"): (0.10, 0.14),
    ("random", "tail_items"): (0.0, 0.0),
    ("ace", "all"): (0.14, 0.16),
    ("ace", "tail_items"): (0.02, 0.04),
}


@pytest.fixture
def sliced():
    """The scores by slice of two seeds, and their setup."""
    config = made_config([5], [1, 2], ("random",))
    plan = Plan(config)
    chosen = {run for cell in plan.cells for run in plan.first_runs(cell)}
    every = [run._replace(seed=seed) for run in chosen for seed in (1, 2)]
    runs = in_order(runs_table(plan, every, chosen), plan)
    rows = [
        {key: run[key] for key in RUN}
        | {"slice": part, "split": split, "metric": "recall", "cutoff": 20, "n_targets": 10}
        | {"value": values[run["seed"] - 1] if split == "test" else 0.5}
        for run in runs.to_dicts()
        for (entry, part), values in VALUES.items()
        if entry == run["refinement_entry"]
        for split in ("valid", "test")
    ]
    metrics = pl.DataFrame(rows, schema_overrides={"cutoff": pl.Int32})
    (setup,) = setups(runs, metrics, config)
    return slice_scores(metrics, runs, setup), setup


def test_slice_scores_are_means_over_the_seeds_of_the_test_targets_alone(sliced):
    means = {
        row[:2]: row[2] for row in sliced[0].select("refinement_entry", "slice", "mean").rows()
    }
    assert means == pytest.approx({key: sum(values) / 2 for key, values in VALUES.items()})


def test_a_gain_and_its_interval_are_shares_of_the_baseline_on_the_same_slice(sliced):
    (row,) = slice_gains(sliced[0], EMPTY, sliced[1]).to_dicts()  # of 0 there is no relative gain
    assert (row["refinement_entry"], row["slice"]) == ("ace", "all")
    assert row["gain"] == pytest.approx(0.15 / 0.12 - 1)
    assert row["low"] is None
    interval = {"metric": "recall", "low": 0.012, "high": 0.048}
    other = {"metric": "recall", "refinement_b": "svd", "low": -9.0, "high": 9.0}
    (row,) = slice_gains(sliced[0], compared(interval, other), sliced[1]).to_dicts()
    assert (row["low"], row["high"]) == pytest.approx((0.1, 0.4))
