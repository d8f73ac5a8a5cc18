"""Partial Gram matrices: sums over the rows of a shard, and over all shards.

Sums of floating-point numbers depend on their order. So that the number of shards changes no digit,
the rows are cut into ``LEAVES`` runs of rows whatever that number is; a shard has whole ones, and
their sums are added one after the other from the first.
"""

from collections.abc import Callable, Iterable

import numpy as np

from ace_steps.io.shards import parse_shard, require_all_shards
from ace_steps.refine.moments import Moments, MomentSum

LEAVES = 8


def leaves_of(shard: str) -> range:
    """Numbers of a shard's leaves, from 0; with more shards than leaves, some shards have none."""
    number, n_shards = parse_shard(shard)
    return range(-(-(number - 1) * LEAVES // n_shards), -(-number * LEAVES // n_shards))


def leaf_rows(leaf: int, n_rows: int) -> range:
    """The consecutive rows of a leaf; all leaves together cover every row once."""
    return range(n_rows * leaf // LEAVES, n_rows * (leaf + 1) // LEAVES)


def sum_leaves(
    leaves: range,
    n_rows: int,
    new_sum: Callable[[], MomentSum],
    chunks: Callable[[range], Iterable[np.ndarray]],
) -> list[Moments]:
    """Moments of some leaves: one sum where the first leaf is among them, else each leaf's own.

    Args:
        leaves: Their numbers.
        n_rows: Rows of all leaves together.
        new_sum: Makes an empty sum.
        chunks: Unit rows, (rows, width) float64, of a range of rows.
    """

    def summed(leaf: int) -> Moments:
        total = new_sum()
        for rows in chunks(leaf_rows(leaf, n_rows)):
            total.add(rows)
        return total.moments()

    sums = (summed(leaf) for leaf in leaves)
    return [add_up(sums)] if leaves.start == 0 else list(sums)


def add_up(parts: Iterable[Moments]) -> Moments:
    """The sum of at least one, added in the order given."""
    rest = iter(parts)
    total = next(rest)
    for part in rest:
        total = total + part
    return total


def join(shards: list[tuple[str, list[Moments]]]) -> Moments:
    """The sum over all leaves, from what ``sum_leaves`` left of every shard's.

    Raises:
        InputError: a shard is missing, repeated or of another split, or the widths differ.
    """
    require_all_shards([shard for shard, _ in shards])
    ordered = sorted(shards, key=lambda part: parse_shard(part[0]))
    return add_up(moments for _, kept in ordered for moments in kept)
