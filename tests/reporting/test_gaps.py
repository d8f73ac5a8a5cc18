"""How the report writes what is missing."""

from ace_steps.evaluation.completeness import Gap
from ace_steps.reporting.gaps import missing_section
from ace_steps.reporting.wording import NOTHING


def test_the_section_says_how_many_runs_have_no_result_and_why():
    gaps = [Gap("results/x", 3, "logs/x.log", "the disk is full"), Gap("results/y")]
    text, table = missing_section(gaps, "results").blocks
    assert text.text.startswith("3 runs without a result. ")
    found = [[cell.text for cell in row] for row in table.rows]
    assert found[0] == ["results/x", "the disk is full", "logs/x.log", "3"]
    assert found[1] == ["results/y", NOTHING, "none: never started", "0"]


def test_where_nothing_is_missing_the_section_says_so():
    (text,) = missing_section([], "results").blocks
    assert not text.is_warning
    assert "every artifact of the configuration was found" in text.text
