"""The report as a browser shows it: nothing fetched, readable, usable by keyboard."""

import re

import pytest

from tests.browser import DESKTOP, PHONE, Browser, complaints

OPEN_ALL = "document.querySelectorAll('details').forEach(part => { part.open = true })"
FOCUS = "document.activeElement"


def luminance(color: str) -> float:
    """Relative luminance of ``rgb(r, g, b)``, as WCAG 2 defines it."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(browser: Browser, selector: str, paint: str) -> float:
    """How much an element's paint stands out from the page, from 1 to 21."""
    style = f"getComputedStyle(document.querySelector('{selector}')).{paint}"
    ink = luminance(browser.run(style))
    page = luminance(browser.run("getComputedStyle(document.body).backgroundColor"))
    return (max(ink, page) + 0.05) / (min(ink, page) + 0.05)


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nothing_is_fetched_and_the_console_stays_empty(browser, report, size):
    browser.open(report, size)
    browser.run(OPEN_ALL)
    asked = [
        event["params"]["request"]["url"]
        for event in browser.events
        if event.get("method") == "Network.requestWillBeSent"
    ]
    assert report.as_uri() in asked
    assert [url for url in asked if url != report.as_uri() and not url.startswith("data:")] == []
    assert complaints(browser) == []


def test_a_complaint_of_the_page_would_be_seen(browser, report):
    browser.open(report)
    browser.run("console.error('a fault')")
    browser.run("setTimeout(() => { throw new Error('another') })")
    browser.run("new Promise(done => setTimeout(done, 50))")
    assert len(complaints(browser)) == 2


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


def test_every_figure_has_a_name_and_a_description_for_a_screen_reader(browser, report):
    browser.open(report)
    tree = browser.call("Accessibility.getFullAXTree")["nodes"]
    roles = ("image", "img", "graphics-document")
    images = [node for node in tree if node.get("role", {}).get("value") in roles]
    assert len(images) == browser.run("document.querySelectorAll('figure img').length") > 5
    for node in images:
        assert len(node["name"]["value"].split()) > 8


def test_contents_lead_to_every_section(browser, report):
    browser.open(report)
    links = browser.run("[...document.querySelectorAll('nav a')].map(a => a.hash.slice(1))")
    ids = browser.run("[...document.querySelectorAll('main > section')].map(part => part.id)")
    assert set(ids) <= set(links)
    every = browser.run("[...document.querySelectorAll('[id]')].map(part => part.id)")
    assert set(links) <= set(every)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_is_wider_than_the_screen(browser, report, scheme):
    browser.open(report, PHONE, scheme)
    assert browser.run("document.querySelector('nav details').open") is False
    browser.run(OPEN_ALL)
    assert browser.run("document.documentElement.scrollWidth") <= PHONE[0]
    assert browser.run("innerWidth") == PHONE[0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_and_figures_stand_out_in_both_color_schemes(browser, report, scheme):
    browser.open(report, DESKTOP, scheme)
    page = luminance(browser.run("getComputedStyle(document.body).backgroundColor"))
    assert page < 0.03 if scheme == "dark" else page > 0.9
    assert contrast(browser, "section p", "color") > 7
    inverted = browser.run("getComputedStyle(document.querySelector('figure.plot img')).filter")
    assert ("invert(" in inverted) == (scheme == "dark")
    for name in ("a[download]", ".source", "td small", ".warning"):
        assert contrast(browser, name, "color") > 4.5, name


def test_what_could_not_run_is_told_with_the_last_line_of_its_log(browser, report):
    browser.open(report)
    said = browser.run("document.querySelector('#missing').textContent")
    assert "logs/train_backbone/shop/small/random/sasrec/1.log" in said
    assert "the loss is nan at epoch 2; lower lr." in said
