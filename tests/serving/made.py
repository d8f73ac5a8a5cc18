"""A small trained recommender with its files, and the options of the steps that use it."""

from pathlib import Path

import numpy as np
import polars as pl

from ace_steps.io import tables
from ace_steps.io.parquet import write_table
from ace_steps.io.provenance import Provenance
from ace_steps.steps import train_backbone
from tests.steps.made_training import shared_options, train_options, write_inputs
from tests.training.made import MLP, PARTLY, TABLE, settings_json

N_USERS = 40
USER_IDS = [f"u{N_USERS - 1 - user:02d}" for user in range(N_USERS)]  # not in the index's order
# Every backbone, and every way to use the vectors.
KINDS = {
    "sasrec": ("sasrec", TABLE),
    "gru4rec": ("gru4rec", TABLE),
    "bert4rec": ("bert4rec", TABLE),
    "bert4rec over an mlp": ("bert4rec", MLP),
    "sasrec over a partly trained table": ("sasrec", PARTLY),
}


def settings_of(kind: str) -> str:
    """The backbone settings of one of ``KINDS``, JSON."""
    return settings_json(KINDS[kind][0], epochs=2)


def write_trained(folder: Path, kind: str) -> None:
    """Write tables and train."""
    write_inputs(folder, facts={"item_encoder": KINDS[kind][1]})
    users = {"user": np.arange(N_USERS, dtype=np.int32), "user_id": USER_IDS}
    write_table(pl.DataFrame(users), tables.USERS, folder / "users.parquet", Provenance("made"))
    assert train_backbone.main(train_options(folder, settings_of(kind))) == 0


def use_options(folder: Path, kind: str, *more: str) -> list[str]:
    """What recommend_items and export_index share."""
    return [
        *shared_options(folder, settings_of(kind)),
        *("--weights", str(folder / "best.safetensors")),
        *("--user-table", str(folder / "users.parquet")),
        *more,
    ]
