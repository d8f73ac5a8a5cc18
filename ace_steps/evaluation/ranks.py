"""Tables of ranks: joined from shards, checked to be of a run, and comparable with another's."""

from pathlib import Path

import polars as pl

from ace_steps.config.grid import Run
from ace_steps.errors import InputError
from ace_steps.io.parquet import read_provenance, read_table
from ace_steps.io.provenance import Provenance
from ace_steps.io.shards import require_all_shards
from ace_steps.io.tables import RANKS, RUN

SPLITS = ("valid", "test")
TARGET = ("split", "user", "item")


def join_ranks(shards: list[Path]) -> tuple[pl.DataFrame, Provenance]:
    """The ranks of all users, and how they were computed.

    Args:
        shards: What rank_targets wrote for 1-of-N to N-of-N, in any order.

    Returns:
        The table ranks, and its provenance, which is the same for every N.

    Raises:
        InputError: a shard is missing, repeated, no shard of ranks, or computed differently.
    """
    notes = [read_provenance(path) for path in shards]
    for path, note in zip(shards, notes, strict=True):
        if note.step != "rank_targets" or "shard" not in note.facts:
            raise InputError(f"{path}: expected a shard of ranks, as rank_targets writes it.")
        difference = _first_different_key(note, notes[0])
        if difference:
            raise InputError(
                f"{path}: computed differently from {shards[0]}, they differ in {difference}; "
                "delete the older one and rank again."
            )
    require_all_shards([note.facts["shard"] for note in notes])
    table = pl.concat([read_table(path, RANKS) for path in shards])
    first = _compared(notes[0])
    return table, Provenance("merge_ranks", first["settings"], first["inputs"], first["facts"])


def _compared(note: Provenance) -> dict[str, dict]:
    """What all shards of a run have in common."""
    facts = {name: fact for name, fact in note.facts.items() if name != "shard"}
    version = {"of ace_steps": note.version}
    return {"version": version, "settings": note.settings, "inputs": note.inputs, "facts": facts}


def _first_different_key(note: Provenance, other: Provenance) -> str | None:
    reference = _compared(other)
    for part, values in _compared(note).items():
        for key in sorted(values | reference[part]):
            if values.get(key) != reference[part].get(key):
                return f"{part} '{key}'"
    return None


class RanksReader:
    """Reads ranks and refuses those that are not comparable with others of the same dataset.

    The held-out items of one run a dataset are kept in memory, those of the first that was read.
    """

    def __init__(self) -> None:
        self._first: dict[str, tuple[pl.DataFrame, Path]] = {}

    def read(self, path: Path, run: Run | None = None) -> tuple[Run, pl.DataFrame]:
        """The run that a table of ranks is of, and the table.

        Args:
            path: The file.
            run: The expected run; None takes the one that the first row names.

        Raises:
            InputError: missing, damaged, ranks of another run or of several, an impossible rank,
                or other users or items than the dataset's first table; it names the first.
        """
        ranks = read_table(path, RANKS)
        if not len(ranks):
            raise InputError(f"{path}: holds no ranks.")
        run = run or Run(*ranks.select(RUN).row(0))
        fault = ranks_fault(ranks, run)
        if fault:
            raise InputError(f"{path}: {fault}.")
        targets = ranks.select(TARGET)
        first, first_path = self._first.setdefault(run.dataset, (targets, path))
        difference = first_difference(targets, first)
        if difference:
            raise InputError(f"{path}: not comparable with {first_path}: {difference}.")
        return run, ranks


def ranks_fault(ranks: pl.DataFrame, run: Run) -> str | None:
    """What makes a table of ranks unusable as the ranks of one run; None if nothing does."""
    differs = [pl.col(name) != value for name, value in run._asdict().items()]
    strays = ranks.filter(pl.any_horizontal(differs))
    if len(strays):
        stray = "/".join(map(str, strays.select(RUN).row(0)))
        return f"expected ranks of the run {'/'.join(map(str, run))}, got {stray}"
    splits = set(ranks["split"].unique())
    if splits != set(SPLITS):
        return f"expected the splits valid and test, got {', '.join(sorted(splits))}"
    bad = ranks.filter(~(pl.col("rank").is_finite() & (pl.col("rank") >= 1)))
    if len(bad):
        user, rank = bad.select("user", "rank").row(0)
        return f"expected finite ranks from 1, got {rank} for user {user}"
    return None


def first_difference(targets: pl.DataFrame, reference: pl.DataFrame) -> str | None:
    """The first user or held-out item in which two tables of ranks differ; None if they agree.

    Args:
        targets: Columns split, user, item of one run.
        reference: The same of the run it is to be compared with.

    Returns:
        One clause, e.g. ``user 7 has no test rank, but has one there``.
    """
    if targets.select(TARGET).equals(reference.select(TARGET)):
        return None
    both = targets.select(TARGET).join(
        reference.select(TARGET), on=["split", "user"], how="full", coalesce=True, suffix="_there"
    )
    differing = both.filter(pl.col("item").ne_missing(pl.col("item_there"))).sort("user", "split")
    if not len(differing):  # the same rows in another order
        return None
    split, user, here, there = differing.select(*TARGET, "item_there").row(0)
    if here is None:
        return f"user {user} has no {split} rank, but has one there"
    if there is None:
        return f"user {user} has a {split} rank, but has none there"
    return f"the held-out {split} item of user {user} is {here}, but {there} there"
