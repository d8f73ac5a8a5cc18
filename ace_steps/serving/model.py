"""A trained recommender read from its files, with items added that it was not trained on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
import torch

from ace_steps.backbones.recommender import Recommender, build_recommender
from ace_steps.backbones.settings import BackboneSettings, parse_backbone
from ace_steps.errors import InputError
from ace_steps.io.parquet import read_provenance, read_table
from ace_steps.io.provenance import Provenance, digests
from ace_steps.io.tables import PADDING, USERS
from ace_steps.io.vectors import read_vectors
from ace_steps.runtime import select_device
from ace_steps.sequences.inputs import Inputs, RunOptions, item_matrix, quoted, read_inputs
from ace_steps.serving.users import Users, only_listed, read_new_users, users_of
from ace_steps.training.checkpoints import describe_run, read_weights
from ace_steps.training.optimizers import load_weights, weights_as_arrays

TRAINED_TABLE = "items.table"  # the one parameter per item that starts as the item's vector


@dataclass(frozen=True, kw_only=True)
class ServingOptions(RunOptions):
    """A trained recommender, the items to add to it, and whom to recommend to."""

    weights: Annotated[Path, "best or last weights"]
    new_items: Annotated[Path | None, "item_vectors of fold_in_items: items to add"] = None
    map_new_items: Annotated[
        bool, "move new items' vectors as training moved the known ones, by least squares"
    ] = False
    user_table: Annotated[Path, "table users"]
    users: Annotated[Path | None, "text file, one user id a line: only these"] = None
    histories: Annotated[
        Path | None,
        "Parquet with user_id, item_id, position: recommend to these new users instead",
    ] = None
    skip_unknown: Annotated[
        bool, "leave events of --histories with unknown items out instead of refusing them"
    ] = False


@dataclass(frozen=True)
class TrainedModel:
    """A trained recommender and whom to recommend to."""

    recommender: Recommender  # on its device, in evaluation mode
    item_ids: pl.Series  # raw ids in the order of the item index, from 1: trained, then new items
    users: Users
    note: Provenance  # of what is computed from them

    @torch.inference_mode()
    def scored_items(self) -> torch.Tensor:
        """(n_items + 1, query dim): a query's inner products with the rows are its scores."""
        return self.recommender.network.scored_items(self.recommender.items()).detach()


def read_model(step: str, settings: dict, options: ServingOptions) -> TrainedModel:
    """The recommender of a run, with new items appended where some are given, and the users.

    Args:
        step: The step's name.
        settings: What its result depends on beside the options.
        options: Of the step.

    Raises:
        InputError: a file is unreadable, does not belong to the run, or a new item is known; an
            option makes no sense without another.
    """
    if options.skip_unknown and options.histories is None:
        raise InputError("--skip-unknown is for --histories, which is not given.")
    backbone = parse_backbone(options.settings, "--settings")
    run = describe_run(options, backbone)
    arrays = read_weights(options.weights, run)
    inputs, files = read_inputs(**options.tables), {"weights": options.weights}
    ids, new = inputs.items["item_id"], np.empty((0, inputs.matrix.shape[1]), np.float32)
    if options.new_items is not None:
        new_ids, new = _read_new(options.new_items, options.vectors, ids)
        ids, files["new_items"] = pl.concat([ids, new_ids]), options.new_items
    if options.map_new_items:
        if options.new_items is None or TRAINED_TABLE not in arrays:
            raise InputError("--map-new-items needs --new-items and a run with a trained table.")
        first = PADDING + 1
        new = moved_as_trained(new, inputs.matrix[first:].numpy(), arrays[TRAINED_TABLE][first:])
        settings = settings | {"map_new_items": True}
    if options.histories is None:
        histories, users = inputs.histories, read_table(options.user_table, USERS)
        files["user_table"] = options.user_table
    else:
        histories, users = read_new_users(options.histories, ids, skip_unknown=options.skip_unknown)
        files["histories"] = options.histories
    if options.users is not None:
        users, files["users"] = only_listed(users, options.users), options.users
    recommender = extended(inputs, new, backbone, arrays, seed=options.seed)
    device = select_device(options.device)  # last, as it may wait: bad input is refused at once
    note = Provenance(
        step,
        {"backbone": run.settings, **settings},
        run.inputs | digests(**files),
        run.facts | {"device": device.type, "metric": "inner_product"},
    )
    return TrainedModel(recommender.to(device), ids, users_of(histories, users), note)


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
        seed: The run's.
    """
    matrix = torch.cat([inputs.matrix, torch.from_numpy(new)])
    recommender = build_recommender(matrix, inputs.item_encoder, settings, seed)
    n_known, initial, weights = len(inputs.matrix), weights_as_arrays(recommender), dict(arrays)
    for name, array in arrays.items():
        if name in initial and len(array) == n_known < len(initial[name]):
            rows = initial[name][n_known:]
            added = rows if name == TRAINED_TABLE else np.zeros_like(rows)
            weights[name] = np.concatenate([array, added])
    load_weights(recommender, weights)
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
    return new.ids, item_matrix(new.ids, new)[1:]
