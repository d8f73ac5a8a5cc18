"""Whom to recommend to: users of the log, or new ones with histories of their own."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from ace_steps.errors import InputError
from ace_steps.io.parquet import read_foreign_table
from ace_steps.io.tables import HISTORIES
from ace_steps.sequences.histories import Histories, Targets
from ace_steps.sequences.inputs import quoted

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Users:
    """Users, in the order of their raw ids, with the events that their queries come from.

    Attributes:
        ids: (n,) raw ids, ascending.
        histories: All events.
        targets: (n,) each user's history, whole; ``item`` is 0, since nothing is held out.
    """

    ids: pl.Series
    histories: Histories
    targets: Targets


def users_of_log(histories: Histories, users: pl.DataFrame) -> Users:
    """Every user of the log who has an event, with all events: train, validation and test.

    Args:
        histories: Of the log.
        users: The table users.
    """
    length = np.diff(histories.offsets)
    rows = users.filter(pl.col("user") < len(length)).sort("user_id")
    user = rows["user"].to_numpy().astype(np.int64)
    has_any = length[user] > 0
    return _users(rows["user_id"].filter(pl.Series(has_any)), histories, user[has_any])


def only_listed(users: Users, path: Path) -> Users:
    """The users that a text file lists, one raw id a line.

    Raises:
        InputError: no such file, no text, or it lists an unknown user.
    """
    try:
        lines = map(str.strip, path.read_text(encoding="utf-8").splitlines())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: expected a text file with one user id a line.") from None
    listed = pl.Series(sorted(set(lines) - {""}), dtype=pl.String)
    unknown = listed.filter(~listed.is_in(users.ids.implode()))
    if len(unknown):
        raise InputError(
            f"{path}: {len(unknown)} of {len(listed)} users are not known, e.g. {quoted(unknown)}."
        )
    is_listed = users.ids.is_in(listed.implode())
    user = users.targets.user[is_listed.to_numpy()]
    return _users(users.ids.filter(is_listed), users.histories, user)


def users_of_file(path: Path, item_ids: pl.Series, *, skip_unknown: bool) -> Users:
    """New users with the histories of a Parquet file, joined by the items' raw ids.

    Args:
        path: Columns user_id, item_id and position, other columns are left alone.
        item_ids: Raw ids of the catalog in the order of their index, from 1.
        skip_unknown: Leave events with unknown items out; users left without any are left out too.

    Raises:
        InputError: the file cannot be used, two events of a user have one position, an item is
            unknown (and not skipped), or no event is left.
    """
    events = read_foreign_table(path, HISTORIES)
    repeated = events.filter(pl.struct("user_id", "position").is_duplicated())
    if len(repeated):
        user, position = repeated.select("user_id", "position").row(0)
        raise InputError(f"{path}: user '{user}' has several events at position {position}.")
    index = pl.DataFrame({"item_id": item_ids}).with_row_index("item", offset=1)
    unknown = events.join(index, on="item_id", how="anti")
    if len(unknown) and not skip_unknown:
        examples = unknown["item_id"].unique().sort()
        raise InputError(
            f"{path}: {len(examples)} items are not in the catalog, e.g. {quoted(examples)}; "
            "leave them out with --skip-unknown."
        )
    if len(unknown):
        log.info("%d of %d events skipped, their items are not known", len(unknown), len(events))
    known = events.join(index, on="item_id").sort("user_id", "position")
    if known.is_empty():
        raise InputError(f"{path}: no event of a known item, so there is nobody to recommend to.")
    counts = known.group_by("user_id", maintain_order=True).len()
    length = counts["len"].to_numpy().astype(np.int64)
    is_held_out = np.zeros(len(counts), bool)
    histories = Histories(
        items=known["item"].to_numpy().astype(np.int32),
        offsets=np.concatenate([[0], np.cumsum(length)]),
        n_train=length,
        has_valid=is_held_out,
        has_test=is_held_out,
    )
    return _users(counts["user_id"], histories, np.arange(len(counts)))


def _users(ids: pl.Series, histories: Histories, user: np.ndarray) -> Users:
    start = histories.offsets[user]
    length = histories.offsets[user + 1] - start
    targets = Targets(user=user, item=np.zeros(len(user), np.int64), start=start, length=length)
    return Users(ids, histories, targets)
