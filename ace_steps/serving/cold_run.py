"""The experiment with hidden items from its files on: refine, train, fold in, measure."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import torch

from ace_steps.backbones.recommender import Recommender, build_recommender
from ace_steps.backbones.registry import parse_backbone
from ace_steps.errors import InputError
from ace_steps.io.parquet import read_table
from ace_steps.io.provenance import Provenance, digests
from ace_steps.io.tables import INTERACTIONS, ITEMS, RUN
from ace_steps.io.vectors import read_vectors
from ace_steps.refine.methods import parse_settings
from ace_steps.sequences.histories import Histories, held_out, read_histories
from ace_steps.sequences.inputs import Inputs, item_matrix
from ace_steps.serving.cold import measure_starts, refine_known, starts
from ace_steps.serving.hiding import Hidden, hide, without_hidden
from ace_steps.serving.trained import STARTS_AS_VECTOR, extended
from ace_steps.training.checkpoints import read_state, write_state
from ace_steps.training.loop import train
from ace_steps.training.tasks import build_task


@dataclass(frozen=True)
class World:
    """A log in which hidden items are wanted by test targets alone.

    Attributes:
        hidden: Which items.
        histories: Of known items, with indices from ``hidden``.
        vectors: (n_items, width) of the encoder, known items first.
        facts: Digests of the files, and what was hidden.
    """

    hidden: Hidden
    histories: Histories
    vectors: np.ndarray
    note: Provenance


def read_world(*, interactions: Path, items: Path, vectors: Path, share: float, seed: int) -> World:
    """Read the tables and hide a share of the items.

    Raises:
        InputError: a file cannot be used, the share is of no use, or no test target is hidden.
    """
    ids = read_table(items, ITEMS).sort("item")["item_id"]
    hidden = hide(len(ids), share=share, seed=seed)
    matrix = item_matrix(ids, read_vectors(vectors))[1:]
    log = without_hidden(read_table(interactions, INTERACTIONS), hidden)
    histories = read_histories(log, len(ids))
    if not (held_out(histories, "test").item > hidden.n_known).any():
        raise InputError(f"no test target is among the {share} of the items that are hidden.")
    note = Provenance(
        "rank_cold_items",
        {"share": share, "hiding_seed": seed},
        digests(interactions=interactions, items=items, vectors=vectors),
    )
    return World(hidden, histories, matrix[hidden.order], note)


def run_cold(
    world: World,
    identity: dict[str, str | int],
    *,
    settings: str,
    refinement_settings: str,
    device: torch.device,
    state: Path,
) -> tuple[pl.DataFrame, Provenance]:
    """Metrics of new and known items, by what stands for the new items' vectors.

    Args:
        world: What ``read_world`` gave.
        identity: Of the run.
        settings: The backbone's, JSON.
        refinement_settings: The refinement's, JSON.
        device: Where to train and rank.
        state: Folder that an interrupted training goes on from.

    Returns:
        Columns as ``measure_starts``, and the note for the table.
    """
    chosen = parse_backbone(settings, "--settings")
    refinement = parse_settings(refinement_settings, "--refinement-settings")
    n_known, seed = world.hidden.n_known, identity["seed"]
    matrix, new, encoder = refine_known(world.vectors, n_known, refinement)
    kinds = {"backbone": chosen.as_json(), "refinement": refinement.as_json()}
    facts = {name: identity[name] for name in RUN}
    note = Provenance(world.note.step, world.note.settings | kinds, world.note.inputs, facts)
    fresh = build_recommender(torch.from_numpy(matrix), encoder, chosen, seed)
    done = train(
        fresh.to(device),
        world.histories,
        build_task(world.histories, chosen, fresh.network, n_known),
        settings=chosen,
        seed=seed,
        state=read_state(state, note),
        keep=partial(write_state, state, run=note),
    )
    weights = done.best_weights
    inputs = Inputs(world.histories, pl.DataFrame(), torch.from_numpy(matrix), encoder)

    def build(rows: np.ndarray) -> Recommender:
        return extended(inputs, rows, chosen, weights, seed=seed).to(device)

    found = starts(matrix, new, weights.get(STARTS_AS_VECTOR), seed)
    targets = held_out(world.histories, "test")
    held = {"histories": world.histories, "targets": targets, "n_known": n_known}
    return measure_starts(found, build, **held), note
