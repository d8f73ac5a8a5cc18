"""What was run, what it took and what could not run, as the report writes them."""

import shutil
from dataclasses import replace

import polars as pl

from ace_steps.evaluation.completeness import Gap
from ace_steps.io.provenance import Provenance
from ace_steps.reporting.artifacts import read_artifacts
from ace_steps.reporting.formatting import MISSING
from ace_steps.reporting.page import Table
from ace_steps.reporting.provenance import cost_section, missing_section, rule_sums, run_section
from tests.reporting.made_report import CONFIG
from tests.reporting.made_results import write_benchmark


def texts_of(table):
    return [[cell.text for cell in row] for row in table.rows]


def test_the_section_says_how_many_runs_have_no_result_and_why():
    gaps = [Gap("results/x", 3, "logs/x.log", "the disk is full"), Gap("results/y")]
    text, table = missing_section(gaps, "results").blocks
    assert text.text.startswith("3 runs without a result. ")
    assert texts_of(table) == [
        ["results/x", "the disk is full", "logs/x.log", "3"],
        ["results/y", MISSING, "none: never started", "0"],
    ]
    (text,) = missing_section([], "results").blocks
    assert not text.is_warning


def test_each_setting_of_an_encoder_is_shown_with_where_it_was_taken_from(artifacts):
    origins = {"pooling": "1_Pooling/config.json", "max_tokens": "registry"}
    settings = {"pooling": "last", "max_tokens": 512, "dtype": "float32"}
    digest = "0123456789abcdef" * 4
    facts = {"n_texts": 5, "normalized": True, "model": {"sha256": digest}, "taken_from": origins}
    made = replace(
        artifacts,
        encoders={
            ("shop", "small"): Provenance("merge_vectors", settings, facts=facts),
            ("shop", "own"): Provenance("import_vectors", {}, facts={"n_texts": 5}),
        },
    )
    tables = [block for block in run_section(made).blocks if isinstance(block, Table)]
    names = ["shop · small", "shop · own"]
    (table,) = (table for table in tables if table.heads[1:] == names)
    assert texts_of(table) == [
        ["Texts", "5", "5"],
        ["Normalized", "true", MISSING],
        ["Model · sha256", "0123456789abcdef…", MISSING],
        ["Pooling", "last (1_Pooling/config.json)", MISSING],
        ["Max tokens", "512 (registry)", MISSING],
    ]


def test_time_is_that_of_the_configured_runs_and_what_was_not_measured_is_missing(
    finished, tmp_path
):
    folder = shutil.copytree(finished, tmp_path / "run")
    old = folder / "benchmarks/train_backbone/shop/small/ace-lambda_0.5/sasrec/1.tsv"
    write_benchmark(old, 360_000.0, 1.0)
    write_benchmark(folder / "benchmarks/fetch_dataset/x.tsv", 0.5, "-")
    made = read_artifacts(CONFIG, *(folder / n for n in ("results", "benchmarks", "logs")))
    rows = texts_of(cost_section(made).blocks[1])
    assert rows[0] == ["fetch_dataset", "1", "0.5 s", "0.5 s", "0.8 s", MISSING]
    assert rows[1][:3] == ["train_backbone", "5", "3 min 20 s"]  # of 40 s each


def test_a_rules_jobs_are_summed_in_the_order_of_the_work():
    jobs = pl.DataFrame(
        [
            ("train_backbone", 10.0, 500.0, 15.0),
            ("a_rule_of_its_own", 1.0, None, None),
            ("embed_items", 3.0, 900.0, 3.0),
            ("train_backbone", 30.0, 400.0, 45.0),
        ],
        schema=["rule", "seconds", "memory_mb", "cpu_s"],
        orient="row",
    )
    assert rule_sums(jobs).rows() == [
        ("embed_items", 1, 3.0, 3.0, 3.0, 900.0),
        ("train_backbone", 2, 40.0, 30.0, 60.0, 500.0),
        ("a_rule_of_its_own", 1, 1.0, 1.0, 0.0, None),
    ]
