"""The toy workflow, run: tables, reruns, edits."""

import re
import shutil
import subprocess

import numpy as np
import pyarrow.parquet as pq
import pytest

from ace_steps.config import grid, loading
from ace_steps.evaluation.completeness import selection_path
from ace_steps.evaluation.results import chosen_run
from ace_steps.io import parquet
from ace_steps.io.tables import COMPARISONS, METRICS, RANKS, RUNS, SELECTION
from ace_steps.io.vectors import read_vectors
from tests.workflow.conftest import ACE_5, RESULTS
from tests.workflow.same import tables_of


def _config(checkout):
    return loading.load(checkout.folder / "workflow/config/toy.yaml").as_json()


def _runs(checkout):
    """Every run of the configuration, as the choice by validation left it."""
    plan = grid.Plan(_config(checkout))
    found = []
    for cell in plan.cells:
        path = selection_path(cell, checkout.folder / "results/toy")
        found += plan.runs(cell, chosen_run(parquet.read_table(path, SELECTION)))
    return found


def test_every_artifact_opens_and_says_how_it_was_made(finished):
    files = sorted((finished.folder / "results/toy").rglob("*.parquet"))
    assert len(files) > 20
    for file in files:
        step = parquet.read_provenance(file).step
        assert (finished.folder / f"ace_steps/steps/{step}.py").is_file()
        assert all(field.metadata[b"meaning"] for field in pq.read_schema(file))


def test_metrics_cover_every_run_split_and_cutoff(finished):
    metrics = parquet.read_table(finished.folder / "results/toy/report/metrics.parquet", METRICS)
    runs = _runs(finished)
    assert len(metrics.filter(slice="all")) == len(runs) * 2 * 3 * 5
    assert metrics["value"].is_between(0, 1).all()


def test_the_same_users_are_ranked_in_every_run(finished):
    files = sorted((finished.folder / "results/toy/rank").rglob("ranks.parquet"))
    targets = [
        parquet.read_table(file, RANKS).select("split", "user", "item", "history_length")
        for file in files
    ]
    assert len(targets) == len(_runs(finished))
    assert all(table.equals(targets[0]) for table in targets)


def test_one_point_of_each_grid_is_chosen(finished):
    runs = parquet.read_table(finished.folder / "results/toy/report/runs.parquet", RUNS)
    chosen = runs.filter("is_chosen")
    expected = [
        name for name in _config(finished)["refinements"] for _ in _config(finished)["seeds"]
    ]
    assert sorted(chosen["refinement_entry"]) == sorted(expected)


def test_the_point_that_was_not_chosen_ran_on_the_first_seed_alone(finished):
    folder = finished.folder / "results/toy/rank/toy/toy"
    seeds = {
        path.name: sorted(seed.name for seed in path.glob("sasrec-*/*"))
        for path in folder.glob("ace-*")
    }
    assert sorted(seeds.values()) == [["1"], ["1", "2"]]


def test_chosen_points_are_compared_and_laid_out_as_tables(finished):
    report = finished.folder / "results/toy/report"
    table = parquet.read_table(report / "comparisons.parquet", COMPARISONS)
    assert table.select("refinement_a", "refinement_b").unique().rows() == [("ace", "random")]
    assert set(table["n_seeds"]) == {2}
    for name in ("results.md", "results.tex", "comparisons.md", "comparisons.tex"):
        assert (report / "tables" / name).stat().st_size > 100


def test_the_report_is_there_and_its_summary_is_printed(finished):
    report = finished.folder / "results/toy/report"
    assert "<html" in (report / "report.html").read_text()
    assert (report / "report.md").read_text().startswith("# ")
    printed = (finished.folder.parent / "printed.txt").read_text()
    assert (report / "summary.txt").read_text().strip() in printed


def test_a_second_run_has_nothing_to_do(finished):
    again = finished.snakemake()
    assert again.returncode == 0
    assert "Nothing to be done" in again.stdout + again.stderr


def nothing_to_do(checkout, *options):
    done = checkout.snakemake("--dry-run", *options)
    return "Nothing to be done" in done.stdout + done.stderr


def test_touching_or_commenting_the_code_reruns_nothing(copied):
    for file in (copied.folder / "ace_steps").rglob("*.py"):
        text = file.read_text()
        file.write_text(text.replace('"""', '"""Edited: ', 1) + "\n# A remark at the end.\n")
    assert nothing_to_do(copied)


LATER = {"select_points": 1, "collect_metrics": 1, "compare_runs": 1, "write_tables": 1}
LATER |= {"write_report": 1, "write_config": 1, "all": 1}
OF_A_POINT = {"refine_vectors": 1, "train_backbone": 1, "rank_targets": 2, "merge_ranks": 1}


def test_a_new_lambda_trains_its_own_grid_point_and_keeps_the_other(copied):
    before = set((copied.folder / "results/toy/rank/toy/toy").iterdir())
    copied.edit("workflow/config/toy.yaml", "lambda: [0, 5]", "lambda: [0, 7]")
    assert copied.jobs() == OF_A_POINT | LATER
    new = f"{RESULTS}/refine/toy/toy/{ACE_5.replace('5', '7')}/item_vectors.parquet"
    done = copied.snakemake("--", new)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set((copied.folder / "results/toy/rank/toy/toy").iterdir()) == before
    copied.edit("workflow/config/toy.yaml", "lambda: [0, 7]", "lambda: [0, 5]")
    assert not OF_A_POINT.keys() & copied.jobs().keys()  # what 5 gave is still there


def test_a_value_that_becomes_a_grid_trains_the_new_value_alone(copied):
    copied.edit("workflow/config/toy.yaml", "lambda: [0, 5]", "lambda: [0, 5, 7]")
    assert copied.jobs() == OF_A_POINT | LATER


