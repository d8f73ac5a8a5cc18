"""Shards: the parts of a work that several jobs share, named like 2-of-4."""

import re

from ace_steps.errors import InputError


def parse_shard(text: str) -> tuple[int, int]:
    """``2-of-4`` as (2, 4).

    Raises:
        InputError: another form, or a number beyond the last.
    """
    match = re.fullmatch(r"([1-9][0-9]*)-of-([1-9][0-9]*)", text)
    number, n_shards = map(int, match.groups()) if match else (1, 0)
    if number > n_shards:
        raise InputError(f"shard: expected one like 2-of-4, counted from 1, got '{text}'.")
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
    n_shards = parse_shard(shards[0])[1]
    expected = [f"{number}-of-{n_shards}" for number in range(1, n_shards + 1)]
    for i, shard in enumerate(shards):
        if shard not in expected:
            raise InputError(f"shard {shard} does not belong to a split into {n_shards}.")
        if shard in shards[:i]:
            raise InputError(f"shard {shard} is given more than once.")
    for shard in expected:
        if shard not in shards:
            raise InputError(f"shard {shard} is missing; got {len(shards)} of {n_shards}.")
