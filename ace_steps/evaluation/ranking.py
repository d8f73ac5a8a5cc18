"""Ranks of held-out targets over the whole catalogue, by counting and never by sorting."""

from dataclasses import dataclass

import numpy as np
import polars as pl
import torch
from torch import Tensor

from ace_steps.backbones.network import Network
from ace_steps.backbones.recommender import Recommender
from ace_steps.errors import InputError
from ace_steps.refine.partial import shard_rows
from ace_steps.tables import PADDING
from ace_steps.training.batches import gather
from ace_steps.training.histories import Histories, Targets

TIE_SHARES = {"optimistic": 0.0, "expected": 0.5, "pessimistic": 1.0}
USERS_AT_ONCE = {"cpu": 2**12, "cuda": 2**16}  # a block: its queries are held, no shard splits it
POSITIONS_AT_ONCE = {"cpu": 2**11, "cuda": 2**18}  # of histories in one forward pass
SCORE_ROWS = {"cpu": 256, "cuda": 4_096}  # users and
SCORE_ITEMS = {"cpu": 2**12, "cuda": 2**16}  # items of one block of scores


@dataclass(frozen=True)
class Ranks:
    """Ranks of targets, one a row: ``rank`` (n,) float64 from 1, ``n_ties`` (n,) int32."""

    rank: np.ndarray
    n_ties: np.ndarray


@torch.inference_mode()
def rank_targets(
    recommender: Recommender,
    histories: Histories,
    targets: Targets,
    *,
    tie_policy: str,
    mask_seen: bool,
) -> Ranks:
    """The rank of every target among all items: ``1 + n_greater + share * n_ties``.

    ``n_ties`` counts the other items with exactly the target's score; the share of them that is
    put before it is 0 (optimistic), 1/2 (expected: the mean over all orders) or 1 (pessimistic).

    Args:
        recommender: In evaluation mode; its device is where the scores are made.
        histories: All events.
        targets: What to rank, with the history before each.
        tie_policy: ``expected``, ``optimistic`` or ``pessimistic``.
        mask_seen: Leave out the items of the user's history, except the target itself.

    Raises:
        InputError: a query or an item vector is not finite, so that the ranking would be arbitrary.

    Cost:
        One product of targets x items x width. Memory is the item vectors, the queries of one block
        of users and one block of scores, whatever the number of users and items.
    """
    items = recommender.items()
    scored = recommender.network.scored_items(items)
    ranks = [np.empty((2, 0), np.int64)]
    step = USERS_AT_ONCE[items.device.type]
    for start in range(0, len(targets.user), step):
        some = some_of(targets, np.arange(start, min(start + step, len(targets.user))))
        queries = next_queries(recommender.network, items, histories, some)
        ranks.append(count_better(queries, scored, histories if mask_seen else None, some))
    n_greater, n_ties = np.concatenate(ranks, axis=1)
    rank = 1.0 + n_greater + TIE_SHARES[tie_policy] * n_ties
    return Ranks(rank=rank, n_ties=n_ties.astype(np.int32))


