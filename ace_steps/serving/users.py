"""Whom to recommend to: users of the log, or new ones with histories of their own."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from ace_steps.errors import InputError
from ace_steps.io.parquet import read_foreign_table
from ace_steps.io.tables import HISTORIES
from ace_steps.sequences.histories import Histories, Targets

EXAMPLES = 3  # ids that an error names


@dataclass(frozen=True)
class Asked:
    """Users, in the order of their raw ids, with the events that their queries are made from.

    Attributes:
        user_ids: (n,) raw ids, ascending.
        histories: All events.
        targets: (n,) each user's history, whole; ``item`` is 0, since nothing is held out.
        n_skipped: Events left out because their item is not known.
    """

    user_ids: pl.Series
    histories: Histories
    targets: Targets
    n_skipped: int = 0


def known_users(histories: Histories, users: pl.DataFrame) -> Asked:
    """Every user of the log who has an event, with all events: train, validation and test.

    Args:
        histories: Of the log.
        users: The table users.
    """
    length = np.diff(histories.offsets)
    rows = users.filter(pl.col("user") < len(length)).sort("user_id")
    user = rows["user"].to_numpy().astype(np.int64)
    has_any = length[user] > 0
    return _asked(rows["user_id"].filter(pl.Series(has_any)), histories, user[has_any])


def only_users(asked: Asked, path: Path) -> Asked:
    """The users that a text file lists, one raw id a line.

    Raises:
        InputError: no such file, or it lists a user who is not there.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file; one user id a line is wanted.") from None
    wanted = pl.Series([line.strip() for line in lines if line.strip()], dtype=pl.String).unique()
    unknown = wanted.filter(~wanted.is_in(asked.user_ids.implode())).sort()
    if len(unknown):
        raise InputError(
            f"{path}: {len(unknown)} of {len(wanted)} users are not known, e.g. "
            f"{examples(unknown)}."
        )
    is_wanted = asked.user_ids.is_in(wanted.implode())
    user = asked.targets.user[is_wanted.to_numpy()]
    return _asked(asked.user_ids.filter(is_wanted), asked.histories, user)


def given_users(path: Path, item_ids: pl.Series, *, skip_unknown: bool) -> Asked:
    """New users with the histories of a Parquet file, joined by the items' raw ids.

    Args:
        path: Columns user_id, item_id and position, other columns are left alone.
        item_ids: Raw ids of the catalogue in the order of their index, from 1.
        skip_unknown: Leave events with unknown items out; users left without any are left out too.

    Raises:
        InputError: the file cannot be used, two events of a user have one position, an item is
            unknown (and not skipped), or no event is left.
    """
    events = read_foreign_table(path, HISTORIES)
    if events.select(pl.struct("user_id", "position").is_duplicated().any()).item():
        twice = events.filter(pl.struct("user_id", "position").is_duplicated()).row(0, named=True)
        raise InputError(
            f"{path}: user '{twice['user_id']}' has several events at position {twice['position']}."
        )
    index = pl.DataFrame({"item_id": item_ids}).with_row_index("item", offset=1)
    joined = events.join(index, on="item_id", how="left")
    unknown = joined.filter(pl.col("item").is_null())["item_id"].unique().sort()
    if len(unknown) and not skip_unknown:
        raise InputError(
            f"{path}: {len(unknown)} items are not in the catalogue, e.g. {examples(unknown)}; "
            "leave them out with --skip-unknown."
        )
    kept = joined.filter(pl.col("item").is_not_null()).sort("user_id", "position")
    if kept.is_empty():
        raise InputError(f"{path}: no event of a known item, so there is nobody to recommend to.")
    counts = kept.group_by("user_id", maintain_order=True).len()
    offsets = np.concatenate([[0], np.cumsum(counts["len"].to_numpy().astype(np.int64))])
    n_users = len(counts)
    histories = Histories(
        items=kept["item"].to_numpy().astype(np.int32),
        offsets=offsets,
        n_train=np.diff(offsets),
        has_valid=np.zeros(n_users, bool),
        has_test=np.zeros(n_users, bool),
    )
    asked = _asked(counts["user_id"], histories, np.arange(n_users))
    return Asked(asked.user_ids, histories, asked.targets, n_skipped=len(joined) - len(kept))


def examples(ids: pl.Series) -> str:
    """The first few ids, quoted."""
    return ", ".join(f"'{each}'" for each in ids[:EXAMPLES])


def _asked(user_ids: pl.Series, histories: Histories, user: np.ndarray) -> Asked:
    start = histories.offsets[user]
    length = histories.offsets[user + 1] - start
    targets = Targets(user=user, item=np.zeros(len(user), np.int64), start=start, length=length)
    return Asked(user_ids, histories, targets)
