"""The section on new items: made where tables are, and silent where none was wished for."""

import shutil
from itertools import product

import polars as pl
import pytest

from ace_steps.config.grid import Run
from ace_steps.errors import InputError
from ace_steps.evaluation.metrics import CUTOFFS, METRICS
from ace_steps.io.parquet import write_table
from ace_steps.io.tables import COLD_ITEMS
from ace_steps.reporting.artifacts import read_artifacts
from ace_steps.reporting.cold_items import cold_section
from ace_steps.reporting.scores import setups
from tests.reporting.made_report import CONFIG, make
from tests.reporting.made_results import MADE, made_config

CHOSEN = Run("shop", "small", "ace-lambda_5", "sasrec", 1)
VALUES = {  # Recall@20 of vectors, targets, candidates
    ("folded_in", "new", "new"): 0.64,
    ("folded_in", "new", "all"): 0.04,
    ("folded_in", "known", "all"): 0.33,
    ("random", "new", "new"): 0.48,
    ("random", "new", "all"): 0.0,
    ("random", "known", "all"): 0.32,
}


@pytest.fixture
def folder(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


def put(folder, run):
    """A table of new items as rank_cold_items leaves it; @50 is more by 0.1, all else is 0.01."""
    rows = [
        {
            **run._asdict(),
            **{"vectors": vectors, "targets": targets, "candidates": candidates},
            **{"metric": metric, "cutoff": cutoff},
            "value": {20: value, 50: value + 0.1}.get(cutoff, 0.01) if metric == "recall" else 0.01,
            "n_targets": 25 if targets == "new" else 275,
            "n_candidates": 40 if candidates == "new" else 300,
        }
        for (vectors, targets, candidates), value in VALUES.items()
        for metric, cutoff in product(METRICS, CUTOFFS)
    ]
    path = folder.joinpath("results/recommend", *map(str, run), "cold_items.parquet")
    write_table(pl.DataFrame(rows), COLD_ITEMS, path, MADE)
    return path


def read(folder, config=CONFIG):
    artifacts = read_artifacts(config, *(folder / n for n in ("results", "benchmarks", "logs")))
    shown = setups(artifacts.runs, artifacts.metrics, config)
    return artifacts, cold_section(artifacts, shown)


def test_recall_of_new_items_is_shown_by_what_stands_for_their_vectors(folder):
    put(folder, CHOSEN)
    put(folder, CHOSEN._replace(refinement="ace-lambda_50"))  # was not chosen
    (part,) = read(folder)[1].parts
    (table,) = part.blocks
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["ace (λ = 5)", "folded in", "25", "0.6400", "0.7400", "0.0400", "0.1400", "0.3300"],
        ["ace (λ = 5)", "random (control)", "25", "0.4800", "0.5800", "0.0000", "0.1000", "0.3200"],
    ]
    assert "40 of 300 items held out" in table.caption
    assert table.source == (
        "results/recommend/shop/small/<refinement>/<backbone>/<seed>/cold_items.parquet"
    )


def test_tables_that_nobody_asked_for_are_not_missed(folder):
    artifacts, section = read(folder)
    assert section is None
    assert artifacts.missing == []


def test_a_table_that_the_report_was_to_show_is_missed_with_the_last_line_of_its_log(folder):
    put(folder, CHOSEN)
    lost = CHOSEN._replace(refinement="random")
    log = folder.joinpath("logs/rank_cold_items", *map(str, lost)).with_suffix(".log")
    log.parent.mkdir(parents=True)
    log.write_text("no test target is among the items that are held out.\n")
    config = CONFIG | {"cold_items": {"share": 0.1, "seed": 0, "in_report": True}}
    artifacts, section = read(folder, config)
    assert len(section.parts) == 1
    reasons = {gap.what: gap.last_line for gap in artifacts.missing}
    name = f"results/recommend/{'/'.join(map(str, lost))}/cold_items.parquet"
    assert reasons[name] == "no test target is among the items that are held out."
    assert len(reasons) == 2  # of random and whitening


def test_random_stands_for_every_encoder(tmp_path):
    config = made_config([5], [1], ("random",))
    config["encoders"]["large"] = config["encoders"]["small"]
    make(tmp_path, config, {"random": 0.3, 5: 0.9})
    put(tmp_path, CHOSEN._replace(refinement="random"))
    parts = read(tmp_path, config)[1].parts
    assert [part.title for part in parts] == ["shop · small · sasrec", "shop · large · sasrec"]
    assert all(part.blocks[0].rows[0][0].text == "random init" for part in parts)


def test_a_damaged_table_is_refused(folder):
    path = put(folder, CHOSEN)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=str(path)):
        read(folder)
