"""What identifies a training: the note its weights carry and later steps compare."""

from pathlib import Path

import polars as pl
import torch

from ace_steps.backbones.settings import BackboneSettings, TrainingSettings
from ace_steps.io.provenance import Provenance, digests
from ace_steps.io.tables import RUN, TRAINING_CURVE
from ace_steps.runtime import computing_precision
from ace_steps.training.state import TrainingState

Identity = dict[str, str | int]


def describe_run(
    identity: Identity,
    settings: BackboneSettings,
    *,
    interactions: Path,
    items: Path,
    vectors: Path,
) -> Provenance:
    """The note of a training: with the same code, libraries, device and threads, equal notes mean
    equal numbers.

    Args:
        identity: dataset, encoder, refinement, backbone and seed.
        settings: Of the backbone.
        interactions: Table of the events.
        items: Table of the catalogue.
        vectors: Refined item vectors.
    """
    return Provenance(
        step="train_backbone",
        settings=settings.as_json(),
        inputs=digests(interactions=interactions, items=items, vectors=vectors),
        facts={name: identity[name] for name in RUN},
    )


def computed_on(device: torch.device, training: TrainingSettings, note: Provenance) -> Provenance:
    """The note with the device's type and the precision that it computes in."""
    precision = computing_precision(training.precision, device)
    return with_facts(note, device=device.type, precision=precision)


def with_facts(note: Provenance, **facts: object) -> Provenance:
    """The note with more facts."""
    return Provenance(note.step, note.settings, note.inputs, note.facts | facts)


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
