"""A trained recommender read from its files, with items added that it was not trained on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
import torch

from ace_steps.backbones.recommender import Recommender, build_recommender
from ace_steps.backbones.registry import parse_backbone
from ace_steps.backbones.settings import BackboneSettings
from ace_steps.errors import InputError
from ace_steps.io.parquet import read_provenance
from ace_steps.io.provenance import Provenance, digests
from ace_steps.io.tables import PADDING
from ace_steps.io.vectors import Vectors, read_vectors
from ace_steps.sequences.inputs import Inputs, RunOptions, item_matrix, quoted, read_inputs
from ace_steps.training.checkpoints import describe_run, read_weights
from ace_steps.training.optimizers import load_weights, weights_as_arrays

TRAINED_TABLE = "items.table"  # the one parameter per item that starts as the item's vector


@dataclass(frozen=True)
class TrainedModel:
    """A trained recommender and what it was trained on.

    Attributes:
        recommender: In evaluation mode.
        inputs: Histories, catalog and vectors of the training.
        item_ids: Raw ids in the order of the item index, from 1: trained items, then new ones.
        note: What the run was, and the digests of everything that was read.
    """

    recommender: Recommender
    inputs: Inputs
    item_ids: pl.Series
    note: Provenance

    def scored_items(self) -> torch.Tensor:
        """(n_items + 1, query dim): a query's inner products with the rows are its scores."""
        with torch.inference_mode():
            return self.recommender.network.scored_items(self.recommender.items()).detach()


@dataclass(frozen=True, kw_only=True)
class ModelOptions(RunOptions):
    """A trained recommender, and the items to add."""

    weights: Annotated[Path, "best or last weights"]
    new_items: Annotated[Path | None, "item_vectors of fold_in_items: items to add"] = None
    map_new_items: Annotated[
        bool, "move new items' vectors as training moved the known ones, by least squares"
    ] = False


def read_model(options: ModelOptions) -> TrainedModel:
    """The recommender of a run on the CPU, with new items appended where some are given.

    Raises:
        InputError: a file is unreadable, does not belong to the run, or a new item is known.
    """
    backbone = parse_backbone(options.settings, "--settings")
    run = describe_run(options, backbone)
    arrays = read_weights(options.weights, run)
    inputs = read_inputs(**options.tables)
    ids, read = inputs.items["item_id"], {"weights": options.weights}
    new = np.empty((0, inputs.matrix.shape[1]), np.float32)
    if options.new_items is not None:
        new_ids, new = _read_new(options.new_items, options.vectors, ids)
        ids, read = pl.concat([ids, new_ids]), read | {"new_items": options.new_items}
    if options.map_new_items:
        if options.new_items is None or TRAINED_TABLE not in arrays:
            raise InputError("--map-new-items needs --new-items and a run with a trained table.")
        first = PADDING + 1
        new = moved_as_trained(new, inputs.matrix[first:].numpy(), arrays[TRAINED_TABLE][first:])
    recommender = extended(inputs, new, backbone, arrays, seed=options.seed)
    note = Provenance(run.step, run.settings, run.inputs | digests(**read), run.facts)
    return TrainedModel(recommender, inputs, ids, note)


def moved_as_trained(new: np.ndarray, refined: np.ndarray, trained: np.ndarray) -> np.ndarray:
    """New items' vectors, moved as training moved the known ones by least squares.

    The affine map A, b that minimizes the squared distance of ``refined A + b`` and ``trained``.

    Args:
        new: (n_new, dim) refined vectors.
        refined: (n_known, dim), of the known items before training.
        trained: (n_known, dim), of the same after it.

    Returns:
        (n_new, dim) float32.
    """
    known, other = (np.hstack([rows, np.ones((len(rows), 1))]) for rows in (refined, new))
    return (other @ np.linalg.lstsq(known, trained, rcond=None)[0]).astype(np.float32)


def extended(
    inputs: Inputs,
    new: np.ndarray,
    settings: BackboneSettings,
    arrays: dict[str, np.ndarray],
    *,
    seed: int,
) -> Recommender:
    """A trained recommender with further items, in evaluation mode.

    A parameter of each item is, for a new one, what training would have initialized it with: its
    own vector in a trained table; elsewhere (a bias, a table that is added) 0, the mean of such
    values. Networks over frozen vectors need nothing more.

    Args:
        inputs: Of the training.
        new: (n_new, d) float32 refined vectors of the new items.
        settings: The backbone's.
        arrays: The trained weights by name.
        seed: The run's seed.
    """
    matrix = torch.cat([inputs.matrix, torch.from_numpy(new)])
    recommender = build_recommender(matrix, inputs.item_encoder, settings, seed)
    n_known = len(inputs.matrix)
    initial = weights_as_arrays(recommender)
    for name, array in arrays.items():
        is_per_item = name in initial and len(array) == n_known and len(initial[name]) > n_known
        if is_per_item:
            rows = initial[name][n_known:]
            arrays = arrays | {
                name: np.concatenate([array, rows if name == TRAINED_TABLE else 0 * rows])
            }
    load_weights(recommender, arrays)
    return recommender.eval()


def _read_new(path: Path, vectors: Path, known: pl.Series) -> tuple[pl.Series, np.ndarray]:
    """Ids and refined vectors of new items, checked to be of the run's own map and not known."""
    folded, refined = read_provenance(path), read_provenance(vectors)
    if folded.step != "fold_in_items" or folded.facts != refined.facts:
        raise InputError(
            f"{path}: not folded in with the map of {vectors}; run fold_in_items with the "
            "refinement.safetensors beside it."
        )
    new = read_vectors(path)
    repeated = new.ids.filter(new.ids.is_in(known.implode()))
    if len(repeated):
        raise InputError(
            f"{path}: {len(repeated)} of {len(new)} items are in the catalog already, e.g. "
            f"{quoted(repeated)}."
        )
    return new.ids, item_matrix(new.ids, Vectors(None, new.ids, new.matrix))[1:]
