"""Tables of ranks: joined from shards, checked to be of a run, and comparable with another's."""

from pathlib import Path

import polars as pl

from ace_steps.config.grid import Run
from ace_steps.errors import InputError
from ace_steps.io.parquet import read_provenance, read_table
from ace_steps.io.provenance import Provenance
from ace_steps.io.shards import require_all_shards
from ace_steps.io.tables import RANKS, RUN
from ace_steps.sequences.histories import HELD_OUT

TARGET = ("split", "user", "item")


def join_ranks(shards: list[Path]) -> tuple[pl.DataFrame, Provenance]:
    """The table ranks of all users, and its provenance, which is the same for every N.

    Args:
        shards: What rank_targets wrote for 1-of-N to N-of-N, in any order.

    Raises:
        InputError: a shard is missing, repeated, no shard of ranks, or computed differently.
    """
    notes = [read_provenance(path) for path in shards]
    for path, note in zip(shards, notes, strict=True):
        if note.step != "rank_targets" or "shard" not in note.facts:
            raise InputError(f"{path}: expected a shard of ranks, as rank_targets writes it.")
        one, other = _conditions(note), _conditions(notes[0])
        differing = sorted(k for k in one.keys() | other.keys() if one.get(k) != other.get(k))
        if differing:
            raise InputError(
                f"{path}: computed differently from {shards[0]}, they differ in {differing[0]}; "
                "delete the older one and rank again."
            )
    require_all_shards([note.facts["shard"] for note in notes])
    table = pl.concat([read_table(path, RANKS) for path in shards])
    first = notes[0]
    facts = {name: fact for name, fact in first.facts.items() if name != "shard"}
    return table, Provenance("merge_ranks", first.settings, first.inputs, facts)


def _conditions(note: Provenance) -> dict[str, object]:
    """What all shards of a run have in common, by name."""
    parts = {"settings": note.settings, "inputs": note.inputs, "facts": note.facts}
    named = {f"{part} '{key}'": parts[part][key] for part in parts for key in parts[part]}
    return {**named, "version": note.version, "facts 'shard'": None}


class RanksReader:
    """Reads ranks and refuses those that are not comparable with the first of the same dataset,
    whose held-out items are kept in memory.
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
        if ranks.is_empty():
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
    strays = ranks.filter(
        pl.any_horizontal(pl.col(name) != value for name, value in run._asdict().items())
    )
    if len(strays):
        stray = "/".join(map(str, strays.select(RUN).row(0)))
        return f"expected ranks of the run {'/'.join(map(str, run))}, got {stray}"
    splits = set(ranks["split"].unique())
    if splits != set(HELD_OUT):
        return f"expected the splits valid and test, got {', '.join(sorted(splits))}"
    bad = ranks.filter(~(pl.col("rank").is_finite() & (pl.col("rank") >= 1)))
    if len(bad):
        user, rank = bad.select("user", "rank").row(0)
        return f"expected finite ranks from 1, got {rank} for user {user}"
    return None


def first_difference(targets: pl.DataFrame, reference: pl.DataFrame) -> str | None:
    """The first user whose held-out items differ in two tables of split, user, item; or None."""
    if targets.equals(reference):
        return None
    both = targets.join(
        reference, on=["split", "user"], how="full", coalesce=True, suffix="_expected"
    )
    differing = both.filter(pl.col("item").ne_missing(pl.col("item_expected")))
    if differing.is_empty():
        return None
    split, user, item, expected = differing.sort("user", "split").row(0)
    return f"expected the {split} item {expected or 'none'} of user {user}, got {item or 'none'}"
