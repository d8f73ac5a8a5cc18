import signal
import subprocess
import sys

import polars as pl
import pytest

from ace_steps import runtime
from ace_steps.io import tables
from ace_steps.io.parquet import read_provenance, read_table
from ace_steps.io.tensors import read_tensors
from ace_steps.steps import train_backbone
from tests.steps.made_training import train_options, write_inputs
from tests.training.made import interactions_of, settings_json

OUTPUTS = ("best.safetensors", "last.safetensors", "training_curve.parquet")


@pytest.fixture
def folder(tmp_path):
    write_inputs(tmp_path)
    return tmp_path


def train(folder, settings=None):
    return train_backbone.main(train_options(folder, settings))


def test_it_writes_weights_and_a_curve_that_say_how_they_were_made(folder, monkeypatch):
    monkeypatch.setattr(runtime, "_multiplies_bfloat16", lambda device: False)
    assert train(folder, settings_json(epochs=3, precision="bfloat16")) == 0
    curve = read_table(folder / "training_curve.parquet", tables.TRAINING_CURVE)
    assert curve["epoch"].to_list() == [1, 2, 3]
    assert curve.select(tables.RUN).unique().row(0) == ("toy", "e", "ace", "b", 1)
    best = curve.sort("valid_ndcg_10", "epoch", descending=[True, False]).row(0, named=True)
    assert curve.filter("is_best")["epoch"].to_list() == [best["epoch"]]
    weights, note = read_tensors(folder / "best.safetensors", "items.table", "network.positions")
    assert (weights["items.table"][0] == 0).all()
    assert note.settings["training"]["precision"] == "bfloat16"
    assert note.inputs.keys() == {"interactions", "items", "vectors"}
    facts = {"best_epoch": best["epoch"], "n_epochs": 3, "device": "cpu", "precision": "float32"}
    assert facts.items() <= note.facts.items()
    assert read_provenance(folder / "training_curve.parquet") == note


KILLED = """
import os, signal, sys
from ace_steps.steps import train_backbone
kept = train_backbone.write_state
def write_then_die(folder, state, run):
    kept(folder, state, run)
    if len(state.curve) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
train_backbone.write_state = write_then_die
train_backbone.main(sys.argv[1:])
"""


def outputs(folder):
    """Everything but the times, which no two runs share."""
    curve = read_table(folder / "training_curve.parquet", tables.TRAINING_CURVE)
    weights = [(folder / name).read_bytes() for name in OUTPUTS[:2]]
    return [*weights, curve.drop("seconds", "targets_per_s").write_json()]


def test_a_training_killed_with_9_goes_on_and_ends_with_the_bytes_of_an_unbroken_one(
    folder, tmp_path_factory, capsys
):
    whole = tmp_path_factory.mktemp("whole")
    write_inputs(whole)
    assert train(whole) == 0
    killed = subprocess.run([sys.executable, "-c", KILLED, *train_options(folder)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not any((folder / name).exists() for name in OUTPUTS)
    assert train(folder) == 0
    assert "going on after epoch 2" in capsys.readouterr().err
    assert outputs(folder) == outputs(whole)
    assert not (folder / "state").exists()


REFUSED = {
    "items without a vector": (
        {"item_ids": [f"id{i}" for i in range(1, 29)]},
        "2 of 30 items have no vector, e.g. 'id29', 'id30'",
    ),
    "vectors of another dim": ({"dim": 5}, "dim 8, got 5"),
    "vectors that do not say how to use them": ({"facts": {}}, "how training is to use them"),
    "an unknown item encoder": (
        {"facts": {"item_encoder": {"kind": "tabel"}}},
        "item vectors: item_encoder: Input tag 'tabel'",
    ),
    "an empty training set": (
        {"interactions": interactions_of([[1], [2, 3, 4]])},
        "the training set is empty",
    ),
    "a mistyped setting": ({}, "learnrate"),
}


@pytest.mark.parametrize(("changes", "message"), REFUSED.values(), ids=REFUSED)
def test_a_mistake_is_refused_in_one_line_before_a_device_is_waited_for(
    tmp_path, capsys, monkeypatch, changes, message
):
    monkeypatch.setattr(train_backbone, "select_device", lambda name: pytest.fail("waited"))
    write_inputs(tmp_path, **changes)
    key = "lr" if changes else "learnrate"
    assert train(tmp_path, settings_json().replace('"lr"', f'"{key}"')) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line
    assert not any((tmp_path / name).exists() for name in OUTPUTS)


def test_vectors_are_joined_by_id_and_not_by_row(folder):
    vectors = pl.read_parquet(folder / "vectors.parquet")
    assert vectors["item_id"][0] == "id30"  # the file's order is not the items'
    train(folder, settings_json(epochs=1, lr=1e-9))
    weights, _ = read_tensors(folder / "last.safetensors")
    by_id = dict(zip(vectors["item_id"], vectors["vector"].to_list(), strict=True))
    for item in range(1, 31):
        assert weights["items.table"][item] == pytest.approx(by_id[f"id{item}"], abs=1e-6)
