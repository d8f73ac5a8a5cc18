"""How items rank that training has not seen: hide some, train without them, rank stand-ins."""

from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import torch

from ace_steps.backbones.recommender import Recommender, build_recommender
from ace_steps.backbones.settings import parse_backbone
from ace_steps.errors import InputError
from ace_steps.evaluation.metrics import CUTOFFS, METRICS, mean_metric
from ace_steps.evaluation.ranking import TIE_SHARES, count_better, next_queries
from ace_steps.io.parquet import read_table
from ace_steps.io.provenance import Provenance, digests
from ace_steps.io.tables import INTERACTIONS, ITEMS, PADDING
from ace_steps.io.vectors import read_vectors
from ace_steps.refine.factor import factorize
from ace_steps.refine.gram import MomentSum
from ace_steps.refine.methods import FactoredVectors, parse_settings, prepare
from ace_steps.refine.refinement import chunk_rows, unit_rows
from ace_steps.runtime import derive_seed, select_device
from ace_steps.sequences.histories import Histories, Targets, held_out, read_histories
from ace_steps.sequences.inputs import Inputs, RunOptions, item_matrix
from ace_steps.serving.model import TRAINED_TABLE, extended, moved_as_trained
from ace_steps.settings import Settings
from ace_steps.training.checkpoints import read_state, with_facts, write_state
from ace_steps.training.loop import train
from ace_steps.training.tasks import build_task


def rank_cold_items(
    options: RunOptions, *, share: float, hiding_seed: int, refinement_settings: str, state: Path
) -> tuple[pl.DataFrame, Provenance]:
    """Metrics of new and known items, by what stands for the new items' vectors.

    Args:
        options: The run; its vectors are the encoder's.
        share: Of the items to hide, in (0, 1).
        hiding_seed: Of the draw of them.
        refinement_settings: The refinement's, JSON.
        state: Folder that an interrupted training goes on from.

    Returns:
        The columns of ``measure`` with ``vectors``, a name of ``new_vectors``; and the provenance.

    Raises:
        InputError: a file or a setting cannot be used, the share hides no item or all, or no test
            item is hidden.
    """
    backbone = parse_backbone(options.settings, "--settings")
    refinement = parse_settings(refinement_settings, "--refinement-settings")
    ids = read_table(options.items, ITEMS).sort("item")["item_id"]
    order, n_known = hide(len(ids), share=share, seed=hiding_seed)
    vectors = item_matrix(ids, read_vectors(options.vectors))[1:][order]
    events = without_hidden(read_table(options.interactions, INTERACTIONS), order, n_known)
    histories = read_histories(events, len(ids))
    targets = held_out(histories, "test")
    if not (targets.item > n_known).any():
        raise InputError(f"no test item is among the {share} of the items that are hidden.")
    kinds = {"backbone": backbone.as_json(), "refinement": refinement.as_json()}
    hiding = {"share": share, "hiding_seed": hiding_seed}
    note = Provenance(
        "rank_cold_items", hiding | kinds, digests(**options.tables), options.identity
    )
    device = select_device(options.device)  # last, as it may wait: bad input is refused at once
    matrix, folded_in, encoder = refine_known(vectors, n_known, refinement)
    fresh = build_recommender(torch.from_numpy(matrix), encoder, backbone, options.seed)
    weights = train(
        fresh.to(device),
        histories,
        build_task(histories, backbone, fresh.network, n_known),
        settings=backbone,
        seed=options.seed,
        state=read_state(state, note),
        keep=partial(write_state, state, run=note),
    ).best_weights
    inputs, tables = Inputs(histories, pl.DataFrame(), torch.from_numpy(matrix), encoder), []
    candidates = new_vectors(matrix, folded_in, weights.get(TRAINED_TABLE), options.seed)
    for name, new in candidates.items():
        recommender = extended(inputs, new, backbone, weights, seed=options.seed).to(device)
        table = measure(recommender, histories, targets, n_known)
        tables.append(table.with_columns(vectors=pl.lit(name)))
    return pl.concat(tables), with_facts(note, device=device.type, n_known=n_known)


def hide(n_items: int, *, share: float, seed: int) -> tuple[np.ndarray, int]:
    """Draw the share, in (0, 1), of the items to hide, evenly among all.

    Returns:
        (n_items,) item indices less 1, known items before hidden ones, each in their order; and
        how many are known.

    Raises:
        InputError: the share leaves no item to hide or none to train on.
    """
    n_hidden = round(share * n_items)
    if not 0 < n_hidden < n_items:
        raise InputError(f"a share of {share} of {n_items} items hides {n_hidden} of them.")
    rng = np.random.default_rng(derive_seed(seed, "hidden items"))
    is_hidden = np.zeros(n_items, bool)
    is_hidden[rng.permutation(n_items)[:n_hidden]] = True
    return np.argsort(is_hidden, kind="stable"), n_items - n_hidden


