"""Sorting a table of the report in a browser: numbers by value, texts, and what is missing last."""

import pytest

from ace_steps.reporting.formatting import MISSING, number
from ace_steps.reporting.page import Page, Section, Table, TableCell, html, numbered
from tests.browser import complaints

TABLE = "document.querySelector('#table-1 table')"
COLUMN = f"[...{TABLE}.tBodies[0].rows].map(row => Number(row.cells[2].dataset.value))"


def test_a_click_sorts_by_number_and_a_second_click_turns_the_order(browser, report):
    browser.open(report)
    head = f"{TABLE}.tHead.rows[0].cells[2]"
    written = browser.run(COLUMN)
    browser.run(f"{head}.querySelector('button').click()")
    assert browser.run(f"{head}.getAttribute('aria-sort')") == "descending"
    assert browser.run(COLUMN) == sorted(written, reverse=True) != written
    browser.run(f"{head}.querySelector('button').click()")
    assert browser.run(f"{head}.getAttribute('aria-sort')") == "ascending"
    assert browser.run(COLUMN) == sorted(written)
    other = f"{TABLE}.tHead.rows[0].cells[0]"
    browser.run(f"{other}.querySelector('button').click()")
    assert browser.run(f"{head}.getAttribute('aria-sort')") is None
    names = browser.run(f"[...{TABLE}.tBodies[0].rows].map(row => row.cells[0].textContent.trim())")
    assert names == sorted(names)


VALUES = {
    "negative numbers": (
        [-2.0, None, 10.0, -0.5, None, 9.0],
        ["\u22122", "\u22120.5", "9", "10"],
    ),
    "numbers that are none or without end": (
        [float("nan"), 1.0, float("inf"), -1.0, float("-inf")],
        ["-inf", "\u22121", "1", "inf"],
    ),
}


def texts_after_click(browser, n_clicks):
    """The texts of the only column, from the top, after clicks on its head."""
    for _ in range(n_clicks):
        browser.run(f"{TABLE}.tHead.rows[0].cells[0].querySelector('button').click()")
    return browser.run(f"[...{TABLE}.tBodies[0].rows].map(row => row.textContent.trim())")


def open_column(browser, path, cells):
    """A page in the browser with one table of one column."""
    rows = tuple((cell,) for cell in cells)
    table = Table("Of one column.", ("a column",), rows, "a file")
    page = numbered(Page("A page", "", (Section("A", "a", (table,)),)))
    path.write_text(html(page, ""))
    browser.open(path)


@pytest.mark.parametrize(("values", "ascending"), VALUES.values(), ids=VALUES)
def test_numbers_sort_by_value_and_missing_ones_are_last_in_both_directions(
    browser, tmp_path, values, ascending
):
    cells = [TableCell(number(value), value) for value in values]
    open_column(browser, tmp_path / "page.html", cells)
    missing = [MISSING] * (len(values) - len(ascending))
    assert texts_after_click(browser, 1) == ascending[::-1] + missing
    assert texts_after_click(browser, 1) == ascending + missing
    assert complaints(browser) == []


def test_texts_sort_as_people_read_them_and_missing_ones_are_last_in_both_directions(
    browser, tmp_path
):
    texts = ["item 10", MISSING, "\u00e9tude", "zebra", "", "Item 9", "eta"]
    cells = [TableCell(text) for text in texts]
    open_column(browser, tmp_path / "page.html", cells)
    ascending = ["eta", "\u00e9tude", "Item 9", "item 10", "zebra"]
    assert texts_after_click(browser, 1) == [*ascending, MISSING, ""]
    assert texts_after_click(browser, 1) == [*ascending[::-1], MISSING, ""]


def test_numbers_come_before_texts_where_a_column_has_both(browser, tmp_path):
    cells = [
        TableCell("cpu"),
        TableCell("5", 5),
        TableCell(MISSING),
        TableCell("cuda"),
        TableCell("-7", -7),
    ]
    open_column(browser, tmp_path / "page.html", cells)
    assert texts_after_click(browser, 2) == ["-7", "5", "cpu", "cuda", MISSING]
