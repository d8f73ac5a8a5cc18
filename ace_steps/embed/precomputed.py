"""Precomputed embeddings, joined to the items by their raw ids, in bounded memory.

They come out of Parquet, .npy or .safetensors files, in chunks; nothing is unpickled.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from safetensors import SafetensorError, safe_open

from ace_steps.embed.merge import CHUNK_ROWS, scratch_matrix
from ace_steps.embed.settings import PrecomputedSettings
from ace_steps.embed.texts import first_defect
from ace_steps.errors import InputError
from ace_steps.io.vectors import Vectors, iter_vectors

CHUNK_BYTES = 32 * 2**20
EXAMPLES = 3  # ids that an error line names
IDS = "ids"  # array of a safetensors file
FLOATS = ("F16", "BF16", "F32", "F64")
INTEGERS = ("I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64")


@dataclass(frozen=True)
class Joined:
    """Vectors of every item in the order of the items, in a temporary file.

    Attributes:
        items: The table items, in its order.
        matrix: (items, dim) float32; zero for each of the ``n_missing`` items without a vector.
        n_missing: Items without a vector.
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

    Memory of one chunk and of the items' table; ``items * dim * 4`` bytes of disk.

    Args:
        items: The table items.
        settings: The file, and what happens to items that it lacks.
        scratch_folder: Where a temporary file without a name goes.

    Raises:
        InputError: the file cannot be used, an item's id comes twice, a vector holds NaN or
            infinity or is all zeros, or items are missing where that is an error.
        OSError: the disk is full.
    """
    items = items.sort("item")
    item_rows = items.select("item_id").with_row_index("row")
    counts = np.zeros(len(items), np.int64)
    matrix, n_unused = np.empty((0, 0), np.float32), 0
    for piece in _pieces(settings):
        if not matrix.size:
            matrix = scratch_matrix(len(items), piece.matrix.shape[1], scratch_folder)
        ids = pl.DataFrame({"item_id": piece.ids}).with_row_index("piece_row")
        both = ids.join(item_rows, on="item_id")
        with np.errstate(over="ignore"):  # beyond float32 becomes infinity, which is refused
            vectors = piece.matrix[both["piece_row"].to_numpy()].astype(np.float32)
        if defect := first_defect(vectors):
            item_id = both["item_id"][defect[0]]
            raise InputError(f"{settings.vectors}: the vector of item '{item_id}' {defect[1]}.")
        matrix[both["row"].to_numpy()] = vectors
        np.add.at(counts, both["row"].to_numpy(), 1)
        n_unused += len(ids) - len(both)
    n_missing = _check_counts(counts, items["item_id"], settings)
    return Joined(items, matrix, n_missing, n_unused)


def _check_counts(counts: np.ndarray, ids: pl.Series, settings: PrecomputedSettings) -> int:
    """Number of the items without a vector, where there may be some."""

    def examples(is_shown: np.ndarray) -> str:
        return ", ".join(f"'{item}'" for item in ids.filter(pl.Series(is_shown))[:EXAMPLES])

    n_repeated, n_missing = int((counts > 1).sum()), int((counts == 0).sum())
    if n_repeated:
        raise InputError(
            f"{settings.vectors}: {n_repeated} items have several vectors, e.g. "
            f"{examples(counts > 1)}; each needs one."
        )
    if n_missing and settings.missing_items == "error":
        raise InputError(
            f"{settings.vectors}: {n_missing} of {len(ids)} items have no vector, e.g. "
            f"{examples(counts == 0)}; with missing_items: zero theirs would be zeros."
        )
    if n_missing == len(ids):
        raise InputError(f"{settings.vectors}: none of its ids is an item's.")
    return n_missing


def _pieces(settings: PrecomputedSettings) -> Iterator[Vectors]:
    """The file in chunks, whatever its format; the settings know its endings."""
    path = Path(settings.vectors)
    ids = Path(settings.ids) if settings.ids else None
    if path.suffix == ".npy":
        return _npy_pieces(path, ids)
    if path.suffix == ".safetensors":
        return _safetensors_pieces(path, ids, settings.vector_column)
    if ids:
        raise InputError(f"{path}: a Parquet file has its ids in a column; leave out `ids`.")
    columns = {"id_column": settings.id_column, "vector_column": settings.vector_column}
    return iter_vectors(path, **columns, chunk_rows=CHUNK_ROWS)


def _npy_pieces(path: Path, ids: Path | None) -> Iterator[Vectors]:
    matrix = _load_npy(path)
    if matrix.ndim != 2 or matrix.dtype.kind != "f":
        raise _no_matrix(path, matrix.shape, matrix.dtype)
    if ids is None:
        raise InputError(f"{path}: does not name its rows' ids; give a file of them as `ids`.")
    yield from _chunks(path, _read_ids(ids), matrix.shape, lambda rows: matrix[rows])


def _safetensors_pieces(path: Path, ids: Path | None, array: str) -> Iterator[Vectors]:
    """``array`` is the name of the matrix where the file holds several."""
    try:
        with safe_open(path, framework="pt") as file:  # NumPy has no bfloat16
            names = sorted(set(file.keys()) - {IDS})
            if array not in names and len(names) != 1:
                raise InputError(
                    f"{path}: holds the arrays {', '.join(names) or 'none'}; give the name of one "
                    "as `vector_column`."
                )
            tensor = file.get_slice(array if array in names else names[0])
            shape, dtype = tuple(tensor.get_shape()), tensor.get_dtype()
            if len(shape) != 2 or dtype not in FLOATS:
                raise _no_matrix(path, shape, dtype)

            def rows_of(rows: slice) -> np.ndarray:
                part = tensor[rows]
                return (part.float() if part.dtype.itemsize < 4 else part).numpy()

            yield from _chunks(
                path, _read_ids(ids) if ids else _own_ids(path, file), shape, rows_of
            )
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except SafetensorError as damage:
        raise InputError(f"{path}: not a readable safetensors file ({damage}).") from None


def _own_ids(path: Path, file: safe_open) -> pl.Series:
    """Ids that a safetensors file holds itself."""
    if IDS not in file.keys():  # noqa: SIM118  not a dict
        raise InputError(f"{path}: holds no array 'ids'; give a file of ids as `ids`.")
    ids = file.get_slice(IDS)
    shape, dtype = tuple(ids.get_shape()), ids.get_dtype()
    if len(shape) != 1 or dtype not in INTEGERS:
        raise InputError(
            f"{path}: expected a list of whole numbers as its array 'ids', got {dtype} of shape "
            f"{shape}; give any other ids in a file, as `ids`."
        )
    return pl.Series(file.get_tensor(IDS).numpy()).cast(pl.String)


def _chunks(
    path: Path, ids: pl.Series, shape: tuple, rows_of: Callable[[slice], np.ndarray]
) -> Iterator[Vectors]:
    if len(ids) != shape[0]:
        raise InputError(f"{path}: {shape[0]} rows, but {len(ids)} ids.")
    step = max(64, CHUNK_BYTES // (8 * max(shape[1], 1)))
    for start in range(0, shape[0], step):
        part = slice(start, min(start + step, shape[0]))
        yield Vectors(None, ids[start : part.stop], rows_of(part))


def _read_ids(path: Path) -> pl.Series:
    """Ids as texts, in order, out of a .npy, .txt or .json file."""
    expected = f"{path}: expected a list of texts or whole numbers"
    if path.suffix == ".npy":
        array = _load_npy(path)
        if array.ndim != 1 or array.dtype.kind not in "iuU":
            raise InputError(f"{expected}, got {array.dtype} of shape {array.shape}")
        return pl.Series(array).cast(pl.String)
    try:
        text = path.read_text(encoding="utf-8-sig")  # without the mark that editors put in front
        if path.suffix == ".txt":
            lines = text.removesuffix("\n").split("\n")
            return pl.Series(lines, dtype=pl.String).str.strip_suffix("\r")
        ids = json.loads(text)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except ValueError as fault:
        raise InputError(f"{path}: not readable ({' '.join(str(fault).split())}).") from None
    if not isinstance(ids, list) or not all(type(item) in (str, int) for item in ids):
        raise InputError(f"{expected}, got other JSON")
    return pl.Series([str(item) for item in ids], dtype=pl.String)


def _load_npy(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except (ValueError, OSError, EOFError) as fault:
        raise InputError(f"{path}: not a readable .npy file ({fault}).") from None


def _no_matrix(path: Path, shape: tuple, dtype: object) -> InputError:
    return InputError(f"{path}: expected a matrix of floats (rows, dim), got {dtype} of {shape}")
