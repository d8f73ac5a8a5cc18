import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from ace_steps.errors import InputError
from ace_steps.io.code_digest import PACKAGE, code_digest
from ace_steps.io.provenance import Provenance
from ace_steps.training import checkpoints
from ace_steps.training.checkpoints import (
    STATE_FILE,
    TrainingState,
    read_state,
    remove_state,
    write_state,
)

RUN = Provenance(
    "train_backbone", {"model": "sasrec", "lr": 0.1}, {"items": "00"}, {"seed": 1, "device": "cpu"}
)
STATE = TrainingState({"a": np.ones(2)}, {"a/step": np.ones(1)}, {"a": np.zeros(2)}, [{"value": 1}])


def test_a_state_comes_back_whole_and_is_removed_with_what_killed_processes_left(tmp_path):
    write_state(tmp_path, STATE, RUN)
    state = read_state(tmp_path, RUN)
    assert state.curve == STATE.curve
    for part in ("weights", "optimizer", "best_weights"):
        read, written = getattr(state, part), getattr(STATE, part)
        assert read.keys() == written.keys()
        assert all((read[name] == written[name]).all() for name in written)
    (tmp_path / f".{STATE_FILE}.half.tmp").write_bytes(b"half")
    remove_state(tmp_path)
    assert not tmp_path.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {"model": "sasrec", "lr": 0.2}},
        {"inputs": {"items": "01"}},
        {"facts": {"seed": 2, "device": "cpu"}},
        {"version": "0.0.0"},
    ],
)
def test_a_state_of_another_run_is_passed_over(tmp_path, change):
    write_state(tmp_path, STATE, replace(RUN, **change))
    assert read_state(tmp_path, RUN) == TrainingState()


CHANGES = {  # code added to a module, and whether an epoch's numbers may depend on it
    "the loss": ("training/objectives.py", "full_softmax = full_softmax", True),
    "the histories": ("sequences/histories.py", "read_histories = read_histories", True),
    "the backbone": ("backbones/sasrec.py", "SasRec = SasRec", True),
    "the seeds": ("runtime.py", "derive_seed = derive_seed", True),
    "the ranking": ("evaluation/ranking.py", "count_better = count_better", True),
    "the tables": ("io/parquet.py", "read_table = read_table", True),
    "a comment": ("training/loop.py", "# a comment", False),
    "another backbone": ("backbones/gru4rec.py", "Gru4Rec = Gru4Rec", False),
    "a refinement": ("refine/ace.py", "x = 1", False),
}


@pytest.mark.parametrize(("module", "code", "decides"), CHANGES.values(), ids=CHANGES)
def test_a_state_of_other_code_is_passed_over(tmp_path, monkeypatch, module, code, decides):
    package = shutil.copytree(PACKAGE, tmp_path / PACKAGE.name)
    with (package / module).open("a") as stream:
        stream.write(f"\n{code}\n")
    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "code_digest", partial(code_digest, package=package))
        write_state(tmp_path, STATE, RUN)
    assert (read_state(tmp_path, RUN).curve == []) == decides


def test_a_damaged_state_is_refused_by_name(tmp_path):
    (tmp_path / STATE_FILE).write_bytes(b"half a file")
    with pytest.raises(InputError, match=f"{STATE_FILE}: not a readable safetensors file"):
        read_state(tmp_path, RUN)
