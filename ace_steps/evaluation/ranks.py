"""Tables of ranks: whose they are, whether they are usable, and whether two may be compared."""

from pathlib import Path

import polars as pl

from ace_steps.config.grid import Run
from ace_steps.errors import InputError
from ace_steps.io.parquet import read_table
from ace_steps.io.tables import RANKS, RUN

SPLITS = ("valid", "test")
TARGET = ("split", "user", "item")


def ranks_path(run: Run, results: Path) -> Path:
    """Where the ranks of a run lie."""
    return results.joinpath("rank", *map(str, run), "ranks.parquet")


class RanksReader:
    """Reads ranks and refuses those that are not comparable with others of the same dataset.

    The targets of one run a dataset are kept in memory, those of the first that was read.
    """

    def __init__(self) -> None:
        self._first: dict[str, tuple[pl.DataFrame, Path]] = {}

    def read(self, path: Path, run: Run | None = None) -> tuple[Run, pl.DataFrame]:
        """The run that a table of ranks is of, and the table.

        Args:
            path: The file.
            run: The run that is wanted; None takes the one that the first row names.

        Raises:
            InputError: missing, damaged, ranks of another run or of several, a rank that is none,
                or other users or targets than the dataset's first table; it names the first.
        """
        ranks = read_table(path, RANKS)
        if not len(ranks):
            raise InputError(f"{path}: holds no ranks.")
        found = run or Run(*ranks.select(RUN).row(0))
        fault = ranks_fault(ranks, found)
        if fault:
            raise InputError(f"{path}: {fault}.")
        targets = ranks.select(TARGET)
        first, first_path = self._first.setdefault(found.dataset, (targets, path))
        difference = first_difference(targets, first)
        if difference:
            raise InputError(f"{path}: not comparable with {first_path}: {difference}.")
        return found, ranks


def ranks_fault(ranks: pl.DataFrame, run: Run) -> str | None:
    """What makes a table of ranks unusable as the ranks of one run; None if nothing does.

    Args:
        ranks: The table ``ranks``.
        run: The run whose folder it lies in.
    """
    differs = [pl.col(name) != value for name, value in run._asdict().items()]
    stray = ranks.filter(pl.any_horizontal(differs))
    if len(stray):
        found = "/".join(map(str, stray.select(RUN).row(0)))
        return f"holds ranks of the run {found}, but {'/'.join(map(str, run))} is wanted"
    splits = set(ranks["split"].unique())
    if splits != set(SPLITS):
        found = ", ".join(sorted(splits)) or "none"
        return f"holds the splits {found}, but valid and test are wanted"
    bad = ranks.filter(~(pl.col("rank").is_finite() & (pl.col("rank") >= 1)))
    if len(bad):
        user, rank = bad.select("user", "rank").row(0)
        return f"the rank of user {user} is {rank}, but a finite rank from 1 is wanted"
    return None


def first_difference(targets: pl.DataFrame, reference: pl.DataFrame) -> str | None:
    """The first user or target in which two tables of ranks differ; None if they agree.

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
    return f"the {split} target of user {user} is item {here}, but item {there} there"
