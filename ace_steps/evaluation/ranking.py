"""Ranks of held-out items over the whole catalog, by counting in blocks and never by sorting."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch
from torch import Tensor

from ace_steps.backbones.network import Network
from ace_steps.backbones.recommender import Recommender
from ace_steps.errors import InputError
from ace_steps.io.shards import shard_rows
from ace_steps.io.tables import PADDING
from ace_steps.sequences.batches import gather
from ace_steps.sequences.histories import HELD_OUT, Histories, Targets, held_out

TIE_SHARES = {"optimistic": 0.0, "expected": 0.5, "pessimistic": 1.0}
USERS_AT_ONCE = {"cpu": 2**12, "cuda": 2**16}  # a block: its queries are held, no shard splits it
POSITIONS_AT_ONCE = {"cpu": 2**11, "cuda": 2**18}  # of histories in one forward pass
SCORE_ROWS = {"cpu": 256, "cuda": 4_096}  # users and
SCORE_ITEMS = {"cpu": 2**12, "cuda": 2**16}  # items of one block of scores


def rank_splits(
    recommender: Recommender,
    histories: Histories,
    *,
    train_counts: np.ndarray,
    shard: str,
    tie_policy: str,
    mask_seen: bool,
) -> pl.DataFrame:
    """The table ranks of both held-out splits, but for the run's identity.

    A shard is whole blocks of users, as which users share a product decides its last digits: the
    ranks are the same whatever the number of shards. Of more shards than blocks, some are empty.

    Args, beside those of ``rank_targets``:
        train_counts: (n_items,) train events of each item, item 1 first.
        shard: Which of several jobs' users, e.g. 2-of-4.

    Raises:
        InputError: the shard is not of that form, or as in ``rank_targets``.
    """
    step, tables = USERS_AT_ONCE[next(recommender.parameters()).device.type], []
    for split in HELD_OUT:
        targets = held_out(histories, split)
        blocks = shard_rows(shard, -(-len(targets.user) // step))
        targets = targets.take(slice(blocks.start * step, blocks.stop * step))
        ranks = rank_targets(
            recommender, histories, targets, tie_policy=tie_policy, mask_seen=mask_seen
        )
        columns = {
            "user": targets.user.astype(np.int32),
            "item": targets.item.astype(np.int32),
            "rank": ranks.rank,
            "n_ties": ranks.n_ties,
            "history_length": targets.length.astype(np.int32),
            "target_train_count": train_counts[targets.item - 1].astype(np.int32),
        }
        tables.append(pl.DataFrame(columns).with_columns(split=pl.lit(split)))
    return pl.concat(tables)


@dataclass(frozen=True)
class Ranks:
    """Ranks of held-out items, one a row: ``rank`` (n,) float64 from 1, ``n_ties`` (n,) int32."""

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
    """The rank of every held-out item among all items: ``1 + n_greater + share * n_ties``.

    ``n_ties`` counts the other items with exactly the same score; the share of them that is put
    before it is 0 (optimistic), 1/2 (expected: the mean over all orders) or 1 (pessimistic).

    Args:
        recommender: In evaluation mode; its device is where the scores are computed.
        histories: All events.
        targets: What to rank, with the history before each.
        tie_policy: ``expected``, ``optimistic`` or ``pessimistic``.
        mask_seen: Leave out the items of the user's history, except the held-out item itself.

    Raises:
        InputError: a query or an item vector is not finite, so that the ranking would be arbitrary.

    Cost:
        One product of targets x items x dim. Memory is the item vectors, the queries of one block
        of users and one block of scores, whatever the number of users and items.
    """
    items = recommender.items()
    scored = recommender.network.scored_items(items)
    counts = [np.empty((2, 0), np.int64)]
    for block in user_blocks(targets, items.device):
        queries = next_queries(recommender.network, items, histories, block)
        counts.append(count_better(queries, scored, histories if mask_seen else None, block))
    n_greater, n_ties = np.concatenate(counts, axis=1)
    rank = 1.0 + n_greater + TIE_SHARES[tie_policy] * n_ties
    return Ranks(rank=rank, n_ties=n_ties.astype(np.int32))


def user_blocks(targets: Targets, device: torch.device) -> Iterator[Targets]:
    """The targets in blocks of users whose queries are held at once."""
    step = USERS_AT_ONCE[device.type]
    for start in range(0, len(targets.user), step):
        yield targets.take(slice(start, start + step))


def next_queries(network: Network, items: Tensor, histories: Histories, targets: Targets) -> Tensor:
    """(n, query dim) queries, computed in batches of histories of similar length.

    Args:
        network: In evaluation mode.
        items: (n_items + 1, dim) item vectors, row 0 zero.
        histories: All events.
        targets: Which of them precede each query; ``item`` is not read.
    """
    length = np.minimum(targets.length, network.longest_history)
    start = targets.start + targets.length - length
    order = np.argsort(-length, kind="stable")  # longest first: the first row bounds a batch
    queries, n_ready = [], 0
    while n_ready < len(order):
        n_rows = max(1, POSITIONS_AT_ONCE[items.device.type] // int(length[order[n_ready]]))
        rows = order[n_ready : n_ready + n_rows]
        history = torch.from_numpy(gather(histories.items, start[rows], length[rows]))
        lengths = torch.from_numpy(length[rows]).to(items.device)
        queries.append(network.next_queries(history.to(items.device), lengths, items))
        n_ready += len(rows)
    back = torch.from_numpy(np.argsort(order)).to(items.device)
    return torch.cat(queries)[back]


class ItemBlocks:
    """The catalog in ``n_blocks`` blocks of ``height`` items; the last overlaps the one before.

    Products of few rows round differently from those of many, and equal vectors in two blocks
    would not tie.
    """

    def __init__(self, n_items: int, device: torch.device) -> None:
        self._n_items = n_items
        self.n_blocks = -(-n_items // SCORE_ITEMS[device.type])
        self.height = -(-n_items // self.n_blocks)

    def first(self, block: int) -> int:
        """Items before a block's first row."""
        return min(block * self.height, self._n_items - self.height)

    def n_repeated(self, block: int) -> int:
        """Rows at a block's top that are in the block before too."""
        return block * self.height - self.first(block)


