"""Weights and the state of an unfinished training, on disk."""

import logging
from pathlib import Path

import numpy as np

from ace_steps.errors import InputError
from ace_steps.io.code_digest import code_digest
from ace_steps.io.provenance import Provenance
from ace_steps.io.tensors import read_tensors, write_tensors
from ace_steps.registry import BACKBONES
from ace_steps.training.runs import with_facts
from ace_steps.training.state import TrainingState

log = logging.getLogger(__name__)

STATE_FILE = "training_state.safetensors"  # one file, so that it is never half of two epochs
_PARTS = ("weights", "optimizer", "best_weights")
# What an epoch's numbers depend on, beside the backbone.
_CODE = (
    "ace_steps.backbones.recommender:build_recommender",
    "ace_steps.runtime:select_device",
    "ace_steps.sequences.inputs:read_inputs",
    "ace_steps.training.loop:train",
    "ace_steps.training.tasks:build_task",
)


def write_state(folder: Path, state: TrainingState, run: Provenance) -> None:
    """Write the state atomically, in place of the one before.

    Args:
        folder: The run's own folder for it.
        state: After an epoch.
        run: What the run is: its settings, inputs and identity.
    """
    arrays = {
        f"{part}:{name}": array for part in _PARTS for name, array in getattr(state, part).items()
    }
    note = with_facts(run, code=_code_of(run), curve=state.curve)
    write_tensors(folder / STATE_FILE, arrays, note)


def read_state(folder: Path, run: Provenance) -> TrainingState:
    """The state an earlier process of this very run left, or an empty one.

    A state of other settings, inputs, code or another version is of no use here: epochs of two
    kinds would mix. It is passed over.

    Raises:
        InputError: the file is damaged.
    """
    wanted = with_facts(run, code=_code_of(run))  # first, so that it is of the code loaded
    path = folder / STATE_FILE
    if not path.exists():
        return TrainingState()
    arrays, found = read_tensors(path)
    curve = found.facts.pop("curve", [])
    if found != wanted:
        log.info("%s is of other settings, inputs or code; training from the start", path)
        return TrainingState()
    parts: dict[str, dict[str, np.ndarray]] = {part: {} for part in _PARTS}
    for key, array in arrays.items():
        part, _, name = key.partition(":")
        parts[part][name] = array
    log.info("going on after epoch %d, kept in %s", len(curve), path)
    return TrainingState(**parts, curve=curve)


def _code_of(run: Provenance) -> str:
    """A digest of the code that trains a run's backbone."""
    settings = run.settings.get("backbone", run.settings)  # beside others where items are hidden
    backbone = BACKBONES[settings["model"]]
    return code_digest(*_CODE, f"{backbone.module}:{backbone.name}")


def remove_state(folder: Path) -> None:
    """Remove the state, what killed processes left of it, and the folder if that empties it."""
    for file in [*folder.glob(f".{STATE_FILE}.*.tmp"), folder / STATE_FILE]:
        file.unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def read_weights(path: Path, run: Provenance) -> dict[str, np.ndarray]:
    """The weights of a run.

    Args:
        path: What train_backbone wrote.
        run: The settings, inputs and facts the weights must have been trained with.

    Raises:
        InputError: no such file, damaged, or of another run; the line names the first difference.
    """
    arrays, found = read_tensors(path)
    for name in ("settings", "inputs", "facts"):
        wanted, has = getattr(run, name), getattr(found, name)
        differing = [key for key in wanted if has.get(key) != wanted[key]]
        if differing:
            key = differing[0]
            raise InputError(
                f"{path}: weights of another run: {name} '{key}' is {has.get(key)!r}, "
                f"but {wanted[key]!r} is wanted; train again."
            )
    return arrays
