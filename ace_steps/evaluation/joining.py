"""Shards of ranks joined to the table of a run."""

from pathlib import Path

import polars as pl

from ace_steps.errors import InputError
from ace_steps.io.parquet import read_provenance, read_table
from ace_steps.io.provenance import Provenance
from ace_steps.io.shards import require_all_shards
from ace_steps.io.tables import RANKS


def join_ranks(shards: list[Path]) -> tuple[pl.DataFrame, Provenance]:
    """The ranks of all users, and how they were made.

    Args:
        shards: What rank_targets wrote for 1-of-N to N-of-N, in any order.

    Returns:
        The table ranks, and a note that says nothing of the shards: it is the same for every N.

    Raises:
        InputError: a shard is missing, repeated, no shard of ranks, or was made differently.
    """
    notes = [read_provenance(path) for path in shards]
    for path, note in zip(shards, notes, strict=True):
        if note.step != "rank_targets" or "shard" not in note.facts:
            raise InputError(f"{path}: no shard of ranks; rank_targets writes one.")
        difference = _difference(note, notes[0])
        if difference:
            raise InputError(
                f"{path}: made otherwise than {shards[0]}, they differ in {difference}; delete the "
                "older one and rank again."
            )
    require_all_shards([note.facts["shard"] for note in notes])
    first = notes[0]
    table = pl.concat([read_table(path, RANKS) for path in shards])
    return table, Provenance("merge_ranks", first.settings, first.inputs, _shared(first))


def _difference(note: Provenance, other: Provenance) -> str | None:
    """The first of settings, inputs, facts and version in which two shards differ."""
    pairs = {
        "version": (note.version, other.version),
        "settings": (note.settings, other.settings),
        "inputs": (note.inputs, other.inputs),
        "facts": (_shared(note), _shared(other)),
    }
    for name, (here, there) in pairs.items():
        if here == there:
            continue
        if name == "version":
            return name
        keys = [key for key in sorted(here | there) if here.get(key) != there.get(key)]
        return f"{name} '{keys[0]}'"
    return None


def _shared(note: Provenance) -> dict:
    return {name: fact for name, fact in note.facts.items() if name != "shard"}
