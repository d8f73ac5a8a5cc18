import re
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from matplotlib.figure import Figure as Canvas

from ace_steps.preprocess import pipeline
from ace_steps.reporting.data import (
    STAGES,
    data_section,
    draw_histories,
    draw_popularity,
    history_bins,
    popularity_points,
)
from ace_steps.reporting.page import Figure, Table, Text

THIN = "\N{NARROW NO-BREAK SPACE}"
# 14 users: 8 have 4 to 7 events, none 8 to 15, 6 have 16 to 31.
COUNTS = {
    "blank_texts": 7,
    "events": 12,
    "events_after_core": 12,
    "events_after_rating": 30,
    "events_raw": 40,
    "items": 5,
    "items_after_core": 5,
    "items_after_rating": 9,
    "items_raw": 1100,
    "train_share_of_top_10_percent_items": 0.5,
    "train_share_of_top_02_percent_items": 0.25,
    "users": 14,
    "users_after_core": 14,
    "users_after_rating": 20,
    "users_raw": 21,
    "users_with_history_000016_to_000031": 6,
    "users_with_history_000004_to_000007": 8,
}


@pytest.fixture
def blocks_of(artifacts):
    def blocks_of(kind, **counts):
        """Blocks of the section on datasets of these counts."""
        rows = [
            {"dataset": dataset, "statistic": name, "value": float(value)}
            for dataset, values in counts.items()
            for name, value in values.items()
        ]
        section = data_section(replace(artifacts, data=pl.DataFrame(rows)))
        return [block for block in section.blocks if isinstance(block, kind)]

    return blocks_of


def test_a_bar_stands_on_the_lengths_of_its_bin_and_is_as_high_as_its_users():
    axes = Canvas().add_subplot()
    draw_histories(axes, history_bins(COUNTS))
    bars = [(bar.get_x(), bar.get_height()) for bar in axes.patches]
    assert bars == [(4, 8), (16, 6)]
    ends = [bar.get_x() + bar.get_width() for bar in axes.patches]
    assert 7 < ends[0] < 8  # nothing is drawn over 8 to 15, where no user is
    assert 31 < ends[1] < 32
    assert axes.get_xscale() == "log"
    assert list(axes.get_xticks()) == [4, 8, 16, 32]
    assert [text.get_text() for text in axes.texts] == ["8", "6"]


def test_many_bars_have_fewer_ticks_and_no_numbers():
    axes = Canvas().add_subplot()
    draw_histories(axes, [(2**power, 2 ** (power + 1) - 1, power) for power in range(14)])
    assert list(axes.get_xticks()) == [4**power for power in range(8)]
    assert list(axes.texts) == []


def test_the_popularity_curve_goes_through_every_counted_share_beside_the_diagonal():
    axes = Canvas().add_subplot()
    draw_popularity(axes, popularity_points(COUNTS))
    diagonal, curve = axes.lines
    assert diagonal.get_xydata().tolist() == [[0, 0], [100, 100]]
    assert curve.get_xydata().tolist() == [[0, 0], [2, 25], [10, 50], [100, 100]]
    assert diagonal.get_linestyle() != curve.get_linestyle()


def test_each_dataset_has_its_figure_of_what_was_counted(blocks_of):
    lengths = {name: COUNTS[name] for name in COUNTS if name.startswith("users_with")}
    bare = {name: COUNTS[name] for name in ("users", "items", "events")}
    datasets = {"shop": COUNTS, "fair": lengths, "bare": bare}
    shop, fair = blocks_of(Figure, **datasets)
    assert (shop.file, fair.file) == ("data/shop.svg", "data/fair.svg")
    assert "Popularity of the items" in shop.svg
    assert "Popularity of the items" not in fair.svg
    assert "users_with_history_000016_to_000031,6.0\n" in shop.csv
    assert len(shop.csv.splitlines()) == 1 + 4
    (warning,) = blocks_of(Text, **datasets)
    assert warning.is_warning
    assert warning.text.startswith("bare: ")


def test_counts_stand_in_the_order_of_the_work_before_and_after_each_filter(blocks_of):
    table = blocks_of(Table, shop=COUNTS)[0]
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["shop", "Raw", "21", f"1{THIN}100", "40"],
        ["shop", "After rating", "20", "9", "30"],
        ["shop", "After core", "14", "5", "12"],
        ["shop", "Final", "14", "5", "12"],
    ]


def test_every_stage_that_preprocessing_counts_has_its_place():
    text = Path(pipeline.__file__).read_text()
    assert {f"_{stage}" for stage in re.findall(r'"(raw|after_\w+)"', text)} == set(STAGES) - {""}


def test_everything_counted_is_in_some_table(blocks_of):
    tables = blocks_of(Table, shop=COUNTS)
    texts = {row[0].text: row[1].text for table in tables[1:] for row in table.rows}
    assert texts["Blank texts"] == "7"
    assert texts["Users with history 16 to 31"] == "6"
    assert texts["Train share of top 2 percent items"] == "25 %"


def test_a_count_other_than_expected_is_a_warning_with_both_numbers(blocks_of):
    counts = COUNTS | {"warning_items_expected": 12101, "warning_items_found": 5}
    (warning,) = blocks_of(Text, shop=counts)
    assert warning.is_warning
    assert warning.text == f"shop: expected 12{THIN}101 items, got 5."
