import re
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from matplotlib.figure import Figure as Canvas

from ace_steps.preprocess import pipeline
from ace_steps.reporting.data import STAGES, data_section
from ace_steps.reporting.data_drawings import (
    history_bins,
    history_lengths,
    popularity,
    popularity_points,
)
from ace_steps.reporting.sheets import sheet

THIN = "\N{NARROW NO-BREAK SPACE}"
# 14 users: 8 have 4 to 7 events, none 8 to 15, 6 have 16 to 31.
COUNTS = {
    "blank_texts": 7,
    "duplicate_events": 3,
    "events": 12,
    "events_after_core": 12,
    "events_after_rating": 30,
    "events_raw": 40,
    "events_train": 8,
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


def section_of(**counts: dict[str, float]):
    """The section on datasets of these counts, as an artifact holds them."""
    rows = [
        {"dataset": dataset, "statistic": name, "value": float(value)}
        for dataset, found in counts.items()
        for name, value in found.items()
    ]
    data = pl.DataFrame(rows) if rows else pl.DataFrame()
    return data_section(SimpleNamespace(data=data, folder="results", encoders={}))


def blocks_of(section, kind):
    return [block for block in section.blocks if block.kind == kind]


def drawn(drawing):
    axes = Canvas().add_subplot()
    drawing.draw(axes)
    return axes


def test_a_bar_stands_on_the_lengths_of_its_bin_and_is_as_high_as_its_users():
    axes = drawn(history_lengths(history_bins(COUNTS)))
    bars = [(bar.get_x(), bar.get_height()) for bar in axes.patches]
    assert bars == [(4, 8), (16, 6)]
    ends = [bar.get_x() + bar.get_width() for bar in axes.patches]
    assert 7 < ends[0] < 8  # nothing is drawn over 8 to 15, where no user is
    assert 31 < ends[1] < 32
    assert axes.get_xscale() == "log"
    assert list(axes.get_xticks()) == [4, 8, 16, 32]
    assert [text.get_text() for text in axes.texts] == ["8", "6"]


def test_many_bars_have_fewer_ticks_and_no_numbers():
    bins = [(2**power, 2 ** (power + 1) - 1, power) for power in range(14)]
    axes = drawn(history_lengths(bins))
    assert list(axes.get_xticks()) == [4**power for power in range(8)]
    assert list(axes.texts) == []


def test_the_popularity_curve_goes_through_every_counted_share_beside_the_diagonal():
    axes = drawn(popularity(popularity_points(COUNTS)))
    diagonal, curve = axes.lines
    assert diagonal.get_xydata().tolist() == [[0, 0], [100, 100]]
    assert curve.get_xydata().tolist() == [[0, 0], [2, 25], [10, 50], [100, 100]]
    assert diagonal.get_linestyle() != curve.get_linestyle()


def test_both_drawings_say_their_numbers_in_words():
    assert history_lengths(history_bins(COUNTS)).alt.endswith("4 to 7: 8, 16 to 31: 6.")
    alt = popularity(popularity_points(COUNTS)).alt
    assert "25 % on the top 2 %, 50 % on the top 10 % of the items" in alt


def test_the_figure_has_a_file_its_numbers_and_the_same_bytes_every_time():
    (figure,), (again,) = (blocks_of(section_of(shop=COUNTS), "figure") for _ in range(2))
    assert figure == again
    assert figure.file == "data/shop.svg"
    assert [panel.title for panel in figure.panels] == [
        "History lengths",
        "Popularity of the items",
    ]
    assert "users_with_history_000016_to_000031,6.0\n" in figure.csv
    assert "train_share_of_top_02_percent_items,0.25\n" in figure.csv
    assert len(figure.csv.splitlines()) == 1 + 4
    assert "var(--fig-single-6, #0072b2)" in figure.panels[0].svg
    assert "var(--" not in sheet(figure)
    assert ">if all items were equally popular</text>" in sheet(figure)
    assert figure.source == "results/preprocess/shop/data_report.parquet"


def test_counts_stand_in_the_order_of_the_work_before_and_after_each_filter():
    table = blocks_of(section_of(shop=COUNTS), "table")[0]
    rows = [tuple(cell.text for cell in row) for row in table.rows]
    assert rows == [
        ("shop", "Raw", "21", f"1{THIN}100", "40"),
        ("shop", "After rating", "20", "9", "30"),
        ("shop", "After core", "14", "5", "12"),
        ("shop", "Final", "14", "5", "12"),
    ]
    assert [column.label for column in table.columns] == [
        "dataset", "stage", "users", "items", "events",
    ]  # fmt: skip


def test_every_stage_that_preprocessing_counts_has_its_place():
    text = Path(pipeline.__file__).read_text()
    assert {f"_{stage}" for stage in re.findall(r'"(raw|after_\w+)"', text)} == set(STAGES) - {""}


def test_everything_counted_is_in_some_table():
    tables = blocks_of(section_of(shop=COUNTS), "table")
    texts = {row[0].text: row[1].text for table in tables[1:] for row in table.rows}
    assert texts["Blank texts"] == "7"
    assert texts["Duplicate events"] == "3"
    assert texts["Events train"] == "8"
    assert texts["Users with history 16 to 31"] == "6"
    assert texts["Train share of top 2 percent items"] == "25 %"


def test_a_count_other_than_expected_is_a_warning_with_both_numbers():
    counts = COUNTS | {"warning_items_expected": 12101, "warning_items_found": 5}
    (warning,) = blocks_of(section_of(shop=counts), "text")
    assert warning.is_warning
    assert warning.text == f"shop: 12{THIN}101 items were expected, but 5 were found."


def test_counts_as_expected_give_no_warning():
    assert blocks_of(section_of(shop=COUNTS), "text") == []


def test_each_dataset_has_its_figure_and_one_without_numbers_says_so():
    bare = {name: COUNTS[name] for name in ("users", "items", "events")}
    section = section_of(shop=COUNTS, fair=COUNTS, bare=bare)
    assert [f.file for f in blocks_of(section, "figure")] == ["data/shop.svg", "data/fair.svg"]
    (warning,) = blocks_of(section, "text")
    assert warning.text == "bare: neither history lengths nor popularity were counted."


@pytest.mark.parametrize(
    ("kept", "title"),
    [("users_with_history", "History lengths"), ("train_share", "Popularity of the items")],
)
def test_one_of_both_is_drawn_alone(kept, title):
    counts = {name: value for name, value in COUNTS.items() if name.startswith(kept)}
    (figure,) = blocks_of(section_of(shop=counts), "figure")
    assert [panel.title for panel in figure.panels] == [title]


def test_no_data_report_at_all_is_said():
    (text,) = section_of().blocks
    assert text.is_warning
    assert text.text == "No data report was found."
