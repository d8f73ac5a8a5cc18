"""write_report: page, Markdown, summary and figures; what is missing, and what is refused."""

import math
import re
import shutil
from urllib.parse import unquote

import polars as pl
import pytest

from ace_steps.io.parquet import read_table
from ace_steps.io.tables import RANKS
from tests.reporting.made_report import N_USERS, Page, draw_nothing, make, text_of, write
from tests.reporting.made_results import made_config


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A report of one run of everything; not to be changed."""
    folder = tmp_path_factory.mktemp("written")
    make(folder)
    assert write(folder) == 0
    return folder


@pytest.fixture
def folder(written, tmp_path):
    """A copy of it to change."""
    return shutil.copytree(written, tmp_path / "run")


def test_the_page_asks_nothing_of_any_other_and_its_references_lead_somewhere(written):
    text = text_of(written, "report.html")
    page = Page(text)
    assert page.links
    assert [link for link in page.links if not link.startswith(("#", "data:"))] == []
    assert set(re.findall(r"https?://[^\"' <>)]+", text)) <= {"http://www.w3.org/2000/svg"}
    assert "@import" not in text
    assert not re.findall(r"url\((?!#)", text)
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)


def test_page_markdown_and_summary_agree_on_the_chosen_grid_point(written):
    (row,) = re.findall(r'<tr class="is-chosen">.*?</tr>', text_of(written, "report.html"), re.S)
    assert "ace (λ = 5)" in row
    assert "ace (λ = 5) (chosen)" in text_of(written, "report.md")
    lines = text_of(written, "summary.txt").splitlines()
    assert [line.split()[0] for line in lines[3:6]] == ["random", "whitening", "ace"]
    assert "ace (λ = 5)" in lines[5]
    assert lines[-1].startswith("Report: ")
    assert max(map(len, lines[:6])) < 100


def test_the_main_table_holds_what_counting_the_ranks_gives(written):
    path = written / "results/rank/shop/small/random/sasrec/1/ranks.parquet"
    ranks = read_table(path, RANKS).filter(pl.col("split") == "test")["rank"].to_list()
    recall = sum(rank <= 20 for rank in ranks) / N_USERS
    ndcg = sum(1 / math.log2(rank + 1) for rank in ranks if rank <= 10) / N_USERS
    lines = text_of(written, "summary.txt").splitlines()[3:6]
    scores = {line.split()[0]: line.replace("*", "").split()[-4:] for line in lines}
    assert [float(each) for each in scores["random"][1:3]] == pytest.approx(
        [recall, ndcg], abs=5e-5
    )
    ratio = float(scores["whitening"][0]) / float(scores["random"][0]) - 1
    result = text_of(written, "report.md").split("## 2.")[0]
    (row,) = re.findall(r"^\| whitening \|.*$", result, re.M)
    change = float(re.findall(r"\(([+\u2212].*?) %\)", row)[1].replace("\u2212", "-"))
    assert change == pytest.approx(100 * ratio, abs=0.2)


def test_page_and_markdown_show_the_same_tables_and_figures_with_their_sources(written):
    page, markdown = text_of(written, "report.html"), text_of(written, "report.md")
    captions = re.findall(r"<b>((?:Table|Figure) \d+)\.</b>", page)
    assert captions == re.findall(r"((?:Table|Figure) \d+)\.", markdown)
    assert page.count('<p class="source">Source: <code>') == len(captions)
    assert page.count("<tr") == len(re.findall(r"^\|(?! :?-)", markdown, re.M))


def test_figures_and_their_numbers_are_files_and_in_the_page(written):
    folder = written / "results/report/figures"
    images = sorted(folder.rglob("*.svg"))
    assert {path.relative_to(folder).parts[0] for path in images} == {
        *("data", "spectra", "grid", "grid_test", "geometry", "differences", "slices", "curves"),
        "cost",
    }
    assert [path.with_suffix(".csv") for path in images] == sorted(folder.rglob("*.csv"))
    page = Page(text_of(written, "report.html"))
    assert len(page.images) == len(images)
    assert all(len(alt.split()) > 8 for alt in page.images)
    embedded = [link.partition(",")[2] for link in page.links if link.startswith("data:text/csv")]
    numbers = [path.with_suffix(".csv").read_text() for path in images]
    assert sorted(map(unquote, embedded)) == sorted(numbers)
    assert all(len(text.splitlines()) > 1 for text in numbers)
    for path in images:
        assert f"](figures/{path.relative_to(folder)})" in text_of(written, "report.md")


def test_test_scores_are_drawn_apart_and_said_to_play_no_part(written):
    figures = written / "results/report/figures"
    on_test = (figures / "grid_test/shop/small/sasrec.csv").read_text()
    assert ",test," in on_test
    assert ",valid," not in on_test
    assert ",test," not in (figures / "grid/shop/small/sasrec.csv").read_text()
    assert "this curve played no part in the choice" in text_of(written, "report.html")


def test_the_same_inputs_give_the_same_files_and_no_figure_of_an_earlier_configuration_stays(
    written, folder
):
    figures = folder / "results/report/figures"
    killed = figures / ".grid.part/shop/small/old.svg"  # as kill -9 leaves it
    killed.parent.mkdir(parents=True)
    for path in (killed, figures / "grid/gone.svg"):
        path.write_text("<svg/>")
    assert write(folder) == 0
    before, after = (
        {
            path.relative_to(each): path.read_bytes()
            for path in (each / "results/report").rglob("*.*")
            if path.name != "summary.txt"  # names the folder
        }
        for each in (written, folder)
    )
    assert after == before


def test_no_path_of_this_machine_and_no_missing_value_is_shown(written):
    for name in ("report.html", "report.md"):
        assert str(written) not in text_of(written, name)
        assert not re.search(r"\b(None|nan|NaN)\b", text_of(written, name).split("<script>")[0])


def test_encoders_seeds_and_a_backbone_grid_each_have_their_place(tmp_path, monkeypatch):
    draw_nothing(monkeypatch)
    config = made_config([0, 5], [1, 2], ("random",))
    config["encoders"]["large"] = config["encoders"]["small"]
    config["backbones"]["sasrec"]["training"]["lr"] = [0.0005, 0.001]
    config["datasets"]["shop"]["template"] = "<script>alert(1)</script> {title}"
    make(tmp_path, config, {"random": 0.3, 0: 0.5, 5: 0.8})
    assert write(tmp_path, config) == 0
    text = text_of(tmp_path, "report.html")
    page = Page(text)
    assert len(page.ids) == len(set(page.ids))
    for pair in ("shop-small", "shop-large"):
        assert f"geometry-{pair}" in page.ids
        assert f"scores-{pair}-sasrec" in page.ids
    assert "± 0.0" in text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
    summary = text_of(tmp_path, "summary.txt")
    assert summary.count("ace (λ = 5)") == 2
    assert re.search(r"lr = 0.0005|lr = 0.001", summary)


def test_without_a_grid_and_without_a_baseline_nothing_is_compared(tmp_path, monkeypatch):
    draw_nothing(monkeypatch)
    config = made_config([5], [1], ("whitening",))
    config["refinements"]["ace"]["lambda"] = 5
    make(tmp_path, config, {"whitening": 0.3, "ace": 0.8})
    assert write(tmp_path, config) == 0
    page = text_of(tmp_path, "report.html")
    assert "No entry holds a grid" in page
    assert "change against" not in page
    assert "Gain over" not in page
    assert list((tmp_path / "results/report/figures/grid").iterdir()) == []


def test_everything_optional_may_be_missing_and_what_is_missing_is_said(folder):
    for stage in ("preprocess", "embed", "refine", "train"):
        for file in (folder / "results" / stage).rglob("*.parquet"):
            file.unlink()
    shutil.rmtree(folder / "benchmarks")
    lost = "train/shop/small/random/sasrec/1"
    log = (folder / "logs" / lost.replace("train", "train_backbone", 1)).with_suffix(".log")
    log.parent.mkdir(parents=True)
    log.write_text("epoch 1\nthe loss is nan at epoch 2; lower lr.\n")
    wider = made_config([0, 5, 50, 500], [1], ("random", "whitening"))
    assert write(folder, wider) == 0
    page = text_of(folder, "report.html")
    assert "1 run without a result." in page
    for name in (
        *("preprocess/shop/data_report.parquet", "embed/shop/small/item_vectors.parquet"),
        *("refine/shop/small/random/spectrum.parquet", f"{lost}/training_curve.parquet"),
    ):
        assert f">results/{name}</th>" in page
    assert "the loss is nan at epoch 2; lower lr." in page
    assert "benchmark files, benchmarks/&lt;rule&gt;/&lt;identity&gt;.tsv" in page
    assert "ace (λ = 5)" in page


SPECTRUM = "results/refine/shop/small/random/spectrum.parquet"
BENCHMARK = "benchmarks/rank_targets/shop/small/random/sasrec/1.tsv"
REFUSED = {  # a file, what it holds (None: it is gone), what is said
    "a damaged table": (SPECTRUM, b"PAR1", f"{SPECTRUM}: not a readable Parquet file"),
    "no metrics": ("results/report/metrics.parquet", None, "metrics.parquet: no such file."),
    "no benchmark": (BENCHMARK, b"a\tb\n1\t2\n", f"{BENCHMARK}: not a benchmark file of Snakemake"),
}


@pytest.mark.parametrize(("name", "content", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_is_refused_and_nothing_is_written(
    folder, capfd, name, content, message
):
    (folder / "results/report/report.html").unlink()
    (folder / name).unlink()
    if content:
        (folder / name).write_bytes(content)
    assert write(folder) == 2
    assert message in capfd.readouterr().err
    assert not (folder / "results/report/report.html").exists()


def test_runs_of_another_configuration_are_refused(written, capfd):
    assert write(written, made_config([7], [1])) == 2
    assert "holds no run of this configuration; run collect_metrics" in capfd.readouterr().err