def without_hidden(interactions: pl.DataFrame, order: np.ndarray, n_known: int) -> pl.DataFrame:
    """The table interactions with indices by ``order``, hidden items left in by test events alone.

    Train and validation events of hidden items go, and so do users who have no train event left;
    the history of a test item holds known items only. ``order`` and ``n_known`` are ``hide``'s.
    """
    index = np.empty(len(order) + 1, np.int32)
    index[order + 1] = np.arange(1, len(order) + 1)
    moved = interactions.with_columns(item=pl.Series(index[interactions["item"].to_numpy()]))
    is_kept = (pl.col("item") <= n_known) | (pl.col("split") == "test")
    has_train = (pl.col("split") == "train").any().over("user")
    return moved.filter(is_kept).filter(has_train)


def refine_known(
    vectors: np.ndarray, n_known: int, settings: Settings
) -> tuple[np.ndarray, np.ndarray, dict]:
    """Refined vectors of known items, those of new ones by the same map, and the item encoder.

    The map is fitted on the known items alone, the first of ``vectors`` (n_items, dim), as it
    would be before the others came.

    Returns:
        (n_known + 1, d) float32 with a zero row for the padding, (n_new, d) float32, and how the
        vectors are used.
    """
    unit = unit_rows(vectors)
    known, step = unit[:n_known], chunk_rows(unit.shape[1])
    total = MomentSum(unit.shape[1])
    for start in range(0, n_known, step):
        total.add(known[start : start + step])
    factors = [factorize(total.moments(), center=center) for center in (False, True)]
    factored = FactoredVectors(
        *factors, lambda: (known[i : i + step] for i in range(0, n_known, step))
    )
    prepared = prepare(settings, factored)
    matrix = np.zeros((n_known + 1, prepared.dim), np.float32)
    matrix[1:] = prepared.apply(known)
    return matrix, prepared.apply(unit[n_known:]).astype(np.float32), prepared.item_encoder


def new_vectors(
    matrix: np.ndarray, folded_in: np.ndarray, trained: np.ndarray | None, seed: int
) -> dict[str, np.ndarray]:
    """What may stand for the vectors of new items, by name, each (n_new, d) float32.

    ``folded_in``: refined by the map. ``mapped``: moved further by the affine map that least
    squares fits from the known items' refined vectors to their trained ones; for a trained table
    alone. Without meaning, for comparison: ``shuffled``, each new item gets another one's folded-in
    vector; ``random``, normal entries with the standard deviation of the folded-in ones.

    Args:
        matrix: (n_known + 1, d) refined vectors of the known items, row 0 zero.
        folded_in: (n_new, d) of the new items.
        trained: The trained table, of the shape of ``matrix``, or None where there is none.
        seed: Of the two that are drawn.
    """
    rng = np.random.default_rng(derive_seed(seed, "new vectors"))
    vectors = {"folded_in": folded_in}
    if trained is not None:
        first = PADDING + 1
        vectors["mapped"] = moved_as_trained(folded_in, matrix[first:], trained[first:])
    order = rng.permutation(len(folded_in))
    vectors["shuffled"] = np.empty_like(folded_in)
    vectors["shuffled"][order] = folded_in[np.roll(order, 1)]  # a cycle: none keeps its own
    drawn = folded_in.std() * rng.standard_normal(folded_in.shape)
    return vectors | {"random": drawn.astype(np.float32)}


@torch.inference_mode()
def measure(
    recommender: Recommender, histories: Histories, targets: Targets, n_known: int
) -> pl.DataFrame:
    """Metrics of held-out items that are new and of those that are known; ties count as half.

    Args:
        recommender: Over all items, known ones first; in evaluation mode.
        histories: Of known items.
        targets: The held-out events.
        n_known: Items that were trained.

    Returns:
        Columns of the table ``cold_items``: targets (new or known), candidates (all or new: what
        the item is ranked among), metric, cutoff, value, n_targets, n_candidates.
    """
    items = recommender.items()
    scored = recommender.network.scored_items(items)
    is_new = targets.item > n_known
    new = targets.take(is_new)
    among_new = Targets(new.user, new.item - n_known, new.start, new.length)
    parts = [
        ("known", "all", targets.take(~is_new), scored),
        ("new", "all", new, scored),
        ("new", "new", among_new, torch.cat([scored[: PADDING + 1], scored[n_known + 1 :]])),
    ]
    rows = []
    for kind, candidates, held, among in parts:
        if not len(held.user):
            continue
        queries = next_queries(recommender.network, items, histories, held)
        n_greater, n_ties = count_better(queries, among, None, held)
        ranks = 1.0 + n_greater + TIE_SHARES["expected"] * n_ties
        shared = {"targets": kind, "candidates": candidates, "n_targets": len(held.user)}
        shared |= {"n_candidates": len(among) - 1}
        rows += [
            {**shared, "metric": name, "cutoff": at, "value": mean_metric(ranks, name, at)}
            for name in METRICS
            for at in CUTOFFS
        ]
    return pl.DataFrame(rows)
