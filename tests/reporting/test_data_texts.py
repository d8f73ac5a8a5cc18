"""The texts as each encoder read them: their number, their tokens, and how many were cut."""

from ace_steps.io.provenance import Provenance
from ace_steps.reporting.data_texts import LABELS, text_tables
from ace_steps.reporting.wording import NOTHING
from tests.reporting.made_report import make, text_of, write

THIN = "\N{NARROW NO-BREAK SPACE}"


def texts_of(facts):
    """The cells of the only row by the head of their column, for vectors with these facts."""
    note = Provenance("merge_vectors", facts=facts)
    (table,) = text_tables({("shop", "small"): note}, "results")
    heads = [column.label for column in table.columns]
    return dict(zip(heads, [cell.text for cell in table.rows[0]], strict=True))


def test_the_mean_length_and_the_share_that_was_cut_are_of_distinct_texts():
    facts = {"n_texts": 400, "n_tokens": 15_000, "n_truncated": 10, "max_tokens": 256}
    facts["n_tokens_longest"] = 201
    assert texts_of(facts) == {
        "dataset": "shop",
        "encoder": "small",
        "distinct texts": "400",
        "tokens": f"15{THIN}000",
        "tokens of a text, mean": "37.5",
        "longest": "201",
        "most allowed": "256",
        "truncated": "10",
        "share truncated": "2.5 %",
    }


def test_that_nothing_was_cut_is_told_from_that_nobody_counted():
    counted = {"n_texts": 4, "n_tokens": 8, "n_truncated": 0, "max_tokens": 256}
    assert texts_of(counted)["truncated"] == "0"
    assert texts_of(counted)["share truncated"] == "0 %"
    found = texts_of({"n_texts": 4})
    assert [found[label] for label in LABELS] == ["4", *[NOTHING] * 6]


def test_vectors_that_were_made_elsewhere_read_no_text_here():
    imported = Provenance("import_vectors", facts={"model": None, "width": 8, "zero_items": 0})
    assert text_tables({("shop", "own"): imported}, "results") == []


def test_the_data_section_of_a_report_shows_every_encoder(tmp_path):
    make(tmp_path)
    assert write(tmp_path) == 0
    section = text_of(tmp_path, "report.md").split("Data\n", 1)[1].split("\n## ")[0]
    row = f"| shop | small | 1{THIN}340 | 51{THIN}901 | 38.73 | 256 | 256 | 67 | 5 % |"
    assert row in section
    (tmp_path / "results/preprocess/shop/data_report.parquet").unlink()
    assert write(tmp_path) == 0
    assert row in text_of(tmp_path, "report.md")
