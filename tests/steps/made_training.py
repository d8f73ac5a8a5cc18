"""The files and options of a small training, for the tests of its two steps."""

from pathlib import Path

import numpy as np
import polars as pl

from ace_steps.io import parquet, tables
from ace_steps.io.provenance import Provenance
from ace_steps.io.vectors import vector_writer
from tests.training.made import N_ITEMS, WIDTH, random_interactions, random_matrix, settings_json

IDENTITY = {"dataset": "toy", "encoder": "e", "refinement": "ace", "backbone": "b", "seed": "1"}


def write_inputs(folder: Path, **changes: object) -> None:
    """Write interactions, items and vectors.

    Args:
        folder: Where.
        changes: ``interactions``: another table; ``item_ids``: the ids that have a vector;
            ``dim``: of the vectors; ``facts``: of their provenance.
    """
    note = Provenance("made")
    interactions = changes.get("interactions", random_interactions())
    parquet.write_table(interactions, tables.INTERACTIONS, folder / "interactions.parquet", note)
    train = interactions.filter(pl.col("split") == "train")["item"].to_numpy()
    items = pl.DataFrame(
        {
            "item": np.arange(1, N_ITEMS + 1, dtype=np.int32),
            "item_id": [f"id{i}" for i in range(1, N_ITEMS + 1)],
            "text": "text",
            "text_sha256": "digest",
            "train_count": np.bincount(train, minlength=N_ITEMS + 1)[1:].astype(np.int32),
        }
    )
    parquet.write_table(items, tables.ITEMS, folder / "items.parquet", note)
    write_vectors(
        folder / "vectors.parquet",
        ids=changes.get("item_ids", items["item_id"].to_list()),
        dim=changes.get("dim", WIDTH),
        facts=changes.get("facts", {"item_encoder": {"kind": "table"}}),
    )


def write_vectors(path: Path, *, ids: list[str], dim: int, facts: dict) -> None:
    """Write vectors of the ids, in an order that is not the items'."""
    matrix = random_matrix(dim)[1:].numpy()
    rows = [int(each.removeprefix("id")) for each in reversed(ids)]
    with vector_writer(
        path, "item_vectors", dim, np.float32, Provenance("made", facts=facts)
    ) as writer:
        keys = {"item": np.arange(1, len(rows) + 1), "item_id": list(reversed(ids))}
        writer.write(keys, matrix[np.array(rows) - 1])


def shared_options(folder: Path, settings: str | None = None, **identity: str) -> list[str]:
    """The options that both steps take."""
    named = {
        "interactions": folder / "interactions.parquet",
        "items": folder / "items.parquet",
        "vectors": folder / "vectors.parquet",
        "settings": settings or settings_json(epochs=3),
        "device": "cpu",
        **IDENTITY,
        **identity,
    }
    return [part for name, value in named.items() for part in (f"--{name}", str(value))]


def train_options(folder: Path, settings: str | None = None, **identity: str) -> list[str]:
    """The options of train_backbone; outputs lie beside the inputs."""
    return [
        *shared_options(folder, settings, **identity),
        *("--best", str(folder / "best.safetensors")),
        *("--last", str(folder / "last.safetensors")),
        *("--curve", str(folder / "training_curve.parquet")),
        *("--state", str(folder / "state")),
    ]


def rank_options(folder: Path, settings: str | None = None, **identity: str) -> list[str]:
    """The options of rank_targets."""
    return [
        *shared_options(folder, settings, **identity),
        *("--weights", str(folder / "best.safetensors")),
        *("--ranks", str(folder / "ranks.parquet")),
    ]
