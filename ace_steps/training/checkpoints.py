"""A training on disk: its provenance, weights, curve and unfinished state."""

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl

from ace_steps.backbones.settings import BackboneSettings
from ace_steps.errors import InputError
from ace_steps.io.code_digest import code_digest
from ace_steps.io.provenance import Provenance, digests
from ace_steps.io.tables import RUN, TRAINING_CURVE
from ace_steps.io.tensors import read_tensors, write_tensors
from ace_steps.registry import BACKBONES
from ace_steps.sequences.inputs import RunOptions

log = logging.getLogger(__name__)

Identity = dict[str, str | int]
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


@dataclass
class TrainingState:
    """What the next epoch starts from; data order and dropout follow from the seed and the epoch.

    Attributes:
        weights: The trained parameters by name, after the last epoch.
        optimizer: Its tensors, named ``<parameter>/<tensor>``.
        best_weights: The parameters after the epoch with the best validation value.
        curve: One row an epoch, under the columns of the table training_curve, and ``value``, the
            metric that stops the training.
    """

    weights: dict[str, np.ndarray] = field(default_factory=dict)
    optimizer: dict[str, np.ndarray] = field(default_factory=dict)
    best_weights: dict[str, np.ndarray] = field(default_factory=dict)
    curve: list[dict] = field(default_factory=list)

    @property
    def best_epoch(self) -> int:
        """The first epoch with the highest validation value; 0 before any."""
        values = [row["value"] for row in self.curve]
        return 1 + int(np.argmax(values)) if values else 0


def describe_run(options: RunOptions, settings: BackboneSettings) -> Provenance:
    """The provenance of a training: with the same code, libraries, device and threads, equal
    provenance means equal numbers.
    """
    inputs = digests(**options.tables)
    return Provenance("train_backbone", settings.as_json(), inputs, options.identity)


def with_facts(note: Provenance, **facts: object) -> Provenance:
    """The provenance with more facts."""
    return replace(note, facts=note.facts | facts)


def curve_table(state: TrainingState, identity: Identity) -> pl.DataFrame:
    """The table training_curve of a finished training."""
    curve = pl.DataFrame(state.curve).with_columns(
        epoch=pl.col("epoch").cast(pl.Int32), is_best=pl.col("epoch") == state.best_epoch
    )
    return with_identity(curve, identity).select(TRAINING_CURVE.schema.names)


def with_identity(table: pl.DataFrame, identity: Identity) -> pl.DataFrame:
    """The table with the run's identity in every row."""
    return table.with_columns(pl.lit(identity[name]).alias(name) for name in RUN).with_columns(
        pl.col("seed").cast(pl.Int64)
    )


def write_state(folder: Path, state: TrainingState, run: Provenance) -> None:
    """Write a run's state after an epoch atomically, in place of the one before."""
    arrays = {
        f"{part}:{name}": array for part in _PARTS for name, array in getattr(state, part).items()
    }
    write_tensors(folder / STATE_FILE, arrays, with_facts(run, code=_code(run), curve=state.curve))


def read_state(folder: Path, run: Provenance) -> TrainingState:
    """The state an earlier process of this very run left, or an empty one.

    A state of other settings, inputs, code or another version is passed over, as epochs of two
    kinds would mix.

    Raises:
        InputError: the file is damaged.
    """
    expected = with_facts(run, code=_code(run))  # before all else: of the code as it was loaded
    path = folder / STATE_FILE
    if not path.exists():
        return TrainingState()
    arrays, note = read_tensors(path)
    curve = note.facts.pop("curve", [])
    if note != expected:
        log.info("%s is of other settings, inputs or code; training from the start", path)
        return TrainingState()
    state = TrainingState(curve=curve)
    for key, array in arrays.items():
        part, _, name = key.partition(":")
        getattr(state, part)[name] = array
    log.info("going on after epoch %d, kept in %s", len(curve), path)
    return state


def _code(run: Provenance) -> str:
    """A digest of the code that trains a run's backbone; rank_cold_items nests its settings."""
    backbone = BACKBONES[run.settings.get("backbone", run.settings)["model"]]
    return code_digest(*_CODE, f"{backbone.module}:{backbone.name}")


def remove_state(folder: Path) -> None:
    """Remove the state, what killed processes left of it, and the folder if that empties it."""
    for file in [*folder.glob(f".{STATE_FILE}.*.tmp"), folder / STATE_FILE]:
        file.unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def read_weights(path: Path, run: Provenance) -> dict[str, np.ndarray]:
    """The weights in a file of train_backbone, which must be those of a run.

    Raises:
        InputError: no such file, damaged, or of another run; the line names the first difference.
    """
    arrays, note = read_tensors(path)
    for name in ("settings", "inputs", "facts"):
        actual = getattr(note, name)
        for key, expected in getattr(run, name).items():
            if actual.get(key) != expected:
                raise InputError(
                    f"{path}: weights of another run: {name} '{key}': expected {expected!r}, "
                    f"got {actual.get(key)!r}; train again."
                )
    return arrays
