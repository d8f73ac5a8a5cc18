"""The page as a browser shows it: nothing fetched, readable, sortable, usable by keyboard."""

import re
from dataclasses import replace

import polars as pl
import pytest

from ace_steps.reporting.differences import difference_section
from ace_steps.reporting.formatting import MINUS, MISSING
from ace_steps.reporting.page import Page, Section, Table, cell, html
from ace_steps.reporting.report import build
from tests.browser import DESKTOP, PHONE, complaints

OPEN_ALL = "document.querySelectorAll('details').forEach(part => { part.open = true })"
FOCUS = "document.activeElement"
TABLE = "document.querySelector('#table-1 table')"
HEAD = f"{TABLE}.tHead.rows[0].cells[0]"


def test_numbers_that_are_missing_are_dashes_and_columns_of_numbers_stand_right():
    table = Table("", ["a", "b"], [["x", 1.5], ["y", None], ["z", float("nan")]], "")
    assert [row[1].text for row in table.rows] == ["1.5", MISSING, MISSING]
    assert table.is_numeric == [False, True]


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nothing_is_fetched_nothing_is_too_wide_and_the_console_stays_empty(browser, report, size):
    browser.open(report, size)
    assert browser.run("document.querySelector('nav details').open") is (size == DESKTOP)
    browser.run(OPEN_ALL)
    requests = [
        event["params"]["request"]["url"]
        for event in browser.events
        if event.get("method") == "Network.requestWillBeSent"
    ]
    assert report.as_uri() in requests
    assert {url for url in requests if not url.startswith("data:")} == {report.as_uri()}
    assert browser.run("document.documentElement.scrollWidth") <= size[0]
    assert complaints(browser) == []
    browser.run("setTimeout(() => { throw new Error('a fault') })")
    browser.run("new Promise(done => setTimeout(done, 50))")
    assert len(complaints(browser)) == 1


def test_the_keyboard_alone_sorts_unfolds_and_always_shows_where_it_is(browser, report):
    browser.open(report)
    browser.press("Tab")
    assert browser.run(f"{FOCUS}.textContent") == "Skip to the report"
    assert browser.run(f"{FOCUS}.getBoundingClientRect().left") >= 0
    visited = set()
    for _ in range(60):
        browser.press("Tab")
        assert browser.run(f"getComputedStyle({FOCUS}).outlineStyle") != "none"
        where = browser.run(f"{FOCUS}.closest('th') ? 'head' : {FOCUS}.localName")
        if where not in visited and where == "head":
            browser.press("Enter")
            assert browser.run(f"{FOCUS}.closest('th').getAttribute('aria-sort')") is not None
        if where not in visited and where == "summary":
            was_open = browser.run(f"{FOCUS}.parentElement.open")
            browser.press("Space")
            assert browser.run(f"{FOCUS}.parentElement.open") is not was_open
        visited.add(where)
    assert {"head", "summary", "a", "div"} <= visited  # div: a table's scrolling frame


