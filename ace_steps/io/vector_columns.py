"""Columns of vectors in anyone's Parquet: which row groups, whether usable, as a matrix."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ace_steps.errors import InputError

if TYPE_CHECKING:
    from pyarrow.lib import FileMetaData

FLOATS = {pa.float16(): np.float16, pa.float32(): np.float32, pa.float64(): np.float64}


def row_groups_of(found: "FileMetaData", rows: range | None) -> tuple[list[int], int]:
    """The row groups that hold any of the rows, and the number of rows before them."""
    sizes = [found.row_group(i).num_rows for i in range(found.num_row_groups)]
    ends = np.cumsum(sizes, dtype=np.int64)
    wanted = range(int(ends[-1]) if sizes else 0) if rows is None else rows
    groups = [
        i
        for i, (end, size) in enumerate(zip(ends, sizes, strict=True))
        if size and len(wanted) and end > wanted.start and end - size < wanted.stop
    ]
    return groups, int(ends[groups[0]] - sizes[groups[0]]) if groups else 0


def check_vector_columns(found: pa.Schema, id_column: str, vector: str, path: Path) -> None:
    """Refuse a file without a column of ids and a column of vectors."""
    for name in (id_column, vector):
        if name not in found.names:
            raise InputError(f"{path}: column '{name}' is missing; found {', '.join(found.names)}.")
    kind = found.field(vector).type
    is_list = pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind)
    if not (is_list or pa.types.is_large_list(kind)) or kind.value_type not in FLOATS:
        raise InputError(
            f"{path}: column '{vector}' is {kind}, but a list of float16, float32 or float64 "
            "is wanted."
        )


def as_matrix(column: pa.Array, width: int | None, n_before: int, path: Path) -> np.ndarray:
    """(rows, width) view of a list column, refused where a row is null or of another width."""
    widths = pc.list_value_length(column)
    wanted = width or next((w for w in widths.to_pylist() if w is not None), 0)
    is_other = pc.fill_null(pc.not_equal(widths, wanted), True)
    if pc.any(is_other).as_py():
        row = pc.index(is_other, True).as_py()
        raise InputError(
            f"{path}: the vector of row {n_before + row} has {widths[row].as_py()} entries, "
            f"but {wanted} are wanted."
        )
    return column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), wanted)
