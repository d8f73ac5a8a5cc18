"""The section on new items: made where tables are, traceable, the same in both forms."""

import re
from itertools import product

import polars as pl
import pytest

from ace_steps.config.grid import Run
from ace_steps.evaluation.metrics import CUTOFFS, METRICS
from ace_steps.io.parquet import write_table
from ace_steps.io.tables import COLD_ITEMS
from tests.reporting.made_report import CONFIG, make, text_of, write
from tests.reporting.made_results import MADE, made_config

CHOSEN = Run("shop", "small", "ace-lambda_5", "sasrec", 1)
N_NEW, N_ALL, N_TARGETS = 40, 300, 25
VALUES = {  # Recall@20 of vectors, targets, candidates
    ("folded_in", "new", "new"): 0.64,
    ("folded_in", "new", "all"): 0.04,
    ("folded_in", "known", "all"): 0.33,
    ("random", "new", "new"): 0.48,
    ("random", "new", "all"): 0.0,
    ("random", "known", "all"): 0.32,
}
HEADING = "New items, which training has not seen"


def put(folder, run: Run, values=VALUES):
    """A table of new items as rank_cold_items leaves it; @50 is more by 0.1, all else is 0.01."""
    rows = [
        {
            **run._asdict(),
            "vectors": vectors,
            "targets": targets,
            "candidates": candidates,
            "metric": metric,
            "cutoff": cutoff,
            "value": {20: value, 50: value + 0.1}.get(cutoff, 0.01) if metric == "recall" else 0.01,
            "n_targets": N_TARGETS if targets == "new" else 275,
            "n_candidates": N_NEW if candidates == "new" else N_ALL,
        }
        for (vectors, targets, candidates), value in values.items()
        for metric, cutoff in product(METRICS, CUTOFFS)
    ]
    path = folder.joinpath("results/recommend", *map(str, run), "cold_items.parquet")
    write_table(pl.DataFrame(rows), COLD_ITEMS, path, MADE)
    return path


def section(folder) -> str:
    """The section of the Markdown, without its number."""
    (found,) = re.findall(
        rf"## \d+\. {HEADING}\n(.*?)(?=\n## |\Z)", text_of(folder, "report.md"), re.S
    )
    return found


def cells(text: str, refinement: str, vectors: str) -> list[str]:
    """The first row of a refinement and a kind of vector."""
    start = re.escape(f"| {refinement} | {vectors} |")
    (row, *_) = re.findall(rf"^{start} (.*) \|$", text, re.M)
    return row.split(" | ")


def test_recall_of_new_items_is_shown_by_what_stands_for_their_vectors(tmp_path):
    make(tmp_path)
    put(tmp_path, CHOSEN)
    assert write(tmp_path) == 0
    text = section(tmp_path)
    scores = [".64", ".74", ".04", ".14", ".33"]
    assert cells(text, "ace (λ = 5)", "folded in") == ["25", *(f"0{s}00" for s in scores)]
    controls = ["25", "0.4800", "0.5800", "0.0000", "0.1000", "0.3200"]
    assert cells(text, "ace (λ = 5)", "random (control)") == controls
    assert "40 of 300 items held out" in text
    assert "mapped |" not in text  # a kind that the table does not hold has no row
    assert text.count("new among new |") == text.count("known among all |") == 2  # all metrics
    source = "`results/recommend/shop/small/<refinement>/<backbone>/<seed>/cold_items.parquet`"
    assert text.count(f"Source: {source}") == 2


def test_without_tables_nothing_is_said_and_nothing_is_missed(tmp_path):
    make(tmp_path)
    assert write(tmp_path) == 0
    for name in ("report.html", "report.md"):
        assert HEADING not in text_of(tmp_path, name)
        assert "cold_items.parquet" not in text_of(tmp_path, name)


def test_points_that_were_not_chosen_are_not_shown(tmp_path):
    make(tmp_path)
    put(tmp_path, CHOSEN._replace(refinement="ace-lambda_50"))
    assert write(tmp_path) == 0
    assert HEADING not in text_of(tmp_path, "report.md")


def test_what_the_report_was_to_show_and_is_not_there_is_said_with_the_jobs_last_word(tmp_path):
    config = {**CONFIG, "cold_items": {"share": 0.1, "seed": 0, "in_report": True}}
    make(tmp_path, config)
    put(tmp_path, CHOSEN)
    lost = CHOSEN._replace(refinement="random")
    log = tmp_path.joinpath("logs/rank_cold_items", *map(str, lost)).with_suffix(".log")
    log.parent.mkdir(parents=True)
    log.write_text("no test target is among the items that are hidden.\n")
    assert write(tmp_path, config) == 0
    text = text_of(tmp_path, "report.md")
    assert HEADING in text
    name = "/".join(map(str, lost))
    row = f"| results/recommend/{name}/cold\\_items.parquet | no test target is among the items"
    assert row in text
    assert "results/recommend/shop/small/ace-lambda_5/sasrec/1/cold" not in text


def test_random_stands_for_every_encoder(tmp_path):
    config = made_config([5], [1], ("random",))
    config["encoders"]["large"] = config["encoders"]["small"]
    make(tmp_path, config, {"random": 0.3, 5: 0.9})
    put(tmp_path, Run("shop", "small", "random", "sasrec", 1))
    assert write(tmp_path, config) == 0
    text = section(tmp_path)
    assert "### shop · small · sasrec" in text
    assert "### shop · large · sasrec" in text
    assert len(re.findall(r"^\| random init \| folded in \| 25 ", text, re.M)) == 2


@pytest.mark.parametrize("kind", ["damaged", "another table"])
def test_an_unusable_table_is_refused(tmp_path, capfd, kind):
    make(tmp_path)
    path = put(tmp_path, CHOSEN)
    other = tmp_path / "results/report/metrics.parquet"
    path.write_bytes(path.read_bytes()[:-20] if kind == "damaged" else other.read_bytes())
    assert write(tmp_path) == 2
    assert str(path) in capfd.readouterr().err