def luminance(color):
    """Relative luminance of ``rgb(r, g, b)``, as WCAG 2 defines it."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_and_figures_stand_out_in_both_color_schemes(browser, report, scheme):
    browser.open(report, DESKTOP, scheme)
    page = luminance(browser.run("getComputedStyle(document.body).backgroundColor"))
    assert page < 0.03 if scheme == "dark" else page > 0.9
    inverted = browser.run("getComputedStyle(document.querySelector('figure.plot img')).filter")
    assert ("invert(" in inverted) == (scheme == "dark")
    least = {"section p": 7, "a[download]": 4.5, ".source": 4.5, "td small": 4.5, ".warning": 4.5}
    for selector, contrast in least.items():
        ink = luminance(
            browser.run(f"getComputedStyle(document.querySelector('{selector}')).color")
        )
        assert (max(ink, page) + 0.05) / (min(ink, page) + 0.05) > contrast, selector


INF = float("inf")
COLUMNS = {  # cells, their texts in ascending order, how many at the end are missing
    "numbers by value": (
        [cell(v) for v in (-2.0, None, 10.0, -0.5, float("nan"), 9.0, INF, -INF)],
        ["-inf", f"{MINUS}2", f"{MINUS}0.5", "9", "10", "inf"],
        2,
    ),
    "texts as people read them": (
        [cell(text) for text in ("item 10", MISSING, "\u00e9tude", "zebra", "Item 9", "eta")],
        ["eta", "\u00e9tude", "Item 9", "item 10", "zebra"],
        1,
    ),
    "numbers before texts": (
        [cell("cpu"), cell(5), cell(None), cell("cuda"), cell(-7)],
        [f"{MINUS}7", "5", "cpu", "cuda"],
        1,
    ),
}


@pytest.mark.parametrize(("cells", "ascending", "n_missing"), COLUMNS.values(), ids=COLUMNS)
def test_a_click_sorts_a_second_one_reverses_and_what_is_missing_is_last_in_both(
    browser, tmp_path, cells, ascending, n_missing
):
    table = Table("Of one column.", ["a column"], [[each] for each in cells], "a file")
    path = tmp_path / "page.html"
    path.write_text(html(Page("A page", "", [Section("A", "a", [table])]), ""))
    browser.open(path)
    is_number = browser.run(f"{HEAD}.classList.contains('number')")
    directions = ["descending", "ascending"] if is_number else ["ascending", "descending"]
    for direction in directions:
        browser.run(f"{HEAD}.querySelector('button').click()")
        assert browser.run(f"{HEAD}.getAttribute('aria-sort')") == direction
        texts = browser.run(f"[...{TABLE}.tBodies[0].rows].map(row => row.textContent.trim())")
        ordered = ascending if direction == "ascending" else ascending[::-1]
        assert texts == ordered + [MISSING] * n_missing
    assert complaints(browser) == []


def test_a_page_is_whole_without_scripts_and_in_print(browser, tmp_path):
    parts = [
        Section(f"Part {i}", f"part-{i}", [Table(f"Of {i}.", ["number"], [[1.0], [2.0]], "a file")])
        for i in range(40)
    ]
    path = tmp_path / "page.html"
    path.write_text(html(Page("A page", "of parts", [Section("Parts", "parts", [], parts)]), ""))
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(path)
        document = browser.call("DOM.getDocument")["root"]["nodeId"]
        tables = browser.call("DOM.querySelectorAll", nodeId=document, selector="table")
        assert len(tables["nodeIds"]) == 40
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
    browser.open(path)
    browser.call("Emulation.setEmulatedMedia", media="print")
    try:
        shown = "getComputedStyle(document.querySelector('#part-39')).contentVisibility"
        assert browser.run(shown) == "visible"
    finally:
        browser.call("Emulation.setEmulatedMedia", media="")


def paper_page(artifacts):
    """A page of four datasets, four encoders and three backbones: one setup's parts, repeated."""
    page = build(artifacts)
    for section in page.sections:
        n_parts = {"geometry": 16, "recommendation": 48}.get(section.anchor, len(section.parts))
        section.parts = [
            replace(section.parts[0], anchor=f"{section.anchor}-{i}") for i in range(n_parts)
        ]
    compared = [
        artifacts.comparisons.with_columns(
            dataset=pl.lit(dataset), encoder=pl.lit(encoder), backbone_entry=pl.lit(backbone)
        )
        for dataset in ("beauty", "toys", "yelp", "ml-20m")
        for encoder in ("smollm2", "minilm", "qwen3", "openai-3-large")
        for backbone in ("sasrec", "gru4rec", "bert4rec")
    ]
    page.sections[1] = difference_section(replace(artifacts, comparisons=pl.concat(compared)), [])
    return Page(page.title, page.subtitle, page.sections)


def seconds_to_open(browser, path):
    """Processor time of the page's main thread until it is loaded; it can do nothing before."""
    browser.call("Performance.enable", timeDomain="threadTicks")
    browser.open(path)
    metrics = browser.call("Performance.getMetrics")["metrics"]
    browser.call("Performance.disable")
    return {each["name"]: each["value"] for each in metrics}["TaskDuration"]


def test_a_page_of_the_papers_size_opens_in_two_seconds_and_cuts_no_verdict(
    browser, artifacts, tmp_path
):
    path = tmp_path / "report.html"
    path.write_text(html(paper_page(artifacts), "figures"))
    # The page's own seconds of processor time: what else the machine does is not counted.
    assert min(seconds_to_open(browser, path) for _ in range(3)) < 2
    assert browser.run("document.querySelectorAll('thead button').length") > 1000
    browser.run(OPEN_ALL)
    for part in ("result", "differences"):
        frames = f"[...document.querySelectorAll('#{part} div.scroll')]"
        assert browser.run(f"{frames}.filter(d => d.scrollWidth > d.clientWidth).length") == 0
    browser.open(path, PHONE)
    assert browser.run("document.documentElement.scrollWidth") <= PHONE[0]
    assert complaints(browser) == []
