"""What the steps that use a trained recommender share: their options and what they read."""

import argparse
from pathlib import Path

from ace_steps.errors import InputError
from ace_steps.io.parquet import read_table
from ace_steps.io.provenance import Provenance, digests
from ace_steps.io.tables import USERS
from ace_steps.runtime import select_device
from ace_steps.sequences.inputs import add_inputs
from ace_steps.serving.trained import Trained, read_trained
from ace_steps.serving.users import Asked, given_users, known_users, only_users


def add_options(options: argparse.ArgumentParser) -> None:
    """Add the trained recommender, the items to add, and whom to recommend to."""
    add_inputs(options)
    options.add_argument("--weights", type=Path, required=True, help="best or last weights")
    options.add_argument(
        "--new-items", type=Path, help="item_vectors of fold_in_items: items to add"
    )
    options.add_argument(
        "--map-new-items",
        action="store_true",
        help="move new items' vectors as training moved the known ones, by least squares",
    )
    options.add_argument("--user-table", type=Path, required=True, help="table users")
    options.add_argument("--users", type=Path, help="text file, one user id a line: only these")
    options.add_argument(
        "--histories",
        type=Path,
        help="Parquet with user_id, item_id, position: recommend to these new users instead",
    )
    options.add_argument(
        "--skip-unknown",
        action="store_true",
        help="leave events of --histories with unknown items out instead of refusing them",
    )


def ask(
    step: str,
    chosen: dict,
    *,
    user_table: Path,
    users: Path | None,
    histories: Path | None,
    skip_unknown: bool,
    device: str,
    **run: object,
) -> tuple[Trained, Asked, Provenance]:
    """Read the recommender and the users; and the note for what comes of them.

    Args:
        step: The step's name.
        chosen: What its result depends on beside the run.
        user_table: Table users of the log.
        users: Text file with the ids of the users that are wanted; None for all.
        histories: Histories of new users, to ask for in place of the log's.
        skip_unknown: Leave events with unknown items out.
        device: Where to compute.
        run: As ``read_trained``; the run's identity by name.

    Raises:
        InputError: a file or an option cannot be used.
    """
    if skip_unknown and histories is None:
        raise InputError("--skip-unknown is for --histories, which is not given.")
    trained = read_trained(**run)
    read = {"user_table": user_table}
    if histories is None:
        asked = known_users(trained.inputs.histories, read_table(user_table, USERS))
    else:
        asked = given_users(histories, trained.item_ids, skip_unknown=skip_unknown)
        read = {"histories": histories}
    if users is not None:
        asked, read = only_users(asked, users), read | {"users": users}
    if run["map_new_items"]:
        chosen = chosen | {"map_new_items": True}
    where = select_device(device)  # last, as it may wait: bad input is told at once
    note = Provenance(
        step,
        {"backbone": trained.note.settings, **chosen},
        trained.note.inputs | digests(**read),
        trained.note.facts | {"device": where.type, "metric": "inner_product"},
    )
    return trained.to(where), asked, note
