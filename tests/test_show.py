"""`python -m ace_steps show`: every kind of artifact, a results folder, and what is refused."""

import json
import re

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file

from ace_steps.__main__ import main
from ace_steps.io import tables
from ace_steps.io.parquet import write_table
from ace_steps.io.provenance import Provenance
from ace_steps.io.tensors import write_tensors
from ace_steps.io.vectors import vector_writer
from ace_steps.show import LINE_CHARS
from tests.reporting.made_report import make

NOTE = Provenance("made_by_hand", {"k": 3, "nothing": None}, {"raw": "12ab"}, {"seed": 7})


def shown(capsys, *options):
    """What the command prints; no color and no box, since no terminal reads it."""
    assert main(["show", *map(str, options)]) == 0
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "─" not in printed
    return printed


@pytest.fixture
def users(tmp_path):
    table = pl.DataFrame(
        {"user": pl.Series(range(9), dtype=pl.Int32), "user_id": list("abcdefghi")}
    )
    write_table(table, tables.USERS, tmp_path / "users.parquet", NOTE)
    return tmp_path / "users.parquet"


def test_a_table_shows_meanings_ranges_provenance_and_first_rows(users, capsys):
    printed = shown(capsys, users, "--rows", 2)
    assert "table users: 9 rows, 1 row groups" in printed
    assert "unique in and sorted by user" in printed
    assert re.search(r"^user +int32 +0 +8 +User index, dense from 0\.", printed, re.M)
    assert re.search(r"^user_id +string +a +i +The user's id in the source\.", printed, re.M)
    assert re.search(r"^step +made_by_hand *$", printed, re.M)
    assert re.search(r"^settings: nothing +none *$", printed, re.M)
    assert re.search(r"^facts: seed +7 *$", printed, re.M)
    first = printed.partition("first rows")[2].split("\n")
    assert [line.split() for line in first if line] == [["user", "user_id"], ["0", "a"], ["1", "b"]]


def test_json_holds_the_same_for_machines(users, capsys):
    described = json.loads(shown(capsys, users, "--json", "--rows", 1))
    assert (described["table"], described["figures"]["rows"]) == ("users", 9)
    assert described["columns"][0] == {
        "name": "user",
        "type": "int32",
        "meaning": "User index, dense from 0.",
        "least": 0,
        "largest": 8,
    }
    assert described["rows"] == [{"user": 0, "user_id": "a"}]
    assert described["provenance"]["facts"] == {"seed": 7}


def test_of_a_vector_the_first_entries_and_the_length_are_shown(tmp_path, capsys):
    path = tmp_path / "v.parquet"
    with vector_writer(path, "item_vectors", 6, np.float32, NOTE) as writer:
        writer.write({"item": [1], "item_id": ["x"]}, np.arange(6.0, dtype=np.float32)[None])
    row = json.loads(shown(capsys, path, "--json"))["rows"][0]
    assert row == {"item": 1, "item_id": "x", "vector": [0.0, 1.0, 2.0, 3.0, "... 6 entries"]}


def test_weights_show_names_and_shapes_and_are_not_shown_with_a_flipped_bit(tmp_path, capsys):
    path = tmp_path / "w.safetensors"
    write_tensors(path, {"b": np.zeros((2, 3), np.float32), "a": np.zeros(4)}, NOTE)
    printed = shown(capsys, path)
    assert "safetensors: 2 tensors, 10 entries" in printed
    assert re.search(r"^a +F64 +\[4\] *\nb +F32 +\[2, 3\]", printed, re.M)
    assert re.search(r"^facts: seed +7 *$", printed, re.M)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    assert main(["show", str(path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "w.safetensors: damaged" in printed.err


def test_files_of_another_program_are_shown_without_provenance(tmp_path, capsys):
    save_file({"a": np.zeros(4)}, tmp_path / "w.safetensors")
    pl.DataFrame({"x": [1.5, float("nan")]}).write_parquet(tmp_path / "x.parquet")
    for name, expected in {"w.safetensors": "1 tensors, 4 entries", "x.parquet": "1.5000"}.items():
        printed = shown(capsys, tmp_path / name)
        assert "the file does not say how it was made" in printed
        assert expected in printed
    assert json.loads(shown(capsys, tmp_path / "x.parquet", "--json"))["rows"][1] == {"x": "nan"}


def test_a_text_shows_its_first_lines_and_never_holds_a_long_one_whole(tmp_path, capsys):
    path = tmp_path / "x.log"
    path.write_text("one\n\ntw\u00f6\nfour")
    printed = shown(capsys, path, "--rows", 3)
    assert "log: 14 bytes" in printed
    assert printed.splitlines()[-3:] == ["one", "", "tw\u00f6"]
    path.write_text("x" * (3 * LINE_CHARS))
    lines = json.loads(shown(capsys, path, "--json", "--rows", 2))["lines"]
    assert list(map(len, lines)) == [LINE_CHARS] * 2


def test_a_results_folder_is_one_table_of_runs(tmp_path, capsys):
    make(tmp_path)
    results = tmp_path / "results"
    (results / "rank/shop/small/whitening/sasrec/1/ranks.parquet").unlink()
    runs = json.loads(shown(capsys, results, "--json"))["runs"]
    names = ["ace-lambda_0", "ace-lambda_5", "ace-lambda_50", "random", "whitening"]
    assert [run["refinement"] for run in runs] == names
    assert [run["is_chosen"] for run in runs] == [False, True, False, True, True]
    ace, white = runs[1], runs[4]
    assert (ace["epochs"], ace["best_epoch"], ace["device"]) == (8, 6, "cpu")
    assert ace["seconds"] == pytest.approx(8 * 4.5 + 0.36)
    assert json.loads(ace["settings"]) == {"lambda": 5}
    report = pl.read_parquet(results / "report/metrics.parquet")
    expected = report.filter(refinement="ace-lambda_5", split="test", slice="all")
    for row in expected.filter(
        pl.col("metric") != "mrr", pl.col("cutoff").is_in([10, 20])
    ).to_dicts():
        assert ace[f"test_{row['metric']}_{row['cutoff']}"] == pytest.approx(row["value"])
    assert white["test_recall_10"] is None
    printed = shown(capsys, results)
    assert "5 runs; all: dataset shop, encoder small, backbone sasrec, seed 1" in printed
    (results / "report/runs.parquet").unlink()
    runs = json.loads(shown(capsys, results, "--json"))["runs"]
    assert {run["is_chosen"] for run in runs} == {None}


BAD = {
    "nothing": ("none.parquet", None, "none.parquet: no such file."),
    "an unknown kind": ("x.bin", b"a,b\n", "x.bin: cannot be shown; expected a results folder"),
    "no Parquet": ("x.parquet", b"a,b\n", "x.parquet: not a readable Parquet file"),
    "no safetensors": ("x.safetensors", b"a,b\n", "x.safetensors: not a readable safetensors"),
    "no text": ("x.txt", b"\xff\xfe\xfa", "x.txt: not a text in UTF-8"),
    "a folder without runs": ("", None, "expected a results folder with train"),
}


@pytest.mark.parametrize(("name", "content", "message"), BAD.values(), ids=BAD)
def test_what_cannot_be_shown_is_one_line_and_exit_code_2(tmp_path, capsys, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert main(["show", str(tmp_path / name)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.strip().splitlines()) == 1
    assert message in printed.err


def test_whatever_the_report_wrote_can_be_shown(root, capsys):
    files = [path for path in (root / "docs/results/beauty").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".csv", ".svg", ".html", ".md", ".tex", ".parquet"}
    for path in files:
        assert str(path) in shown(capsys, path)
