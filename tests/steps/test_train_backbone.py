import math
import shutil
import signal
import subprocess
import sys
from functools import partial

import polars as pl
import pytest

from ace_steps import runtime
from ace_steps.io import tables
from ace_steps.io.code_digest import PACKAGE, code_digest
from ace_steps.io.parquet import read_provenance, read_table
from ace_steps.io.tensors import read_tensors
from ace_steps.steps import train_backbone
from ace_steps.training import checkpoints, loop
from tests.steps.made_training import train_options, write_inputs
from tests.training.made import interactions_of, random_interactions, settings_json

OUTPUTS = ("best.safetensors", "last.safetensors", "training_curve.parquet")
TIMES = ("seconds", "targets_per_s")


@pytest.fixture
def folder(tmp_path):
    write_inputs(tmp_path)
    return tmp_path


def train(folder, settings=None, **identity):
    return train_backbone.main(train_options(folder, settings, **identity))


def outputs(folder):
    """Everything but the times, which no two runs share."""
    curve = read_table(folder / "training_curve.parquet", tables.TRAINING_CURVE).drop(TIMES)
    weights = [(folder / name).read_bytes() for name in OUTPUTS[:2]]
    return [*weights, curve.write_json()]


def test_it_writes_weights_and_a_curve_that_names_the_run_and_the_best_epoch(folder):
    assert train(folder) == 0
    curve = read_table(folder / "training_curve.parquet", tables.TRAINING_CURVE)
    assert curve["epoch"].to_list() == [1, 2, 3]
    assert curve.select(tables.RUN).unique().row(0) == ("toy", "e", "ace", "b", 1)
    best = curve.sort("valid_ndcg_10", "epoch", descending=[True, False]).row(0, named=True)
    assert curve.filter("is_best")["epoch"].to_list() == [best["epoch"]]
    weights, note = read_tensors(folder / "best.safetensors", "items.table", "network.positions")
    assert (weights["items.table"][0] == 0).all()
    assert note.facts["best_epoch"] == best["epoch"]
    assert note.settings["training"]["lr"] == 0.01
    assert note.inputs.keys() == {"interactions", "items", "vectors"}
    assert read_provenance(folder / "training_curve.parquet") == note


@pytest.mark.parametrize(("is_native", "computed"), [(True, "bfloat16"), (False, "float32")])
def test_the_precision_is_that_of_the_device_and_the_weights_tell_which(
    folder, is_native, computed, monkeypatch, capsys
):
    monkeypatch.setattr(runtime, "_multiplies_bfloat16", lambda device: is_native)
    assert train(folder, settings_json(precision="bfloat16", epochs=1)) == 0
    _, note = read_tensors(folder / "best.safetensors")
    assert note.facts["precision"] == computed
    assert note.settings["training"]["precision"] == "bfloat16"
    said = "no bfloat16 on this cpu; computing in float32" in capsys.readouterr().err
    assert said == (computed == "float32")


def test_the_same_command_gives_the_same_bytes_and_leaves_no_state(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    write_inputs(other)
    assert train(folder) == train(other) == 0
    assert outputs(folder) == outputs(other)
    assert not (folder / "state").exists()


KILLED = """
import os, signal, sys
from ace_steps.steps import train_backbone
kept = train_backbone.write_state
def write_then_die(folder, state, run):
    kept(folder, state, run)
    if len(state.curve) == 2:
        (folder / ".training_state.safetensors.half.tmp").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
train_backbone.write_state = write_then_die
train_backbone.main(sys.argv[1:])
"""


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


def interrupt_after(monkeypatch, n_epochs):
    honest = train_backbone.write_state

    def write_then_stop(folder, state, run):
        honest(folder, state, run)
        if len(state.curve) == n_epochs:
            raise KeyboardInterrupt

    monkeypatch.setattr(train_backbone, "write_state", write_then_stop)


@pytest.mark.parametrize(
    "change", [{"settings": settings_json(epochs=3, lr=0.02)}, {"seed": "2"}, {"refinement": "svd"}]
)
def test_a_state_of_another_run_is_passed_over(folder, monkeypatch, capsys, change):
    with monkeypatch.context() as patched:
        interrupt_after(patched, 1)
        assert train(folder, **change) == 130
    assert train(folder) == 0
    assert "of other settings, inputs or code; training from the start" in capsys.readouterr().err
    resumed = outputs(folder)
    assert train(folder) == 0
    assert outputs(folder) == resumed


def test_a_state_of_other_inputs_is_passed_over(folder, monkeypatch, capsys):
    with monkeypatch.context() as patched:
        interrupt_after(patched, 1)
        assert train(folder) == 130
    write_inputs(folder, interactions=random_interactions(seed=9))
    assert train(folder) == 0
    assert "training from the start" in capsys.readouterr().err


def train_with_other_code(folder, monkeypatch, module, change):
    """One epoch with the digest of a changed copy of the package, the rest with our own."""
    package = shutil.copytree(PACKAGE, folder / "ace_steps")
    path = package / module
    path.write_text(path.read_text() + change)
    with monkeypatch.context() as patched:
        interrupt_after(patched, 1)
        patched.setattr(checkpoints, "code_digest", partial(code_digest, package=package))
        assert train(folder) == 130
    assert train(folder) == 0


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("training/objectives.py", "full_softmax"),
        ("training/loop.py", "train"),
        ("sequences/histories.py", "read_histories"),
        ("backbones/sasrec.py", "SasRec"),
        ("backbones/recommender.py", "build_item_encoder"),
        ("runtime.py", "derive_seed"),
        ("evaluation/metrics.py", "ndcg"),
        ("evaluation/ranking.py", "rank_targets"),
        ("evaluation/ranking.py", "count_better"),
        ("io/parquet.py", "read_table"),
    ],
)
def test_a_state_of_other_code_is_passed_over(folder, monkeypatch, capsys, module, name):
    train_with_other_code(folder, monkeypatch, module, f"\n{name} = {name}\n")
    assert "of other settings, inputs or code; training from the start" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("module", "change"),
    [
        ("training/loop.py", "# a comment\n"),
        ("backbones/gru4rec.py", "Gru4Rec = Gru4Rec\n"),
        ("refine/ace.py", "x = 1\n"),
    ],
)
def test_a_state_outlives_an_edit_that_changes_none_of_its_numbers(
    folder, monkeypatch, capsys, module, change
):
    train_with_other_code(folder, monkeypatch, module, change)
    assert "going on after epoch 1" in capsys.readouterr().err


