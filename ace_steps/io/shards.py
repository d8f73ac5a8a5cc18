"""Shards: the parts of a work that several jobs share, named like 2-of-4."""

import re

from ace_steps.errors import InputError

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
            f"shard {missing[0]}-of-{n_shards} is missing; {len(shards)} of {n_shards} are given."
        )
