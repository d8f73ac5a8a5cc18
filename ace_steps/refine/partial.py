"""Partial Gram matrices: which rows a shard covers, and whether all shards are there.

Sums of floating-point numbers depend on their order. So that the number of shards changes no digit,
the rows are cut into ``LEAVES`` runs of rows whatever that number is; a shard has whole ones, and
their sums are added one after the other from the first.
"""

import re
from collections.abc import Callable, Iterable

import numpy as np

from ace_steps.errors import InputError
from ace_steps.refine.moments import Moments, MomentSum

LEAVES = 8
SHARD = re.compile(r"([1-9][0-9]*)-of-([1-9][0-9]*)")


def parse_shard(text: str) -> tuple[int, int]:
    """``2-of-4`` as (2, 4).

    Raises:
        InputError: another form, or a number beyond the last.
    """
    found = SHARD.fullmatch(text)
    number, n_shards = (int(part) for part in found.groups()) if found else (1, 0)
    if number > n_shards:
        raise InputError(f"shard '{text}': a shard like 2-of-4 is wanted, counted from 1.")
    return number, n_shards


def shard_rows(shard: str, n_rows: int) -> range:
    """The consecutive rows of a shard; all shards together cover every row once."""
    number, n_shards = parse_shard(shard)
    return range(n_rows * (number - 1) // n_shards, n_rows * number // n_shards)


def require_all_shards(shards: list[str]) -> None:
    """Refuse a set of shards that is not each of 1-of-N to N-of-N once.

    Raises:
        InputError: names the shard that is missing, repeated, or of another split.
    """
    parsed = [parse_shard(shard) for shard in shards]
    n_shards = parsed[0][1]
    strange = [shard for shard, (_, n) in zip(shards, parsed, strict=True) if n != n_shards]
    if strange:
        raise InputError(f"shard {strange[0]} does not belong to a split into {n_shards}.")
    repeated = sorted({shard for shard in shards if shards.count(shard) > 1})
    if repeated:
        raise InputError(f"shard {repeated[0]} is given more than once.")
    missing = sorted(set(range(1, n_shards + 1)) - {number for number, _ in parsed})
    if missing:
        raise InputError(
            f"shard {missing[0]}-of-{n_shards} is missing from the sum; "
            f"{len(shards)} of {n_shards} are given."
        )


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
