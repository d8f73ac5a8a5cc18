"""write_report on one run of everything: the page, the Markdown, the summary, the figures."""

import math
import re
from urllib.parse import unquote

import polars as pl
import pytest

from ace_steps.io.parquet import read_table
from ace_steps.io.tables import RANKS
from tests.reporting.made_report import N_USERS, Page, make, text_of, write


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A report of one run of everything; not to be changed."""
    folder = tmp_path_factory.mktemp("written")
    make(folder)
    assert write(folder) == 0
    return folder


def test_the_page_asks_nothing_of_any_other(written):
    page = Page(text_of(written, "report.html"))
    assert page.links
    assert [link for link in page.links if not link.startswith(("#", "data:"))] == []
    text = text_of(written, "report.html")
    assert set(re.findall(r"https?://[^\"' <>)]+", text)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert "@import" not in text
    assert not re.findall(r"url\((?!#)", text)


def test_every_figure_is_described_in_words(written):
    page = Page(text_of(written, "report.html"))
    assert (
        len(page.images) == 8
    )  # data, spectra, grid, grid on test, geometry, slices, curves, cost
    assert all(len(alt.split()) > 8 for alt in page.images)


def test_no_id_is_used_twice_and_every_reference_leads_somewhere(written):
    page = Page(text_of(written, "report.html"))
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)


def test_page_markdown_and_summary_agree_on_the_chosen_point(written):
    (row,) = re.findall(r'<tr class="is-chosen">.*?</tr>', text_of(written, "report.html"), re.S)
    assert "ace (λ = 5)" in row
    assert "ace (λ = 5) (chosen)" in text_of(written, "report.md")
    assert "ace (λ = 5)" in text_of(written, "summary.txt")
    assert "ace (λ = 50)" not in text_of(written, "summary.txt")


def test_the_main_table_holds_what_counting_the_ranks_gives(written):
    (folder,) = (written / "results" / "rank").glob("shop/small/random/sasrec/1")
    table = read_table(folder / "ranks.parquet", RANKS).filter(pl.col("split") == "test")
    ranks = table["rank"].to_list()
    n_found = sum(rank <= 20 for rank in ranks)
    gain = sum(1 / math.log2(rank + 1) for rank in ranks if rank <= 10)
    line = text_of(written, "summary.txt").splitlines()[3].replace("*", "").split()
    assert line[:2] == ["random", "init"]
    assert float(line[4]) == pytest.approx(n_found / N_USERS, abs=5e-5)
    assert float(line[5]) == pytest.approx(gain / N_USERS, abs=5e-5)


def test_changes_are_against_the_baseline_of_the_same_column(written):
    lines = text_of(written, "summary.txt").splitlines()[3:6]
    scores = {line.split()[0]: line.replace("*", "").split()[-4:] for line in lines}
    ratio = float(scores["whitening"][0]) / float(scores["random"][0]) - 1
    (row,) = re.findall(
        r"^\| whitening \|.*$", text_of(written, "report.md").split("## 2.")[0], re.M
    )
    shown = float(re.findall(r"\(([+\u2212].*?) %\)", row)[1].replace("\u2212", "-"))
    assert shown == pytest.approx(100 * ratio, abs=0.2)


def test_page_and_markdown_show_the_same_tables(written):
    page, markdown = text_of(written, "report.html"), text_of(written, "report.md")
    captions = re.findall(r"<b>(Table \d+)\.</b>", page)
    assert captions == re.findall(r"(Table \d+)\.", markdown)
    assert page.count("<tr") == len(re.findall(r"^\|(?! :?-)", markdown, re.M))


def test_the_summary_is_a_small_table_that_ends_with_the_report(written):
    lines = text_of(written, "summary.txt").splitlines()
    assert [line.split()[0] for line in lines[3:6]] == ["random", "whitening", "ace"]
    assert lines[-1].startswith("Report: ")
    assert lines[-1].endswith("report.html")
    assert max(map(len, lines[:6])) < 100


def test_every_table_and_figure_names_its_source(written):
    page = text_of(written, "report.html")
    assert page.count('<p class="source">Source: <code>') == len(
        re.findall(r"<b>(?:Table|Figure) \d+\.</b>", page)
    )


def test_figures_are_files_too_and_the_markdown_shows_them(written):
    report = written / "results" / "report"
    setup = "shop/small/sasrec.svg"
    for name in ("data/shop.svg", "spectra/shop/small.svg", f"grid/{setup}", f"curves/{setup}"):
        assert f"](figures/{name})" in text_of(written, "report.md")
        text = (report / "figures" / name).read_text()
        assert "<title" in text


def test_the_numbers_of_a_figure_lie_beside_it_and_in_the_page(written):
    folder = written / "results" / "report" / "figures"
    images = sorted(folder.rglob("*.svg"))
    assert [path.with_suffix(".csv") for path in images] == sorted(folder.rglob("*.csv"))
    page = Page(text_of(written, "report.html"))
    embedded = [link.partition(",")[2] for link in page.links if link.startswith("data:text/csv")]
    beside = [path.with_suffix(".csv").read_text() for path in images]
    assert sorted(map(unquote, embedded)) == sorted(beside)
    assert all(len(text.splitlines()) > 1 for text in beside)


def test_a_figure_of_an_earlier_configuration_does_not_stay(tmp_path):
    make(tmp_path)
    assert write(tmp_path) == 0
    folder = tmp_path / "results/report/figures"
    first = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    killed = folder / ".grid.part" / "shop" / "small" / "old.svg"  # as kill -9 leaves it
    killed.parent.mkdir(parents=True)
    for path in (killed, folder / "grid" / "gone.svg"):
        path.write_text("<svg/>")
    assert write(tmp_path) == 0
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == first


def test_test_scores_are_drawn_apart_and_said_to_play_no_part(written):
    report = written / "results/report/figures"
    test = (report / "grid_test/shop/small/sasrec.csv").read_text()
    assert ",test," in test
    assert ",valid," not in test
    assert ",test," not in (report / "grid/shop/small/sasrec.csv").read_text()
    assert "this curve played no part in the choice" in text_of(written, "report.html")


def test_the_same_inputs_give_the_same_bytes(written, tmp_path):
    make(tmp_path)
    assert write(tmp_path) == 0
    for name in ("report.html", "report.md"):
        assert text_of(tmp_path, name) == text_of(written, name)


def test_no_path_of_this_machine_and_no_missing_value_is_shown(written):
    for name in ("report.html", "report.md"):
        assert str(written) not in text_of(written, name)
        assert not re.search(r"\b(None|nan|NaN)\b", text_of(written, name).split("<script>")[0])
