"""Matrices of .npy and .safetensors files with their rows' ids, in chunks; nothing is unpickled."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
from safetensors import SafetensorError, safe_open

from ace_steps.errors import InputError
from ace_steps.io.vectors import Vectors

CHUNK_BYTES = 32 * 2**20
IDS = "ids"  # array of a safetensors file
FLOATS = ("F16", "BF16", "F32", "F64")
INTEGERS = ("I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64")
FORMATS = (".parquet", ".npy", ".safetensors")  # of vectors, as the schema has it too
ID_FORMATS = (".txt", ".json", ".npy")


def matrix_pieces(path: Path, ids: Path | None, *, array: str) -> Iterator[Vectors]:
    """Rows of a matrix with their ids, in order.

    Args:
        path: A .npy or .safetensors file.
        ids: File of the rows' ids; None where a safetensors file holds them.
        array: Name of the matrix in a safetensors file that holds several.

    Raises:
        InputError: no such file, not of its format, not a matrix of floats, or other ids than rows.
    """
    if path.suffix == ".npy":
        matrix = _load_npy(path)
        if matrix.ndim != 2 or matrix.dtype.kind != "f":
            raise _no_matrix(path, matrix.shape, matrix.dtype)
        if ids is None:
            raise InputError(f"{path}: says nothing of its rows' ids; `ids` is wanted.")
        yield from _chunks(path, _read_ids(ids), matrix.shape, lambda rows: matrix[rows])
        return
    _check_format(path, FORMATS)
    try:
        with safe_open(path, framework="pt") as file:  # NumPy has no bfloat16
            yield from _safetensors_pieces(path, file, ids, array)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except SafetensorError as damage:
        raise InputError(f"{path}: not a readable safetensors file ({damage}).") from None


def _safetensors_pieces(
    path: Path, file: safe_open, ids: Path | None, array: str
) -> Iterator[Vectors]:
    names = [name for name in file.keys() if name != IDS]  # noqa: SIM118  not a dict
    name = array if array in names else names[0] if len(names) == 1 else None
    if name is None:
        raise InputError(
            f"{path}: holds the arrays {', '.join(sorted(names)) or 'none'}; one, or the name of "
            "one as `vector_column`, is wanted."
        )
    found = file.get_slice(name)
    shape = tuple(found.get_shape())
    if len(shape) != 2 or found.get_dtype() not in FLOATS:
        raise _no_matrix(path, shape, found.get_dtype())
    listed = _read_ids(ids) if ids else _own_ids(path, file)
    rows_of = lambda rows: _as_numpy(found[rows.start : rows.stop])  # noqa: E731
    yield from _chunks(path, listed, shape, rows_of)


def _own_ids(path: Path, file: safe_open) -> pl.Series:
    """Ids that a safetensors file holds itself."""
    if IDS not in file.keys():  # noqa: SIM118
        raise InputError(f"{path}: holds no array 'ids'; `ids`, a file of ids, is wanted.")
    found = file.get_slice(IDS)
    shape = tuple(found.get_shape())
    if len(shape) != 1 or found.get_dtype() not in INTEGERS:
        raise InputError(
            f"{path}: its array 'ids' is {found.get_dtype()} of shape {shape}, but a list of whole "
            "numbers is wanted; any other ids can be given as `ids`, a file."
        )
    return pl.Series(file.get_tensor(IDS).numpy()).cast(pl.String)


def _check_format(path: Path, formats: tuple[str, ...]) -> None:
    if path.suffix not in formats:
        found = f"'{path.suffix}'" if path.suffix else "a name without an ending"
        raise InputError(f"{path}: {found} is not read here; {', '.join(formats)} are.")


def _as_numpy(tensor: object) -> np.ndarray:
    """A torch tensor as an array, bfloat16 as float32."""
    return (tensor.float() if tensor.dtype.itemsize < 4 else tensor).numpy()


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
    """Ids as texts, in order."""
    _check_format(path, ID_FORMATS)
    try:
        if path.suffix == ".npy":
            found = _load_npy(path)
            if found.ndim != 1 or found.dtype.kind not in "iuU":
                raise InputError(
                    f"{path}: {found.dtype} of shape {found.shape}, but a list of texts or whole "
                    "numbers is wanted."
                )
            return pl.Series(found).cast(pl.String)
        text = path.read_text(encoding="utf-8-sig")  # editors put a mark in front that is no id's
        if path.suffix == ".txt":
            return pl.Series(text.removesuffix("\n").split("\n"), dtype=pl.String).str.strip_suffix(
                "\r"
            )
        found = json.loads(text)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except ValueError as fault:
        if isinstance(fault, InputError):
            raise
        raise InputError(f"{path}: not readable ({' '.join(str(fault).split())}).") from None
    if not isinstance(found, list) or not all(type(i) in (str, int) for i in found):
        raise InputError(f"{path}: a list of texts or whole numbers is wanted.")
    return pl.Series([str(i) for i in found], dtype=pl.String)


def _load_npy(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except (ValueError, OSError, EOFError) as fault:
        raise InputError(f"{path}: not a readable .npy file ({fault}).") from None


def _no_matrix(path: Path, shape: tuple, dtype: object) -> InputError:
    return InputError(
        f"{path}: {dtype} of shape {tuple(shape)}, but a matrix of floats (rows, dim) is wanted."
    )