def test_a_damaged_state_is_refused_by_name(folder, capsys):
    (folder / "state").mkdir()
    (folder / "state" / "training_state.safetensors").write_bytes(b"half a file")
    assert train(folder) == 2
    assert "training_state.safetensors: not a readable safetensors file" in capsys.readouterr().err


def refused(capsys, folder, settings=None):
    assert train(folder, settings) == 2
    assert not any((folder / name).exists() for name in OUTPUTS)
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    return lines[0]


REFUSED_INPUTS = {
    "items without a vector": (
        {"item_ids": [f"id{i}" for i in range(1, 29)]},
        "2 of 30 items have no vector, e.g. 'id29', 'id30'",
    ),
    "vectors of another dim": ({"width": 5}, "dim 8, got 5"),
    "vectors that do not say how to use them": ({"facts": {}}, "how training is to use them"),
    "an unknown item encoder": (
        {"facts": {"item_encoder": {"kind": "tabel"}}},
        "'tabel'; did you mean 'table'",
    ),
    "an empty training set": (
        {"interactions": interactions_of([[1], [2, 3, 4]])},
        "the training set is empty",
    ),
}


@pytest.mark.parametrize(("changes", "message"), REFUSED_INPUTS.values(), ids=REFUSED_INPUTS)
def test_inputs_that_cannot_be_trained_on_are_refused(tmp_path, capsys, changes, message):
    write_inputs(tmp_path, **changes)
    assert message in refused(capsys, tmp_path)


def test_users_with_one_event_are_trained_around(tmp_path):
    table = interactions_of([[1], [2, 3, 4, 5], [7, 8, 9, 10], [11]])
    write_inputs(tmp_path, interactions=table)
    assert train(tmp_path) == 0


def test_another_table_is_refused(folder, capsys):
    (folder / "interactions.parquet").write_bytes((folder / "items.parquet").read_bytes())
    line = refused(capsys, folder)
    assert "expected the table 'interactions', got 'items'" in line


def test_a_mistyped_setting_is_refused(folder, capsys):
    line = refused(capsys, folder, settings_json().replace('"lr"', '"learnrate"'))
    assert "learnrate" in line


def test_a_loss_that_overflows_is_one_line_that_names_the_step(folder, capsys):
    assert train(folder, settings_json(lr=1e30)) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert "epoch 1, step" in last
    assert "the loss is nan, not a finite number; lower lr (now 1e+30)" in last
    assert not (folder / "best.safetensors").exists()


def test_a_loss_that_is_not_finite_leaves_the_last_good_epoch_to_go_on_from(
    folder, tmp_path_factory, monkeypatch, capsys
):
    honest, calls = loop.full_softmax, iter(range(100))

    def breaks(queries, items, targets):
        return honest(queries, items, targets) * (math.nan if next(calls) == 14 else 1.0)

    with monkeypatch.context() as patched:
        patched.setattr(loop, "full_softmax", breaks)
        assert train(folder) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert "epoch 2, step 3 of 12: the loss is nan" in last
    assert last.endswith("The state after epoch 1 is kept.")
    assert train(folder) == 0
    assert "going on after epoch 1" in capsys.readouterr().err
    whole = tmp_path_factory.mktemp("whole")
    write_inputs(whole)
    assert train(whole) == 0
    assert outputs(folder) == outputs(whole)


@pytest.mark.parametrize("setting", ["lr", "dropout"])
def test_a_mistake_is_told_before_a_gpu_is_waited_for(folder, setting, monkeypatch, capsys):
    monkeypatch.setattr(train_backbone, "select_device", lambda name: pytest.fail("waited"))
    refused(capsys, folder, settings_json().replace(f'"{setting}"', '"mistyped"'))


def test_vectors_are_joined_by_id_and_not_by_place(folder):
    vectors = pl.read_parquet(folder / "vectors.parquet")
    assert vectors["item_id"][0] == "id30"  # the file's order is not the items'
    train(folder, settings_json(epochs=1, lr=1e-9))
    weights, _ = read_tensors(folder / "last.safetensors")
    wanted = dict(zip(vectors["item_id"], vectors["vector"].to_list(), strict=True))
    for item in range(1, 31):
        assert weights["items.table"][item] == pytest.approx(wanted[f"id{item}"], abs=1e-6)
