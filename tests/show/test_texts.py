"""`python -m ace_steps show` of the texts of a run: logs, tables as text, drawings, pages."""

import json
import re

import pytest

from ace_steps.show.files import COUNTED_BYTES
from tests.show.printing import shown

PAGE = "<!DOCTYPE html><html><head><title>beauty &amp;\n ACE</title></head><body>x</body></html>"
SVG = '<svg xmlns="x" width="70pt" height="34pt"><title id="t">Time; memory</title></svg>'


@pytest.mark.parametrize("kind", ["txt", "md", "tex", "log", "json", "yaml"])
def test_a_text_shows_its_first_lines(tmp_path, capsys, kind):
    path = tmp_path / f"x.{kind}"
    path.write_text("one\n\ntw\u00f6\nfour")
    printed = shown(capsys, path, "--rows", 3)
    assert f"{kind}: 4 lines, 14 bytes" in printed
    assert printed.splitlines()[-3:] == ["one", "", "tw\u00f6"]


@pytest.mark.parametrize(("kind", "sign"), [("csv", ","), ("tsv", "\t")])
def test_a_table_as_text_shows_its_first_rows_and_tells_numbers_from_words(
    tmp_path, capsys, kind, sign
):
    rows = [
        ["rule", "jobs", "s"],
        ["train", "12", "-1.5e3"],
        ["rank", "3", "-"],
        ["end", "007", ""],
    ]
    path = tmp_path / f"x.{kind}"
    path.write_text("".join(f"{sign.join(row)}\n" for row in rows))
    found = json.loads(shown(capsys, path, "--json"))
    assert found["figures"] == {"rows": 3, "bytes": path.stat().st_size}
    assert found["rows"][0] == {"rule": "train", "jobs": 12, "s": -1500.0}
    assert found["rows"][1] == {"rule": "rank", "jobs": 3, "s": "-"}
    assert found["rows"][2] == {"rule": "end", "jobs": "007", "s": None}  # no number: an id
    printed = shown(capsys, path, "--rows", 1)
    assert re.search(r"first rows\nrule +jobs +s *\ntrain +12 +-1500\.0000 *$", printed)
    assert f"{kind}: 3 rows" in printed


def test_a_table_as_text_without_rows_shows_its_head(tmp_path, capsys):
    (tmp_path / "x.csv").write_text("rule,jobs\n")
    assert re.search(r"0 rows.*\nrule +jobs *$", shown(capsys, tmp_path / "x.csv"), re.S)


def test_a_quoted_line_break_is_inside_a_field(tmp_path, capsys):
    (tmp_path / "x.csv").write_text('a,b\n"one\ntwo",3\n')
    found = json.loads(shown(capsys, tmp_path / "x.csv", "--json"))
    assert found["rows"] == [{"a": "one\ntwo", "b": 3}]


@pytest.mark.parametrize("kind", ["log", "csv"])
def test_of_a_large_text_only_the_beginning_is_read(tmp_path, capsys, kind):
    path = tmp_path / f"x.{kind}"
    path.write_bytes(b"one\ntwo\n" + b"\n" * COUNTED_BYTES + b"\xff")  # no UTF-8 at its end
    found = json.loads(shown(capsys, path, "--json", "--rows", 1))
    assert found["figures"] == {"bytes": COUNTED_BYTES + 9}
    assert found.get("lines", ["one"]) == ["one"]
    assert found.get("rows", [{"one": "two"}]) == [{"one": "two"}]


def test_a_drawing_tells_its_size_and_its_title(tmp_path, capsys):
    (tmp_path / "x.svg").write_text(SVG)
    printed = shown(capsys, tmp_path / "x.svg")
    assert f"svg: {len(SVG)} bytes" in printed
    assert printed.splitlines()[-2:] == ["a drawing of 70pt by 34pt", "title: Time; memory"]


def test_a_page_tells_its_title_on_one_line(tmp_path, capsys):
    (tmp_path / "x.html").write_text(PAGE)
    printed = shown(capsys, tmp_path / "x.html").splitlines()
    assert printed[-2:] == ["a page for a browser", "title: beauty & ACE"]
    (tmp_path / "x.html").write_text("<p>hello")
    assert shown(capsys, tmp_path / "x.html").splitlines()[-1] == "no title"


def test_whatever_the_report_wrote_can_be_shown(root, capsys):
    files = [path for path in (root / "docs/results/beauty").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".csv", ".svg", ".html", ".md", ".tex", ".parquet"}
    for path in files:
        assert str(path) in shown(capsys, path)
