"""What the steps that use a trained recommender share: their options, and what they read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from ace_steps.errors import InputError
from ace_steps.io.parquet import read_table
from ace_steps.io.provenance import Provenance, digests
from ace_steps.io.tables import USERS
from ace_steps.runtime import select_device
from ace_steps.sequences.inputs import RunOptions
from ace_steps.serving.trained import Trained, read_trained
from ace_steps.serving.users import Asked, given_users, known_users, only_users


@dataclass(frozen=True, kw_only=True)
class RecommendOptions(RunOptions):
    """A trained recommender, the items to add, and whom to recommend to."""

    weights: Annotated[Path, "best or last weights"]
    new_items: Annotated[Path | None, "item_vectors of fold_in_items: items to add"] = None
    map_new_items: Annotated[
        bool, "move new items' vectors as training moved the known ones, by least squares"
    ] = False
    user_table: Annotated[Path, "table users"]
    users: Annotated[Path | None, "text file, one user id a line: only these"] = None
    histories: Annotated[
        Path | None,
        "Parquet with user_id, item_id, position: recommend to these new users instead",
    ] = None
    skip_unknown: Annotated[
        bool, "leave events of --histories with unknown items out instead of refusing them"
    ] = False


def ask(step: str, chosen: dict, options: RecommendOptions) -> tuple[Trained, Asked, Provenance]:
    """Read the recommender and the users; and the note for what comes of them.

    Args:
        step: The step's name.
        chosen: What its result depends on beside the run.
        options: Of the step.

    Raises:
        InputError: a file or an option cannot be used.
    """
    if options.skip_unknown and options.histories is None:
        raise InputError("--skip-unknown is for --histories, which is not given.")
    trained = read_trained(
        **options.tables,
        weights=options.weights,
        new_items=options.new_items,
        map_new_items=options.map_new_items,
        settings=options.settings,
        **options.identity,
    )
    read = {"user_table": options.user_table}
    if options.histories is None:
        asked = known_users(trained.inputs.histories, read_table(options.user_table, USERS))
    else:
        asked = given_users(options.histories, trained.item_ids, skip_unknown=options.skip_unknown)
        read = {"histories": options.histories}
    if options.users is not None:
        asked = only_users(asked, options.users)
        read |= {"users": options.users}
    if options.map_new_items:
        chosen = chosen | {"map_new_items": True}
    where = select_device(options.device)  # last, as it may wait: bad input is told at once
    note = Provenance(
        step,
        {"backbone": trained.note.settings, **chosen},
        trained.note.inputs | digests(**read),
        trained.note.facts | {"device": where.type, "metric": "inner_product"},
    )
    return trained.to(where), asked, note