class SeenItems:
    """The items before each of some targets, the target's own item excepted (0: none).

    Sorted once by item, so that bisection finds those of a block of items.
    """

    def __init__(self, histories: Histories, targets: Targets) -> None:
        user = np.repeat(np.arange(len(targets.user)), targets.length)
        before = np.repeat(np.cumsum(targets.length) - targets.length, targets.length)
        item = histories.items[targets.start[user] + np.arange(len(user)) - before]
        item = item.astype(np.int64)
        order = np.argsort(item, kind="stable")
        order = order[(item != targets.item[user])[order]]
        self._item, self._user = item[order], user[order]

    def mask(self, scores: Tensor, first: int) -> None:
        """Set their scores to -inf in place; ``scores``: (items, users) from item ``first + 1``."""
        begin, end = np.searchsorted(self._item, [first + 1, first + 1 + len(scores)])
        where = np.stack([self._item[begin:end] - 1 - first, self._user[begin:end]])
        row, user = torch.from_numpy(where).to(scores.device)
        scores[row, user] = -torch.inf


def count_better(
    queries: Tensor, items: Tensor, seen: Histories | None, targets: Targets
) -> np.ndarray:
    """(2, n) int64: items that score higher than the held-out one, and others that score the same.

    Args:
        queries: (n, query dim).
        items: (n_items + 1, query dim) what they are multiplied with; row 0 is left out.
        seen: Where the items of each history are not to be counted, else None.
        targets: The held-out item of each query.

    Raises:
        InputError: a query or an item vector is not finite.
    """
    check_finite(queries, items)
    counts = np.empty((2, len(targets.user)), np.int64)
    order = np.argsort(targets.item, kind="stable")  # so that few item blocks hold a row block's
    n_rows = SCORE_ROWS[items.device.type]
    for start in range(0, len(order), n_rows):
        rows = order[start : start + n_rows]
        block = targets.take(rows)
        mask = None if seen is None else SeenItems(seen, block)
        query = queries[torch.from_numpy(rows).to(items.device)]
        counts[:, rows] = _count_rows(query, items[PADDING + 1 :], mask, block).cpu().numpy()
    return counts


def _count_rows(
    queries: Tensor, catalog: Tensor, seen: SeenItems | None, targets: Targets
) -> Tensor:
    """As ``count_better``, for one block of users, item block by item block.

    The scores of the held-out items are read out of the same products that the others are compared
    in: a separate inner product rounds differently, and neither they nor a tie would be equal.
    """
    blocks = ItemBlocks(len(catalog), catalog.device)

    def scores_of(block: int) -> Tensor:
        first = blocks.first(block)
        return catalog[first : first + blocks.height] @ queries.T  # faster than users x items

    own_block = (targets.item - 1) // blocks.height
    own_scores = queries.new_empty(len(queries))
    for last in np.unique(own_block):
        scores = scores_of(last)
        users = np.flatnonzero(own_block == last)
        where = np.stack([targets.item[users] - 1 - blocks.first(last), users])
        row, user = torch.from_numpy(where).to(queries.device)
        own_scores[user] = scores[row, user]
    counts = torch.zeros(2, len(queries), dtype=torch.int64, device=queries.device)
    for block in [last, *(block for block in range(blocks.n_blocks) if block != last)]:
        if block != last:  # the last product is still there
            scores = scores_of(block)
        if seen is not None:
            seen.mask(scores, blocks.first(block))
        others = scores[blocks.n_repeated(block) :]
        flags = torch.empty_like(others)  # summing floats is several times faster than bools
        counts[0] += torch.gt(others, own_scores, out=flags).sum(dim=0).long()
        counts[1] += torch.eq(others, own_scores, out=flags).sum(dim=0).long()
    counts[1] -= 1  # the held-out item itself
    return counts


def check_finite(queries: Tensor, items: Tensor) -> None:
    """Refuse what could score NaN: |query| |item| bounds every score and partial sum.

    Raises:
        InputError: that bound is not finite.
    """
    bound = queries.norm(dim=1).max() * items.norm(dim=1).max()
    if not torch.isfinite(bound):
        raise InputError("the weights give scores that are not finite; they cannot be ranked.")