def test_a_value_of_a_backbone_keeps_what_the_old_one_gave(copied):
    copied.edit("workflow/config/toy.yaml", "batch_size: 8", "batch_size: 16")
    jobs = copied.jobs()
    assert jobs["train_backbone"] == 4
    assert "refine_vectors" not in jobs


def test_another_experiment_has_folders_of_its_own_and_shares_the_embedded_texts(copied):
    copied.edit("workflow/config/toy.yaml", "experiment: toy", "experiment: toy2")
    before = tables_of(copied)
    done = copied.snakemake("--", "results/toy2/embed/toy/toy/item_vectors.parquet")
    assert done.returncode == 0, done.stdout + done.stderr
    logs = sorted((copied.folder / "logs/toy2/embed_items").rglob("*.log"))
    assert logs
    assert all(" 0 new:" in log.read_text() for log in logs)
    assert tables_of(copied) == before


def test_the_resolved_configuration_runs_as_it_is_with_nothing_to_do(copied):
    resolved = copied.folder / "results/toy/config.yaml"
    assert nothing_to_do(copied, "--configfile", str(resolved))


def test_the_targets_of_another_experiment_are_noticed(copied):
    call = ["python", "-m", "snakemake", "--cores=1", "--dry-run", "recommend"]
    done = subprocess.run(
        call,
        cwd=copied.folder,
        env=copied.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    (note,) = [line for line in done.stderr.splitlines() if line.startswith("note: ")]
    assert "'demo'" in note
    assert "--configfile results/toy/config.yaml" in note


def test_a_changed_dataset_is_said_to_be_made_anew(copied):
    copied.edit("workflow/config/toy.yaml", "min_item_events: 2", "min_item_events: 3")
    done = copied.snakemake("--dry-run")
    notes = [line for line in done.stderr.splitlines() if line.startswith("note: ")]
    assert any("datasets.toy.min_item_events was 2" in note and "3 now" in note for note in notes)


def test_editing_the_formula_reruns_refinement_and_not_embedding(copied):
    copied.edit(
        "ace_steps/refine/ace.py",
        "return singular_values / np.sqrt(singular_values**2 + lambda_)",
        "return singular_values / np.sqrt(np.square(singular_values) + lambda_)",
    )
    jobs = copied.jobs()
    assert jobs["refine_vectors"] == 2  # of ace; random knows no gains
    kept = {"preprocess_dataset", "embed_items", "merge_vectors", "gram_vectors", "factor_vectors"}
    assert not kept & jobs.keys()


def test_editing_how_vectors_are_read_reruns_what_read_it_and_embeds_no_text_anew(copied):
    file = copied.folder / "ace_steps/io/vectors.py"
    text = file.read_text()
    start = text.index("def iter_vectors(")
    body = text.index('    """', text.index('"""', start) + 3)
    end = text.index("\n", text.index('"""', text.index('"""', start) + 3)) + 1
    assert body
    file.write_text(text[:end] + "    _ = None\n" + text[end:])
    jobs = copied.jobs()
    assert {"merge_vectors", "gram_vectors", "refine_vectors"} <= jobs.keys()
    assert "preprocess_dataset" not in jobs


def _chosen(checkout):
    """The run of each cell's chosen grid point on the first seed, as a path."""
    plan, results = grid.Plan(_config(checkout)), checkout.folder / "results/toy"
    tables = [
        parquet.read_table(selection_path(cell, results), SELECTION).filter("is_chosen")
        for cell in plan.cells
    ]
    return {"/".join(map(str, chosen_run(table))) for table in tables}


@pytest.mark.parametrize(
    ("target", "file"),
    [
        ("recommend", "recommendations.parquet"),
        ("recommend", "index_items.parquet"),
        ("cold_items", "cold_items.parquet"),
    ],
)
def test_a_trained_model_is_used_at_the_chosen_points_alone(finished, target, file):
    done = finished.snakemake("-p", "--dry-run", "--", target)
    assert done.returncode == 0, done.stdout + done.stderr
    planned = re.findall(rf"results/toy/recommend/(\S+)/{file}", done.stdout + done.stderr)
    chosen = _chosen(finished)
    assert set(planned) == chosen
    assert len(chosen) == 2  # the only grid point of random and one of ace's two


def test_cold_items_come_into_the_report_where_it_is_to_have_them(copied):
    copied.edit("workflow/config/toy.yaml", "share: 0.2", "share: 0.2, in_report: true")
    jobs = copied.jobs()
    assert (jobs["rank_cold_items"], jobs["write_report"]) == (2, 1)
    assert "train_backbone" not in jobs


def test_a_table_of_cold_items_that_appears_makes_the_report_anew_and_nothing_else(copied):
    (run, *_) = sorted(_chosen(copied))
    table = copied.folder / "results/toy/recommend" / run / "cold_items.parquet"
    table.parent.mkdir(parents=True)
    table.touch()
    assert copied.jobs() == {"write_report": 1, "all": 1}


def test_another_number_of_shards_gives_the_same_vectors(copied):
    path = copied.folder / "results/toy/embed/toy/toy/item_vectors.parquet"
    before = read_vectors(path)
    shutil.rmtree(copied.folder / "resources/vectors")  # nothing is taken from the first run
    target = "results/toy/embed/toy/toy/item_vectors.parquet"
    done = copied.snakemake("--set-scatter", "embed=3", "--forcerun", "embed_items", "--", target)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "points chosen" not in done.stdout  # an older report's table is not this run's
    after = read_vectors(path)
    assert after.ids.equals(before.ids)
    np.testing.assert_array_equal(after.matrix, before.matrix)
