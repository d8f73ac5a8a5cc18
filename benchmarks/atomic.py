"""RecBole atomic files as this package's histories."""

from pathlib import Path

import polars as pl

from ace_steps.preprocess.pipeline import leave_one_out
from ace_steps.sequences.histories import Histories, read_histories


def histories_of(inter: Path) -> tuple[Histories, list[str]]:
    """Leave-one-out histories in the file's order, and the raw id of item 1, 2, and so on."""
    events = pl.read_csv(inter, separator="\t", new_columns=["user", "item", "time"])
    raw_ids = events["item"].unique().sort().to_list()
    dense = (pl.col(name).rank("dense").cast(pl.Int32) for name in ("user", "item"))
    events = events.select(*dense).with_columns(pl.col("user") - 1)
    events = leave_one_out(events.sort("user", maintain_order=True))
    events = events.with_columns(position=pl.int_range(pl.len()).over("user"))
    return read_histories(events, len(raw_ids)), raw_ids
