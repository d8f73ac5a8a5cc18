"""A trained recommender, ready to be asked, with items added that it was not trained on."""

from dataclasses import dataclass
from pathlib import Path

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
from ace_steps.sequences.inputs import Inputs, item_matrix, read_inputs
from ace_steps.serving.users import examples
from ace_steps.training.checkpoints import read_weights
from ace_steps.training.optimizers import load_weights, weights_as_arrays
from ace_steps.training.runs import describe_run

STARTS_AS_VECTOR = "items.table"  # the one parameter per item that starts as the item's vector


@dataclass(frozen=True)
class Trained:
    """A trained recommender and what it was trained on.

    Attributes:
        recommender: In evaluation mode, on the CPU.
        inputs: Histories, catalogue and vectors of the training.
        item_ids: Raw ids in the order of the item index, from 1: trained items, then new ones.
        note: What the run was, and the digests of everything that was read.
    """

    recommender: Recommender
    inputs: Inputs
    item_ids: pl.Series
    note: Provenance

    def scored_items(self) -> torch.Tensor:
        """(n_items + 1, query width): a query's inner products with the rows are its scores."""
        with torch.inference_mode():
            return self.recommender.network.scored_items(self.recommender.items()).detach()

    def to(self, device: torch.device) -> "Trained":
        """The same on a device."""
        self.recommender.to(device)
        return self


def read_trained(
    *,
    interactions: Path,
    items: Path,
    vectors: Path,
    weights: Path,
    new_items: Path | None,
    map_new_items: bool,
    settings: str,
    **identity: str | int,
) -> Trained:
    """The recommender of a run, with new items appended where some are given.

    Args:
        interactions: Table of the log.
        items: Table of the catalogue.
        vectors: Refined item vectors of the run.
        weights: What train_backbone wrote.
        new_items: What fold_in_items made of further items' vectors, or None.
        map_new_items: Move them as training moved the known ones; see ``moved_as_trained``.
        settings: The backbone's settings, JSON.
        identity: The run's.

    Raises:
        InputError: a file is unreadable, does not belong to the run, or a new item is known.
    """
    chosen = parse_backbone(settings, "--settings")
    files = {"interactions": interactions, "items": items, "vectors": vectors}
    run = describe_run(identity, chosen, **files)
    arrays = read_weights(weights, run)
    inputs = read_inputs(**files)
    known, read = inputs.items["item_id"], {"weights": weights}
    new = np.empty((0, inputs.matrix.shape[1]), np.float32)
    ids = known
    if new_items is not None:
        ids, new = _read_new(new_items, vectors, known)
        ids, read = pl.concat([known, ids]), read | {"new_items": new_items}
    if map_new_items:
        if new_items is None or STARTS_AS_VECTOR not in arrays:
            raise InputError("--map-new-items needs --new-items and a run with a trained table.")
        first = PADDING + 1
        new = moved_as_trained(new, inputs.matrix[first:].numpy(), arrays[STARTS_AS_VECTOR][first:])
    recommender = extended(inputs, new, chosen, arrays, seed=identity["seed"])
    note = Provenance(run.step, run.settings, run.inputs | digests(**read), run.facts)
    return Trained(recommender, inputs, ids, note)


def moved_as_trained(new: np.ndarray, refined: np.ndarray, trained: np.ndarray) -> np.ndarray:
    """New items' vectors, moved by what least squares says of how training moved the known ones.

    The affine map A, b that minimises the squared distance of ``refined A + b`` and ``trained``.

    Args:
        new: (n_new, width) refined vectors.
        refined: (n_known, width), of the known items before training.
        trained: (n_known, width), of the same after it.

    Returns:
        (n_new, width) float32.
    """
    one, other = (np.hstack([rows, np.ones((len(rows), 1))]) for rows in (refined, new))
    return (other @ np.linalg.lstsq(one, trained, rcond=None)[0]).astype(np.float32)


def extended(
    inputs: Inputs,
    new: np.ndarray,
    settings: BackboneSettings,
    arrays: dict[str, np.ndarray],
    *,
    seed: int,
) -> Recommender:
    """A trained recommender with further items, in evaluation mode.

    What is trained for each item starts, for a new one, as training would have started it: its own
    vector in a trained table; elsewhere (a bias, a table that is added) 0, the mean of such starts.
    Networks over frozen vectors need nothing more.

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
    start = weights_as_arrays(recommender)
    for name, array in arrays.items():
        is_per_item = name in start and len(array) == n_known and len(start[name]) == len(matrix)
        if is_per_item and len(new):
            rows = start[name][n_known:] if name == STARTS_AS_VECTOR else 0.0
            start[name][:n_known], start[name][n_known:] = array, rows
            arrays = arrays | {name: start[name]}
    load_weights(recommender, arrays)
    return recommender.eval()


def _read_new(path: Path, vectors: Path, known: pl.Series) -> tuple[pl.Series, np.ndarray]:
    """Ids and refined vectors of new items.

    Raises:
        InputError: not what fold_in_items wrote with the run's own map, an item is known already or
            comes twice, or a vector is not finite.
    """
    found, wanted = read_provenance(path), read_provenance(vectors)
    if found.step != "fold_in_items" or found.facts != wanted.facts:
        raise InputError(
            f"{path}: not folded in with the map of {vectors}; run fold_in_items with the "
            "refinement.safetensors beside it."
        )
    read = read_vectors(path)
    double = read.ids.filter(read.ids.is_in(known.implode()))
    if len(double):
        raise InputError(
            f"{path}: {len(double)} of {len(read)} items are in the catalogue already, e.g. "
            f"{examples(double)}."
        )
    return read.ids, item_matrix(read.ids, Vectors(None, read.ids, read.matrix))[1:]
