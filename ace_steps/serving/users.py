"""Whom to recommend to: users of the log, or new ones with histories of their own."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from ace_steps.errors import InputError
from ace_steps.io.parquet import read_foreign_table
from ace_steps.io.tables import HISTORIES
from ace_steps.sequences.histories import Histories, Targets, read_histories
from ace_steps.sequences.inputs import quoted

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Users:
    """Users, in the order of their raw ids, with the events that their queries come from."""

    ids: pl.Series  # (n,) raw ids, ascending
    histories: Histories
    targets: Targets  # (n,) each user's whole history; ``item`` is 0, since nothing is held out


def users_of(histories: Histories, users: pl.DataFrame) -> Users:
    """The users of the table ``users`` who have an event, with all events, test items included."""
    rows = users.filter(pl.col("user") < len(histories.offsets) - 1).sort("user_id")
    user = rows["user"].to_numpy().astype(np.int64)
    start = histories.offsets[user]
    targets = Targets(user, np.zeros_like(user), start, histories.offsets[user + 1] - start)
    has_any = targets.length > 0
    return Users(rows["user_id"].filter(pl.Series(has_any)), histories, targets.take(has_any))


def read_new_users(
    path: Path, item_ids: pl.Series, *, skip_unknown: bool
) -> tuple[Histories, pl.DataFrame]:
    """The histories of a Parquet file, joined by the items' raw ids, and a table of its users.

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
    known = events.join(index, on="item_id")
    if len(known) < len(events):
        unknown = events.join(index, on="item_id", how="anti")["item_id"].unique().sort()
        text = f"{len(unknown)} items are not in the catalog, e.g. {quoted(unknown)}"
        if not skip_unknown:
            raise InputError(f"{path}: {text}; leave them out with --skip-unknown.")
        log.info("%s: %d events skipped; %s", path, len(events) - len(known), text)
    if known.is_empty():
        raise InputError(f"{path}: no event of a known item, so there is nobody to recommend to.")
    interactions = known.with_columns(
        user=pl.col("user_id").rank("dense").cast(pl.Int32) - 1, split=pl.lit("train")
    )
    users = interactions.select("user", "user_id").unique()
    return read_histories(interactions, len(item_ids)), users


def only_listed(users: pl.DataFrame, path: Path) -> pl.DataFrame:
    """The rows of the table ``users`` that a text file lists, one raw id a line.

    Raises:
        InputError: no such file, no text, or it lists an unknown user.
    """
    try:
        lines = map(str.strip, path.read_text(encoding="utf-8").splitlines())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: expected a text file with one user id a line.") from None
    listed = pl.DataFrame({"user_id": sorted(set(lines) - {""})}, schema={"user_id": pl.String})
    unknown = listed.join(users, on="user_id", how="anti")["user_id"]
    if len(unknown):
        raise InputError(
            f"{path}: {len(unknown)} of {len(listed)} users are not known, e.g. {quoted(unknown)}."
        )
    return users.join(listed, on="user_id", how="semi")
