"""What was run and what could not run, as the report writes them."""

from dataclasses import replace

from ace_steps.evaluation.completeness import Gap
from ace_steps.io.provenance import Provenance
from ace_steps.reporting import page
from ace_steps.reporting.formatting import MISSING
from ace_steps.reporting.page import Page
from ace_steps.reporting.provenance import missing_section, run_section
from tests.reporting.made_grid import paper_artifacts, paper_config


def test_the_section_says_how_many_runs_have_no_result_and_why():
    gaps = [Gap("results/x", 3, "logs/x.log", "the disk is full"), Gap("results/y")]
    text, table = missing_section(gaps, "results").blocks
    assert text.text.startswith("3 runs without a result. ")
    rows = [[cell.text for cell in row] for row in table.rows]
    assert rows[0] == ["results/x", "the disk is full", "logs/x.log", "3"]
    assert rows[1] == ["results/y", MISSING, "none: never started", "0"]


def test_where_nothing_is_missing_the_section_says_so():
    (text,) = missing_section([], "results").blocks
    assert not text.is_warning


def encoder_tables(settings: dict, facts: dict) -> str:
    """The Markdown of what was run, for an encoder's vectors that were made so."""
    artifacts = paper_artifacts(paper_config(("beauty",), ("smollm2",), ("sasrec",)))
    note = Provenance("merge_vectors", settings, facts=facts)
    artifacts = replace(artifacts, encoders=dict.fromkeys(artifacts.encoders, note))
    return page.markdown(Page("", "", (run_section(artifacts),)), "").replace("\\_", "_")


def test_each_setting_of_an_encoder_is_shown_with_where_it_was_taken_from():
    origins = {"pooling": "1_Pooling/config.json", "max_tokens": "registry"}
    settings = {"pooling": "last", "max_tokens": 512, "dtype": "float32"}
    text = encoder_tables(settings, {"n_texts": 5, "normalized": True, "taken_from": origins})
    assert "| pooling | last (1_Pooling/config.json) |" in text
    assert "| max_tokens | 512 (registry) |" in text
    assert "| Normalized | true |" in text
    assert "| Taken from" not in text


def test_vectors_that_tell_of_no_origins_have_no_table_of_them():
    assert "taken from" not in encoder_tables({}, {"n_texts": 5})
