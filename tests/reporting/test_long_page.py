"""A page of the paper's size in a browser: it opens soon, is whole without scripts, and prints."""

from dataclasses import replace
from pathlib import Path

from ace_steps.reporting.differences import difference_section
from ace_steps.reporting.page import Page, Section, Table, TableCell, html, numbered
from ace_steps.reporting.provenance import run_section
from ace_steps.reporting.report import build
from ace_steps.reporting.scores import result_section, setups
from tests.browser import PHONE, Browser, complaints
from tests.reporting.made_grid import BACKBONES, DATASETS, ENCODERS, paper_artifacts, paper_config

WIDER = "[...document.querySelectorAll('{} div.scroll')].filter(d => d.scrollWidth > d.clientWidth)"


def page_of(n_parts: int) -> Page:
    """A page whose second section has parts, each with a table of two numbers."""
    rows = ((TableCell("1", 1.0),), (TableCell("2", 2.0),))
    parts = tuple(
        Section(f"Part {i}", f"part-{i}", (Table(f"Of {i}.", ("number",), rows, "a file"),))
        for i in range(n_parts)
    )
    sections = (Section("First", "first"), Section("Parts", "parts", (), parts))
    return numbered(Page("A page", "of parts", sections))


def test_a_page_is_whole_without_scripts_and_in_print(browser, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(html(page_of(40), ""))
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


def repeated(section: Section, n_parts: int) -> Section:
    """A section with its only part several times."""
    (part,) = section.parts
    parts = (replace(part, anchor=f"{part.anchor}-{i}") for i in range(n_parts))
    return replace(section, parts=tuple(parts))


def paper_page() -> Page:
    """The paper's whole grid; its hundreds of figures are one setup's, drawn once."""
    one = paper_config(DATASETS[:1], ENCODERS[:1], BACKBONES[:1])
    page, whole = build(paper_artifacts(one)), paper_artifacts(paper_config())
    n_pairs = len(DATASETS) * len(ENCODERS)
    n_parts = {"geometry": n_pairs, "recommendation": n_pairs * len(BACKBONES)}
    setups_of_all = setups(whole.runs, whole.metrics, whole.config)
    differences = difference_section(whole, setups_of_all)
    real = {
        section.anchor: section
        for section in (result_section(whole, setups_of_all), differences, run_section(whole))
    }
    sections = (
        repeated(s, n_parts[s.anchor]) if s.anchor in n_parts else real.get(s.anchor, s)
        for s in page.sections
    )
    return numbered(replace(page, sections=tuple(sections)))


def seconds_to_open(browser: Browser, path: Path) -> float:
    """Processor time of the page's main thread until it is loaded; it can do nothing before."""
    browser.call("Performance.enable", timeDomain="threadTicks")
    browser.open(path)
    metrics = browser.call("Performance.getMetrics")["metrics"]
    browser.call("Performance.disable")
    return {each["name"]: each["value"] for each in metrics}["TaskDuration"]


def test_a_page_of_the_papers_size_opens_in_two_seconds_and_cuts_no_verdict(browser, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(html(paper_page(), "figures"))
    # The page's own seconds of processor time: what else the machine does is not counted.
    assert min(seconds_to_open(browser, path) for _ in range(3)) < 2
    assert browser.run("document.querySelectorAll('thead button').length") > 1000
    browser.run("document.querySelectorAll('details').forEach(part => { part.open = true })")
    assert browser.run(f"{WIDER.format('#result')}.length") == 0
    assert browser.run(f"{WIDER.format('#differences')}.length") == 0
    browser.open(path, PHONE)
    assert browser.run("document.documentElement.scrollWidth") <= PHONE[0]
    assert complaints(browser) == []
