"""How items rank that training has not seen, by what is put in the place of their vectors."""

from collections.abc import Callable

import numpy as np
import polars as pl
import torch

from ace_steps.backbones.recommender import Recommender
from ace_steps.evaluation.metrics import CUTOFFS, METRICS, mean_metric
from ace_steps.evaluation.ranking import TIE_SHARES, count_better, next_queries
from ace_steps.io.tables import PADDING
from ace_steps.refine.factor import factorise
from ace_steps.refine.methods import plan
from ace_steps.refine.moments import MomentSum
from ace_steps.refine.plan import Source
from ace_steps.refine.rows import chunk_rows, unit_rows
from ace_steps.runtime import derive_seed
from ace_steps.sequences.histories import Histories, Targets
from ace_steps.serving.trained import moved_as_trained
from ace_steps.settings import Settings

TIE_SHARE = TIE_SHARES["expected"]


def refine_known(
    vectors: np.ndarray, n_known: int, settings: Settings
) -> tuple[np.ndarray, np.ndarray, dict]:
    """Refined vectors of known items, those of new ones by the same map, and the item encoder.

    The map is fitted on the known items alone, as it would be before the others came.

    Args:
        vectors: (n_items, width) of the encoder, known items first.
        n_known: How many are known.
        settings: Of the refinement.

    Returns:
        (n_known + 1, d) float32 with a zero row for the padding, (n_new, d) float32, and how the
        vectors are used.
    """
    unit = unit_rows(vectors)
    known, step = unit[:n_known], chunk_rows(unit.shape[1])
    total = MomentSum(unit.shape[1])
    for start in range(0, n_known, step):
        total.add(known[start : start + step])
    factors = [factorise(total.moments(), center=center) for center in (False, True)]
    source = Source(*factors, lambda: (known[i : i + step] for i in range(0, n_known, step)))
    planned = plan(settings, source)
    refine = planned.start()
    matrix = np.zeros((n_known + 1, planned.width), np.float32)
    matrix[1:] = refine(known)
    return matrix, refine(unit[n_known:]).astype(np.float32), planned.item_encoder


def starts(
    matrix: np.ndarray, new: np.ndarray, trained: np.ndarray | None, seed: int
) -> dict[str, np.ndarray]:
    """What may stand for the vectors of new items, by name, each (n_new, d) float32.

    ``folded_in``: refined by the map. ``mapped``: moved further by the affine map that least
    squares fits from the known items' refined vectors to their trained ones; for a trained table
    alone. Without meaning, for comparison: ``shuffled``, each new item gets another one's folded-in
    vector; ``random``, normal entries with the deviation of the folded-in ones.

    Args:
        matrix: (n_known + 1, d) refined vectors of the known items, row 0 zero.
        new: (n_new, d) of the new items.
        trained: The trained table, of the shape of ``matrix``, or None where there is none.
        seed: Of the two that are drawn.
    """
    rng = np.random.default_rng(derive_seed(seed, "new vectors"))
    found = {"folded_in": new}
    if trained is not None:
        found["mapped"] = moved_as_trained(new, matrix[PADDING + 1 :], trained[PADDING + 1 :])
    order = rng.permutation(len(new))
    found["shuffled"] = np.empty_like(new)
    found["shuffled"][order] = new[np.roll(order, 1)]  # a cycle: none keeps its own
    found["random"] = (new.std() * rng.standard_normal(new.shape)).astype(np.float32)
    return found


@torch.inference_mode()
def measure(
    recommender: Recommender, histories: Histories, targets: Targets, n_known: int
) -> pl.DataFrame:
    """Metrics of targets that are new and of those that are known; ties count as half.

    Args:
        recommender: Over all items, known ones first; in evaluation mode.
        histories: Of known items.
        targets: The held-out events.
        n_known: Items that were trained.

    Returns:
        targets (new or known), candidates (all or new: what the target is ranked among), metric,
        cutoff, value, n_targets, n_candidates.
    """
    items = recommender.items()
    scored = recommender.network.scored_items(items)
    n_all = len(scored) - 1
    is_new = targets.item > n_known
    only_new = torch.cat([scored[: PADDING + 1], scored[n_known + 1 :]])
    parts = []
    for kind, candidates, rows in (("known", "all", ~is_new), ("new", "all", is_new)):
        some = targets.take(np.flatnonzero(rows))
        parts.append((kind, candidates, n_all, some, scored))
    moved = Targets(some.user, some.item - n_known, some.start, some.length)
    parts.append(("new", "new", n_all - n_known, moved, only_new))
    rows = []
    for kind, candidates, n_candidates, some, among in parts:
        if not len(some.user):
            continue
        queries = next_queries(recommender.network, items, histories, some)
        n_greater, n_ties = count_better(queries, among, None, some)
        shared = {"targets": kind, "candidates": candidates, "n_targets": len(some.user)}
        shared |= {"n_candidates": n_candidates}
        rows += _metrics(1.0 + n_greater + TIE_SHARE * n_ties, shared)
    return pl.DataFrame(rows)


def measure_starts(
    found: dict[str, np.ndarray], build: Callable[[np.ndarray], Recommender], **held_out: object
) -> pl.DataFrame:
    """``measure`` for each of ``starts``, with its name in the column vectors.

    Args:
        found: What ``starts`` gave.
        build: The recommender with these vectors for the new items.
        held_out: The other arguments of ``measure``.
    """
    tables = [
        measure(build(new), **held_out).with_columns(vectors=pl.lit(name))
        for name, new in found.items()
    ]
    return pl.concat(tables)


def _metrics(ranks: np.ndarray, shared: dict) -> list[dict]:
    return [
        {**shared, "metric": name, "cutoff": at, "value": mean_metric(ranks, name, at)}
        for name in METRICS
        for at in CUTOFFS
    ]
