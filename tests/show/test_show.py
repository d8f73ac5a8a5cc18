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
from tests.show.printing import shown

NOTE = Provenance("made_by_hand", {"k": 3, "nothing": None}, {"raw": "12ab"}, {"seed": 7})
RUN = {"dataset": "toy", "encoder": "e", "refinement": "ace", "backbone": "b"}


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
    found = json.loads(shown(capsys, users, "--json", "--rows", 1))
    assert (found["table"], found["figures"]["rows"]) == ("users", 9)
    assert found["columns"][0] == {
        "name": "user",
        "type": "int32",
        "meaning": "User index, dense from 0.",
        "least": 0,
        "largest": 8,
    }
    assert found["rows"] == [{"user": 0, "user_id": "a"}]
    assert found["provenance"]["facts"] == {"seed": 7}


def test_of_a_vector_the_first_entries_and_the_width_are_shown(tmp_path, capsys):
    path = tmp_path / "v.parquet"
    with vector_writer(path, "item_vectors", 6, np.float32, NOTE) as writer:
        writer.write({"item": [1], "item_id": ["x"]}, np.arange(6.0, dtype=np.float32)[None])
    row = json.loads(shown(capsys, path, "--json"))["rows"][0]
    assert row == {"item": 1, "item_id": "x", "vector": [0.0, 1.0, 2.0, 3.0, "... 6 entries"]}


def test_weights_show_names_and_shapes(tmp_path, capsys):
    arrays = {"b": np.zeros((2, 3), np.float32), "a": np.zeros(4)}
    write_tensors(tmp_path / "w.safetensors", arrays, NOTE)
    printed = shown(capsys, tmp_path / "w.safetensors")
    assert "safetensors: 2 tensors, 10 entries" in printed
    assert re.search(r"^a +F64 +\[4\] *\nb +F32 +\[2, 3\]", printed, re.M)
    assert re.search(r"^facts: seed +7 *$", printed, re.M)


def test_weights_with_a_flipped_bit_are_not_shown_as_sound(tmp_path, capsys):
    path = tmp_path / "w.safetensors"
    write_tensors(path, {"a": np.zeros(4)}, NOTE)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    assert main(["show", str(path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "w.safetensors: damaged, its checksum differs; delete it and run again." in printed.err


def test_weights_of_another_program_are_shown_without_provenance(tmp_path, capsys):
    save_file({"a": np.zeros(4)}, tmp_path / "w.safetensors")
    printed = shown(capsys, tmp_path / "w.safetensors")
    assert "safetensors: 1 tensors, 4 entries" in printed
    assert "the file does not say how it was made" in printed


def test_a_file_of_another_program_is_shown_without_provenance(tmp_path, capsys):
    pl.DataFrame({"x": [1.5, None]}).write_parquet(tmp_path / "x.parquet")
    printed = shown(capsys, tmp_path / "x.parquet")
    assert "the file does not say how it was made" in printed
    assert "1.5000" in printed


def write_run(folder, seed, ranks):
    """A training of two epochs, and the ranks of one user a target."""
    note = Provenance("train_backbone", facts={"device": "cpu"})
    curve = pl.DataFrame(
        {
            "epoch": pl.Series([1, 2], dtype=pl.Int32),
            "loss": [2.0, 1.0],
            "seconds": [1.5, 2.5],
            "targets_per_s": [9.0, 9.0],
            **{f"valid_{m}_{k}": [0.25, 0.125] for m in ("recall", "ndcg") for k in (10, 20)},
            "is_best": [True, False],
        }
    )
    identity = [pl.lit(value).alias(name) for name, value in (RUN | {"seed": seed}).items()]
    curve = curve.with_columns(*identity).with_columns(pl.col("seed").cast(pl.Int64))
    place = folder / "train" / str(seed) / "training_curve.parquet"
    write_table(curve, tables.TRAINING_CURVE, place, note)
    if ranks is None:
        return
    users = np.arange(len(ranks), dtype=np.int32)
    table = pl.DataFrame({"user": users, "item": users + 1, "rank": ranks}).with_columns(
        *identity,
        pl.lit("test").alias("split"),
        *(pl.lit(0, pl.Int32).alias(n) for n in ("n_ties", "history_length", "target_train_count")),
    )
    table = table.with_columns(pl.col("seed").cast(pl.Int64))
    write_table(table, tables.RANKS, folder / "rank" / str(seed) / "ranks.parquet", note)


def test_a_results_folder_is_one_table_of_runs(tmp_path, capsys):
    write_run(tmp_path, 1, [1.0, 3.0, 15.0, 21.0])
    write_run(tmp_path, 2, None)
    found = json.loads(shown(capsys, tmp_path, "--json"))["runs"]
    assert [each["seed"] for each in found] == [1, 2]
    one = found[0]
    assert {name: one[name] for name in RUN} == RUN
    assert (one["epochs"], one["best_epoch"], one["seconds"]) == (2, 1, 4.0)
    assert (one["valid_ndcg_10"], one["device"]) == (0.25, "cpu")
    assert (one["test_recall_10"], one["test_recall_20"]) == (0.5, 0.75)
    assert one["test_ndcg_10"] == pytest.approx((1 + 1 / 2) / 4)  # log2(1 + 1) and log2(1 + 3)
    assert one["test_ndcg_20"] == pytest.approx((1 + 1 / 2 + 1 / 4) / 4)  # and log2(1 + 15)
    assert found[1]["test_recall_10"] is None
    printed = shown(capsys, tmp_path)
    assert "2 runs; all: dataset toy, encoder e, refinement ace, backbone b" in printed


BAD = {
    "nothing": ("none.parquet", None, "none.parquet: no such file."),
    "an unknown kind": (
        "x.bin",
        b"a,b\n",
        "x.bin: cannot be shown; expected a results folder",
    ),
    "no Parquet": ("x.parquet", b"a,b\n", "x.parquet: not a readable Parquet file"),
    "no safetensors": ("x.safetensors", b"a,b\n", "x.safetensors: not a readable safetensors"),
    "no text": ("x.txt", b"\xff\xfe\xfa", "x.txt: not a text in UTF-8"),
    "a short row": ("x.csv", b"a,b\n1,2\n\n3\n", "x.csv: row 2 has 1 fields, but the head has 2."),
    "a column twice": ("x.tsv", b"a\ta\n", "x.tsv: its head names a column twice: a, a."),
    "an open quote": (
        "x.csv",
        b'a\n"' + b"1\n" * 70_000,
        "x.csv: not a table as text (field larger",
    ),
}


@pytest.mark.parametrize(("name", "content", "message"), BAD.values(), ids=BAD)
def test_a_wrong_file_is_one_line_and_exit_code_2(tmp_path, capsys, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert main(["show", str(tmp_path / name)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.strip().splitlines()) == 1
    assert message in printed.err


def test_a_folder_without_runs_is_refused(tmp_path, capsys):
    assert main(["show", str(tmp_path)]) == 2
    assert "no run in it; wanted a results folder" in capsys.readouterr().err