def targets_of_shard(targets: Targets, shard: str, device: str) -> Targets:
    """The targets of one of several jobs, e.g. 2-of-4; none where there are more jobs than blocks.

    Whole blocks of users: which users share a product decides its last digits, so that the ranks
    are the same whatever the number of shards.

    Args:
        targets: All of a split.
        shard: Which part, counted from 1.
        device: Its type, ``cpu`` or ``cuda``.

    Raises:
        InputError: the shard is not of that form.
    """
    step = USERS_AT_ONCE[device]
    blocks = shard_rows(shard, -(-len(targets.user) // step))
    stop = min(blocks.stop * step, len(targets.user))
    return some_of(targets, np.arange(min(blocks.start * step, stop), stop))


def ranks_table(
    ranks: Ranks, targets: Targets, *, split: str, train_counts: np.ndarray
) -> pl.DataFrame:
    """The columns of the table ranks, but for the run's identity.

    Args:
        ranks: Of the targets.
        targets: What was ranked.
        split: ``valid`` or ``test``.
        train_counts: (n_items,) train events of each item, item 1 first.
    """
    columns = {
        "user": targets.user.astype(np.int32),
        "item": targets.item.astype(np.int32),
        "rank": ranks.rank,
        "n_ties": ranks.n_ties,
        "history_length": targets.length.astype(np.int32),
        "target_train_count": train_counts[targets.item - 1].astype(np.int32),
    }
    return pl.DataFrame(columns).with_columns(split=pl.lit(split))


def next_queries(network: Network, items: Tensor, histories: Histories, targets: Targets) -> Tensor:
    """(n, query width) queries, made in batches of histories of like length.

    Args:
        network: In evaluation mode.
        items: (n_items + 1, width) item vectors, row 0 zero.
        histories: All events.
        targets: Which of them stand before each query; ``item`` is not read.
    """
    length = np.minimum(targets.length, network.longest_history)
    start = targets.start + targets.length - length
    order = np.argsort(-length, kind="stable")  # longest first: the first row bounds a batch
    queries, done = [], 0
    while done < len(order):
        n_rows = max(1, POSITIONS_AT_ONCE[items.device.type] // int(length[order[done]]))
        rows = order[done : done + n_rows]
        history = torch.from_numpy(gather(histories.items, start[rows], length[rows]))
        lengths = torch.from_numpy(length[rows]).to(items.device)
        queries.append(network.next_queries(history.to(items.device), lengths, items))
        done += len(rows)
    back = torch.from_numpy(np.argsort(order)).to(items.device)
    return torch.cat(queries)[back]


def count_better(
    queries: Tensor, items: Tensor, seen: Histories | None, targets: Targets
) -> np.ndarray:
    """(2, n) int64: items that score higher than the target, and others that score the same.

    Args:
        queries: (n, query width).
        items: (n_items + 1, query width) what they are multiplied with; row 0 is left out.
        seen: Where the items of each history are not to be counted, else None.
        targets: The target of each query.

    Raises:
        InputError: a query or an item vector is not finite.
    """
    check_finite(queries, items)
    counts = np.empty((2, len(targets.user)), np.int64)
    order = np.argsort(targets.item, kind="stable")  # so that few item blocks hold a row block's
    for start in range(0, len(order), SCORE_ROWS[items.device.type]):
        rows = order[start : start + SCORE_ROWS[items.device.type]]
        query = queries[torch.from_numpy(rows).to(items.device)]
        counts[:, rows] = _count_rows(query, items, seen, some_of(targets, rows)).cpu().numpy()
    return counts


def _count_rows(queries: Tensor, items: Tensor, seen: Histories | None, targets: Targets) -> Tensor:
    """As ``count_better``, for one block of users, item block by item block.

    The target's score is read out of the same block product that the others are compared in: a
    separate inner product rounds differently, and neither the target nor a tie would equal it.
    """
    catalogue = items[PADDING + 1 :]
    step = SCORE_ITEMS[items.device.type]
    own_block, own_row = np.divmod(targets.item - 1, step)
    wanted = torch.empty(len(queries), device=items.device)
    held_block, held = -1, wanted
    for held_block in np.unique(own_block):
        held = _scores(catalogue, queries, held_block * step, step)
        users = np.flatnonzero(own_block == held_block)
        row = torch.from_numpy(own_row[users]).to(items.device)
        users = torch.from_numpy(users).to(items.device)
        wanted[users] = held[row, users]
    counts = torch.zeros(2, len(queries), dtype=torch.int64, device=items.device)
    for each in range(-(-len(catalogue) // step)):
        is_held = each == held_block
        scores = held if is_held else _scores(catalogue, queries, each * step, step)
        if seen is not None:
            hide_seen(scores, seen, targets, each * step)
        flags = torch.empty_like(scores)  # summing floats is several times faster than bools
        counts[0] += torch.gt(scores, wanted, out=flags).sum(dim=0).long()
        counts[1] += torch.eq(scores, wanted, out=flags).sum(dim=0).long()
    counts[1] -= 1  # the target itself
    return counts


def _scores(catalogue: Tensor, queries: Tensor, first: int, n_items: int) -> Tensor:
    """(items, users) scores of the items from ``first`` on; faster than (users, items)."""
    return catalogue[first : first + n_items] @ queries.T


def hide_seen(scores: Tensor, seen: Histories, targets: Targets, first: int) -> None:
    """Put the scores of the items before each target to -inf, but for the target itself.

    Args:
        scores: (items, users); row 0 is item ``first + 1``.
        seen: All events.
        targets: The history of each user, and the item that is kept (0: none).
        first: Items before the first row.
    """
    user = np.repeat(np.arange(len(targets.user)), targets.length)
    place = np.arange(len(user)) - np.repeat(
        np.cumsum(targets.length) - targets.length, targets.length
    )
    item = seen.items[np.repeat(targets.start, targets.length) + place]
    row = item.astype(np.int64) - 1 - first
    is_here = (item != targets.item[user]) & (row >= 0) & (row < len(scores))
    where = torch.from_numpy(np.stack([row[is_here], user[is_here]])).to(scores.device)
    scores[where[0], where[1]] = -torch.inf


def check_finite(queries: Tensor, items: Tensor) -> None:
    """Refuse what could score NaN: |query| |item| bounds every score and partial sum."""
    bound = queries.norm(dim=1).max() * items.norm(dim=1).max()
    if not torch.isfinite(bound):
        raise InputError(
            "the weights give scores that are not finite; no rank can be made of them."
        )


def some_of(targets: Targets, rows: np.ndarray) -> Targets:
    """The targets in these rows."""
    return Targets(
        user=targets.user[rows],
        item=targets.item[rows],
        start=targets.start[rows],
        length=targets.length[rows],
    )
