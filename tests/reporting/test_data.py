import re
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from matplotlib.figure import Figure as Canvas

from ace_steps.io.provenance import Provenance
from ace_steps.preprocess import pipeline
from ace_steps.reporting.data import (
    STAGES,
    TEXT_HEADS,
    data_section,
    history_bins,
    history_panel,
    popularity_panel,
    popularity_points,
    text_tables,
)
from ace_steps.reporting.formatting import MISSING
from tests.reporting.made_report import make, text_of, write

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
    axes = drawn(history_panel(history_bins(COUNTS)))
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
    axes = drawn(history_panel(bins))
    assert list(axes.get_xticks()) == [4**power for power in range(8)]
    assert list(axes.texts) == []


def test_the_popularity_curve_goes_through_every_counted_share_beside_the_diagonal():
    axes = drawn(popularity_panel(popularity_points(COUNTS)))
    diagonal, curve = axes.lines
    assert diagonal.get_xydata().tolist() == [[0, 0], [100, 100]]
    assert curve.get_xydata().tolist() == [[0, 0], [2, 25], [10, 50], [100, 100]]
    assert diagonal.get_linestyle() != curve.get_linestyle()


def test_the_figure_has_a_file_its_numbers_and_the_same_bytes_every_time():
    (figure,), (again,) = (blocks_of(section_of(shop=COUNTS), "figure") for _ in range(2))
    assert figure == again
    assert figure.file == "data/shop.svg"
    assert "History lengths. " in figure.alt
    assert "Popularity of the items. " in figure.alt
    assert "users_with_history_000016_to_000031,6.0\n" in figure.csv
    assert "train_share_of_top_02_percent_items,0.25\n" in figure.csv
    assert len(figure.csv.splitlines()) == 1 + 4
    assert ">if all items were equally popular</text>" in figure.svg
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
    assert table.heads == ("dataset", "stage", "users", "items", "events")


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
    assert warning.text == f"shop: expected 12{THIN}101 items, got 5."


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
    assert figure.alt.startswith(f"{title}. ")
    assert figure.svg.count(title) == 2  # the title and the description


def test_no_data_report_at_all_is_said():
    (text,) = section_of().blocks
    assert text.is_warning
    assert text.text == "No data report was found."


def texts_of(facts):
    """The cells of the only row by the head of their column, for vectors with these facts."""
    note = Provenance("merge_vectors", facts=facts)
    (table,) = text_tables({("shop", "small"): note}, "results")
    return dict(zip(table.heads, [cell.text for cell in table.rows[0]], strict=True))


def test_the_mean_length_and_the_share_that_was_cut_are_of_distinct_texts():
    facts = {"n_texts": 400, "n_tokens": 15_000, "n_truncated": 10, "max_tokens": 256}
    facts["n_tokens_longest"] = 201
    assert texts_of(facts) == {
        "dataset": "shop",
        "encoder": "small",
        "distinct texts": "400",
        "tokens": f"15{THIN}000",
        "tokens of a text, mean": "37.5",
        "longest": "201",
        "most allowed": "256",
        "truncated": "10",
        "share truncated": "2.5 %",
    }


def test_that_nothing_was_cut_is_told_from_that_nobody_counted():
    counted = {"n_texts": 4, "n_tokens": 8, "n_truncated": 0, "max_tokens": 256}
    assert texts_of(counted)["truncated"] == "0"
    assert texts_of(counted)["share truncated"] == "0 %"
    found = texts_of({"n_texts": 4})
    assert [found[label] for label in TEXT_HEADS] == ["4", *[MISSING] * 6]


def test_vectors_that_were_made_elsewhere_read_no_text_here():
    imported = Provenance("import_vectors", facts={"model": None, "width": 8, "zero_items": 0})
    assert text_tables({("shop", "own"): imported}, "results") == []


def test_the_data_section_of_a_report_shows_every_encoder(tmp_path):
    make(tmp_path)
    assert write(tmp_path) == 0
    section = text_of(tmp_path, "report.md").split("Data\n", 1)[1].split("\n## ")[0]
    row = f"| shop | small | 1{THIN}340 | 51{THIN}901 | 38.73 | 256 | 256 | 67 | 5 % |"
    assert row in section
    (tmp_path / "results/preprocess/shop/data_report.parquet").unlink()
    assert write(tmp_path) == 0
    assert row in text_of(tmp_path, "report.md")
