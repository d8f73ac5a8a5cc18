"""Precomputed embeddings, joined to the items by their raw ids, in bounded memory.

They come out of Parquet, .npy or .safetensors files, in chunks; nothing is unpickled.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
FLOATS = ("float16", "float32", "float64", "F16", "BF16", "F32", "F64")


@dataclass(frozen=True)
class Joined:
    """Vectors of every item in the order of the items, in a temporary file."""

    items: pl.DataFrame  # the table items, in its order
    matrix: np.ndarray  # (items, dim) float32, zero for an item without a vector
    n_missing: int  # such items
    n_unused: int  # vectors that no item has

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
    _check_counts(counts, items["item_id"], settings)
    return Joined(items, matrix, int((counts == 0).sum()), n_unused)


def _check_counts(counts: np.ndarray, ids: pl.Series, settings: PrecomputedSettings) -> None:
    """Refuse items with several vectors, and with none where that is an error."""
    several, missing = ids.filter(pl.Series(counts > 1)), ids.filter(pl.Series(counts == 0))
    if len(several):
        is_wrong, what = several, "several vectors, but each needs one"
    elif len(missing) == len(ids):
        is_wrong, what = missing, "no vector, so its ids are not those of the items"
    elif len(missing) and settings.missing_items == "error":
        is_wrong, what = missing, "no vector; with missing_items: zero theirs would be zeros"
    else:
        return
    examples = ", ".join(f"'{item}'" for item in is_wrong[:EXAMPLES])
    raise InputError(
        f"{settings.vectors}: {len(is_wrong)} of {len(ids)} items (e.g. {examples}) have {what}."
    )


def _pieces(settings: PrecomputedSettings) -> Iterator[Vectors]:
    """The file in chunks, whatever its format; the settings know its endings."""
    path = Path(settings.vectors)
    if path.suffix == ".parquet":
        if settings.ids:
            raise InputError(f"{path}: a Parquet file has its ids in a column; leave out `ids`.")
        columns = {"id_column": settings.id_column, "vector_column": settings.vector_column}
        yield from iter_vectors(path, **columns, chunk_rows=CHUNK_ROWS)
        return
    ids = _read_ids(Path(settings.ids)) if settings.ids else None
    if path.suffix == ".npy":
        with _readable(path):
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        yield from _chunks(path, array.shape, array.dtype.name, array.__getitem__, ids)
        return
    with _readable(path), safe_open(path, framework="pt") as file:  # NumPy has no bfloat16
        names = sorted(set(file.keys()) - {IDS})
        name = names[0] if len(names) == 1 else settings.vector_column
        if name not in names:
            raise InputError(
                f"{path}: holds the arrays {', '.join(names) or 'none'}; give the name of one as "
                "`vector_column`."
            )
        if ids is None and IDS in file.keys():  # noqa: SIM118  not a dict
            ids = _as_ids(path, file.get_tensor(IDS).tolist())
        tensor = file.get_slice(name)

        def rows_of(rows: slice) -> np.ndarray:
            part = tensor[rows]
            return (part.float() if part.dtype.itemsize < 4 else part).numpy()

        yield from _chunks(path, tensor.get_shape(), tensor.get_dtype(), rows_of, ids)


def _chunks(
    path: Path,
    shape: Sequence[int],
    dtype: str,
    rows_of: Callable[[slice], np.ndarray],
    ids: pl.Series | None,
) -> Iterator[Vectors]:
    """The rows of a matrix with their ids, refused where they are no such thing."""
    if len(shape) != 2 or dtype not in FLOATS:
        raise InputError(
            f"{path}: expected a matrix of floats (rows, dim), got {dtype} of {tuple(shape)}."
        )
    if ids is None:
        raise InputError(f"{path}: does not name its rows' ids; give a file of them as `ids`.")
    if len(ids) != shape[0]:
        raise InputError(f"{path}: {shape[0]} rows, but {len(ids)} ids.")
    step = max(64, CHUNK_BYTES // (8 * max(shape[1], 1)))
    for start in range(0, shape[0], step):
        part = slice(start, min(start + step, shape[0]))
        yield Vectors(None, ids[start : part.stop], rows_of(part))


def _read_ids(path: Path) -> pl.Series:
    """Ids in order, out of a .npy, .txt or .json file."""
    with _readable(path):
        if path.suffix == ".npy":
            return _as_ids(path, np.load(path, allow_pickle=False).tolist())
        text = path.read_text(encoding="utf-8-sig")  # without the mark that editors put in front
        is_lines = path.suffix == ".txt"
        return _as_ids(path, text.removesuffix("\n").split("\n") if is_lines else json.loads(text))


def _as_ids(path: Path, ids: object) -> pl.Series:
    if not isinstance(ids, list) or not all(type(each) in (str, int) for each in ids):
        raise InputError(f"{path}: expected ids as a list of texts or whole numbers.")
    return pl.Series([str(each) for each in ids], dtype=pl.String)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Whatever fails on reading a file is one line that names it."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except (SafetensorError, ValueError, OSError, EOFError) as fault:
        reason = " ".join(str(fault).split())
        raise InputError(f"{path}: not a readable {path.suffix} file ({reason}).") from None
