"""How many items score higher than a target: counted in blocks of users and items."""

import numpy as np
import torch
from torch import Tensor

from ace_steps.errors import InputError
from ace_steps.evaluation.seen import Seen, hide_seen, seen_items
from ace_steps.io.tables import PADDING
from ace_steps.sequences.histories import Histories, Targets, some_of

SCORE_ROWS = {"cpu": 256, "cuda": 4_096}  # users and
SCORE_ITEMS = {"cpu": 2**12, "cuda": 2**16}  # items of one block of scores


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
        query, some = queries[torch.from_numpy(rows).to(items.device)], some_of(targets, rows)
        hidden = None if seen is None else seen_items(seen, some)
        counts[:, rows] = _count_rows(query, items, hidden, some).cpu().numpy()
    return counts


class ItemBlocks:
    """The catalogue in blocks of one height, whatever its size: the last overlaps the one before.

    Products of few rows round otherwise than those of many, and equal vectors in two blocks would
    not tie.

    Attributes:
        n_blocks: How many there are.
        height: Items of each.
    """

    def __init__(self, catalogue: Tensor) -> None:
        """``catalogue``: (n_items, query width), the padding left out."""
        self.n_items = len(catalogue)
        self.n_blocks = -(-self.n_items // SCORE_ITEMS[catalogue.device.type])
        self.height = -(-self.n_items // self.n_blocks)

    def first(self, block: int) -> int:
        """Items before a block's first row."""
        return min(block * self.height, self.n_items - self.height)

    def n_repeated(self, block: int) -> int:
        """Rows at a block's top that stand in the block before too."""
        return block * self.height - self.first(block)


class _Scores:
    """Scores of one block of users, item block by item block; the one made last is kept."""

    def __init__(self, catalogue: Tensor, queries: Tensor) -> None:
        self.blocks = ItemBlocks(catalogue)
        self._catalogue, self._queries = catalogue, queries
        self._kept, self._scores = -1, queries

    def of(self, block: int) -> Tensor:
        """(items, users); the caller may change it, if it asks for this block no more."""
        if block != self._kept:
            first = self.blocks.first(block)
            some = self._catalogue[first : first + self.blocks.height]
            self._kept, self._scores = block, some @ self._queries.T  # faster than users x items
        return self._scores


def _count_rows(queries: Tensor, items: Tensor, seen: Seen | None, targets: Targets) -> Tensor:
    """As ``count_better``, for one block of users, item block by item block."""
    scores = _Scores(items[PADDING + 1 :], queries)
    blocks = scores.blocks
    wanted, last = _target_scores(scores, targets, queries)
    counts = torch.zeros(2, len(queries), dtype=torch.int64, device=items.device)
    for block in sorted(range(blocks.n_blocks), key=lambda block: block != last):
        found = scores.of(block)
        if seen is not None:
            hide_seen(found, seen, blocks.first(block))
        found = found[blocks.n_repeated(block) :]
        flags = torch.empty_like(found)  # summing floats is several times faster than bools
        counts[0] += torch.gt(found, wanted, out=flags).sum(dim=0).long()
        counts[1] += torch.eq(found, wanted, out=flags).sum(dim=0).long()
    counts[1] -= 1  # the target itself
    return counts


def _target_scores(scores: _Scores, targets: Targets, queries: Tensor) -> tuple[Tensor, int]:
    """(users,) scores of the targets, and the block of items that was looked at last.

    They are read out of the same products that the others are compared in: a separate inner
    product rounds differently, and neither the target nor a tie would equal it.
    """
    wanted = queries.new_empty(len(queries))
    own_block = (targets.item - 1) // scores.blocks.height
    for block in np.unique(own_block):
        users = np.flatnonzero(own_block == block)
        where = np.stack([targets.item[users] - 1 - scores.blocks.first(block), users])
        row, user = torch.from_numpy(where).to(queries.device)
        wanted[user] = scores.of(block)[row, user]
    return wanted, own_block.max()


def check_finite(queries: Tensor, items: Tensor) -> None:
    """Refuse what could score NaN: |query| |item| bounds every score and partial sum."""
    bound = queries.norm(dim=1).max() * items.norm(dim=1).max()
    if not torch.isfinite(bound):
        raise InputError(
            "the weights give scores that are not finite; no rank can be made of them."
        )
