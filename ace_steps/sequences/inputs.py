"""The inputs of training and ranking: histories, and item vectors joined by the items' raw ids."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import polars as pl
import torch
from torch import Tensor

from ace_steps.errors import InputError
from ace_steps.io.parquet import read_provenance, read_table
from ace_steps.io.tables import INTERACTIONS, ITEMS, RUN
from ace_steps.io.vectors import Vectors, read_vectors
from ace_steps.runtime import DEVICES
from ace_steps.sequences.histories import Histories, read_histories

EXAMPLES = 3  # ids that an error names


@dataclass(frozen=True)
class Inputs:
    """What a recommender is built from and run on: three tables, read and checked."""

    histories: Histories
    items: pl.DataFrame  # the table, sorted by item
    matrix: Tensor  # (n_items + 1, d) float32 item vectors, row 0 (padding) zero
    item_encoder: dict  # how the vectors are used, from their provenance


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What every step of one run is given; command lines and their help are made of it."""

    interactions: Annotated[Path, "table interactions"]
    items: Annotated[Path, "table items"]
    vectors: Annotated[Path, "refined item_vectors"]
    settings: Annotated[str, "the backbone's settings, JSON"]
    device: Annotated[Literal[*DEVICES], "where to compute"] = "auto"
    dataset: Annotated[str, "the run's dataset"]
    encoder: Annotated[str, "the run's encoder"]
    refinement: Annotated[str, "the run's refinement"]
    backbone: Annotated[str, "the run's backbone"]
    seed: Annotated[int, "the run's seed"]

    @property
    def identity(self) -> dict[str, str | int]:
        """The run's dataset, encoder, refinement, backbone and seed."""
        return {name: getattr(self, name) for name in RUN}

    @property
    def tables(self) -> dict[str, Path]:
        """The three files, as ``read_inputs`` takes them."""
        return {name: getattr(self, name) for name in ("interactions", "items", "vectors")}


def read_inputs(interactions: Path, items: Path, vectors: Path) -> Inputs:
    """Read and check the three tables.

    Raises:
        InputError: a file is unreadable or of another table, items are not numbered from 1, an item
            has no vector, or the vectors do not say how training is to use them.
    """
    catalog = read_table(items, ITEMS).sort("item")
    if not np.array_equal(catalog["item"].to_numpy(), np.arange(1, len(catalog) + 1)):
        raise InputError(f"{items}: items are not numbered 1 to {len(catalog)} without gaps.")
    item_encoder = read_provenance(vectors).facts.get("item_encoder")
    if not isinstance(item_encoder, dict):
        raise InputError(
            f"{vectors}: expected vectors of refine_vectors, which say how training is to use them."
        )
    return Inputs(
        histories=read_histories(read_table(interactions, INTERACTIONS), len(catalog)),
        items=catalog,
        matrix=torch.from_numpy(item_matrix(catalog["item_id"], read_vectors(vectors))),
        item_encoder=item_encoder,
    )


def item_matrix(item_ids: pl.Series, vectors: Vectors) -> np.ndarray:
    """(n_items + 1, d) float32 with each item's vector at its index and zeros in row 0.

    Args:
        item_ids: Raw ids in the order of the item indices, from 1.
        vectors: Vectors with their raw ids, in any order; ids that are no item are left out.

    Raises:
        InputError: an item has no vector or several, or a vector is not finite.
    """
    rows = pl.DataFrame({"id": vectors.ids}).with_row_index("row")
    repeated = rows.filter(pl.col("id").is_duplicated())["id"]
    if len(repeated):
        raise InputError(f"item vectors: item id '{repeated[0]}' has several vectors.")
    joined = pl.DataFrame({"id": item_ids}).join(rows, on="id", how="left", maintain_order="left")
    missing = joined.filter(pl.col("row").is_null())["id"]
    if len(missing):
        raise InputError(
            f"item vectors: {len(missing)} of {len(joined)} items have no vector, e.g. "
            f"{quoted(missing)}."
        )
    matrix = np.zeros((len(joined) + 1, vectors.matrix.shape[1]), np.float32)
    matrix[1:] = vectors.matrix[joined["row"].to_numpy()]
    is_finite = np.isfinite(matrix).all(axis=1)
    if not is_finite.all():
        bad = item_ids[int(is_finite.argmin()) - 1]
        raise InputError(f"item vectors: the vector of item id '{bad}' is not finite.")
    return matrix


def quoted(ids: pl.Series) -> str:
    """The first few ids, quoted, for an error."""
    return ", ".join(f"'{each}'" for each in ids[:EXAMPLES])
