"""Vectors that were made elsewhere, joined to the items by their raw ids, in bounded memory."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from ace_steps.embed.matrix_files import matrix_pieces
from ace_steps.embed.merge import CHUNK_ROWS, reserve
from ace_steps.embed.settings import PrecomputedSettings
from ace_steps.errors import InputError
from ace_steps.io.vectors import Vectors, iter_vectors

EXAMPLES = 3  # ids that an error line names


@dataclass(frozen=True)
class Joined:
    """Vectors of every item in the order of the items, in a temporary file.

    Attributes:
        items: The table items, in its order.
        matrix: (items, dim) float32.
        n_missing: Items without a vector, whose rows are zero.
        n_unused: Vectors of the file that no item has.
    """

    items: pl.DataFrame
    matrix: np.ndarray
    n_missing: int
    n_unused: int

    def pieces(self) -> Iterator[Vectors]:
        """The rows in chunks."""
        for start in range(0, len(self.items), CHUNK_ROWS):
            part = self.items[start : start + CHUNK_ROWS]
            rows = self.matrix[start : start + CHUNK_ROWS]
            yield Vectors(part["item"].to_numpy(), part["item_id"], rows)


def join_vectors(
    items: pl.DataFrame, settings: PrecomputedSettings, *, scratch_folder: Path
) -> Joined:
    """The file's vectors joined to the items by their raw ids.

    Args:
        items: The table items.
        settings: The file, and what happens to items that it lacks.
        scratch_folder: Where a temporary file without a name goes.

    Raises:
        InputError: the file cannot be used, an item's id comes twice, a vector holds NaN or
            infinity or is all zeros, or items are missing where that is an error.
        OSError: the disk is full.

    Cost:
        Memory of one chunk and of the items' table; ``items * dim * 4`` bytes of disk.
    """
    items = items.sort("item")
    places = items.select("item_id").with_row_index("row")
    n_found = np.zeros(len(items), np.int64)
    matrix, n_unused = np.empty((0, 0), np.float32), 0
    for piece in _pieces(settings):
        if not matrix.size:
            matrix = _scratch(len(items), piece.matrix.shape[1], scratch_folder)
        ids = pl.DataFrame({"item_id": piece.ids}).with_row_index("place")
        both = ids.join(places, on="item_id")
        rows = both["row"].to_numpy()
        vectors = _as_float32(piece.matrix[both["place"].to_numpy()])
        _check(vectors, both["item_id"], settings)
        matrix[rows] = vectors
        np.add.at(n_found, rows, 1)
        n_unused += len(ids) - len(both)
    _check_counts(n_found, items, settings)
    n_missing = int((n_found == 0).sum())
    if n_missing == len(items):
        raise InputError(f"{settings.vectors}: none of its ids is an item's.")
    return Joined(items, matrix, n_missing, n_unused)


def _pieces(settings: PrecomputedSettings) -> Iterator[Vectors]:
    """The file in chunks, whatever its format."""
    path = Path(settings.vectors)
    ids = Path(settings.ids) if settings.ids else None
    if path.suffix != ".parquet":
        return matrix_pieces(path, ids, array=settings.vector_column)
    if ids:
        raise InputError(f"{path}: a Parquet file has its ids in a column; `ids` is not for it.")
    columns = {"id_column": settings.id_column, "vector_column": settings.vector_column}
    return iter_vectors(path, **columns, chunk_rows=CHUNK_ROWS)


def _scratch(n_rows: int, dim: int, folder: Path) -> np.ndarray:
    """Zeros (rows, dim) float32 in a file that vanishes with the array."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        reserve(file, max(1, n_rows * dim * 4), folder)
        return np.memmap(file, np.float32, "r+", shape=(n_rows, dim))


def _as_float32(vectors: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # becomes infinity, which is refused
        return vectors.astype(np.float32)


def _check(vectors: np.ndarray, ids: pl.Series, settings: PrecomputedSettings) -> None:
    is_finite = np.isfinite(vectors).all(axis=1)
    usable = is_finite & vectors.any(axis=1)
    if usable.all():
        return
    bad = int(np.argmin(usable))
    what = "is all zeros" if is_finite[bad] else "holds NaN or infinity, or more than float32 can"
    raise InputError(f"{settings.vectors}: the vector of item '{ids[bad]}' {what}.")


def _check_counts(n_found: np.ndarray, items: pl.DataFrame, settings: PrecomputedSettings) -> None:
    double = items.filter(pl.Series(n_found > 1))
    if len(double):
        raise InputError(
            f"{settings.vectors}: {len(double)} items have several vectors, e.g. "
            f"{_examples(double)}; each needs one."
        )
    missing = items.filter(pl.Series(n_found == 0))
    if len(missing) and settings.missing_items == "error":
        raise InputError(
            f"{settings.vectors}: {len(missing)} of {len(items)} items have no vector, e.g. "
            f"{_examples(missing)}; with missing_items: zero theirs would be zeros."
        )


def _examples(items: pl.DataFrame) -> str:
    return ", ".join(f"'{item}'" for item in items["item_id"][:EXAMPLES])
