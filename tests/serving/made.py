"""A small trained recommender with its files, and the options of the steps that use it."""

from pathlib import Path

import numpy as np
import polars as pl

from ace_steps.io import tables
from ace_steps.io.parquet import write_table
from ace_steps.io.provenance import Provenance
from ace_steps.steps import train_backbone
from tests.steps.made_training import shared_options, train_options, write_inputs
from tests.training.made import WIDTH, settings_json

N_USERS = 40
MLP = {"kind": "mlp", "parts": [WIDTH], "hidden": 6, "width": WIDTH, "activation": "relu"}
PARTLY = {
    "kind": "partly_trainable",
    "parts": [WIDTH],
    "width": WIDTH,
    "trainable_last": 3,
    "std": 0.02,
}
# Every backbone, and every way to use the vectors.
KINDS = {
    "sasrec": ("sasrec", {"kind": "table"}),
    "gru4rec": ("gru4rec", {"kind": "table"}),
    "bert4rec": ("bert4rec", {"kind": "table"}),
    "bert4rec over an mlp": ("bert4rec", MLP),
    "sasrec over a partly trained table": ("sasrec", PARTLY),
}


def settings_of(kind: str) -> str:
    """The backbone settings of one of ``KINDS``, JSON."""
    return settings_json(KINDS[kind][0], epochs=2)


def write_trained(folder: Path, kind: str) -> None:
    """Write tables and train; user 7's raw id is ``u07``."""
    write_inputs(folder, facts={"item_encoder": KINDS[kind][1]})
    users = {"user": np.arange(N_USERS, dtype=np.int32), "user_id": user_ids()}
    write_table(pl.DataFrame(users), tables.USERS, folder / "users.parquet", Provenance("made"))
    assert train_backbone.main(train_options(folder, settings_of(kind))) == 0


def user_ids() -> list[str]:
    """Raw ids in an order that is not that of the index."""
    return [f"u{N_USERS - 1 - user:02d}" for user in range(N_USERS)]


def use_options(folder: Path, kind: str, *more: str) -> list[str]:
    """What recommend_items and export_index share."""
    return [
        *shared_options(folder, settings_of(kind)),
        *("--weights", str(folder / "best.safetensors")),
        *("--user-table", str(folder / "users.parquet")),
        *more,
    ]
