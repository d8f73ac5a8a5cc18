"""Tables of vectors: written in row groups of 16 MB, read in chunks from anyone's Parquet."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ace_steps.errors import InputError
from ace_steps.io.parquet import open_parquet, parquet_writer
from ace_steps.io.provenance import Provenance
from ace_steps.io.tables import vector_table

ROW_GROUP_BYTES = 16 * 2**20
FLOATS = {pa.float16(): np.float16, pa.float32(): np.float32, pa.float64(): np.float64}


@dataclass(frozen=True)
class Vectors:
    """Rows of vectors: ``index`` (n,) int32 or None, ``ids`` (n,) str, ``matrix`` (n, dim)."""

    index: np.ndarray | None
    ids: pl.Series
    matrix: np.ndarray

    def __len__(self) -> int:
        return len(self.matrix)


@contextmanager
def vector_writer(
    path: Path, table: str, dim: int, dtype: np.dtype, provenance: Provenance
) -> Iterator["VectorWriter"]:
    """A writer that takes vectors in pieces and publishes the file when the block ends well.

    Args:
        path: Where to write.
        table: ``item_vectors``, ``text_vectors`` or ``query_vectors``.
        dim: Entries of one vector.
        dtype: float16 or float32.
        provenance: How the vectors are made.
    """
    spec = vector_table(table, dim, pa.from_numpy_dtype(dtype))
    with parquet_writer(path, spec, provenance) as writer:
        vectors = VectorWriter(writer, dim, np.dtype(dtype))
        yield vectors
        vectors.flush()


class VectorWriter:
    """Collects rows and writes them in row groups of about 16 MB."""

    def __init__(self, writer: pq.ParquetWriter, dim: int, dtype: np.dtype):
        self._writer, self._dim, self._dtype = writer, dim, dtype
        self._group_rows = max(1, ROW_GROUP_BYTES // (dim * dtype.itemsize))
        self._pending = writer.schema.empty_table()

    def write(self, keys: dict[str, object], matrix: np.ndarray) -> None:
        """Append rows: the key columns by name, and the matrix (rows, dim) of their vectors."""
        if matrix.ndim != 2 or matrix.shape[1] != self._dim:
            raise ValueError(f"vectors: expected shape (rows, {self._dim}), got {matrix.shape}")
        schema = self._writer.schema
        flat = pa.array(np.ascontiguousarray(matrix, dtype=self._dtype).reshape(-1))
        vectors = pa.FixedSizeListArray.from_arrays(flat, type=schema.field("vector").type)
        columns = [
            vectors if field.name == "vector" else pa.array(keys[field.name]).cast(field.type)
            for field in schema
        ]
        rows = pa.table(columns, schema=schema)
        self._pending = pa.concat_tables([self._pending, rows])
        while len(self._pending) >= self._group_rows:
            self._writer.write_table(self._pending.slice(0, self._group_rows))
            self._pending = self._pending.slice(self._group_rows)

    def flush(self) -> None:
        """Write what is left; called by ``vector_writer``."""
        if len(self._pending):
            self._writer.write_table(self._pending)


def read_vectors(path: Path, id_column: str = "item_id") -> Vectors:
    """All vectors of a file in memory; see ``iter_vectors``."""
    pieces = list(iter_vectors(path, id_column=id_column))
    index = None if pieces[0].index is None else np.concatenate([p.index for p in pieces])
    ids = pl.concat([p.ids for p in pieces])
    return Vectors(index, ids, np.concatenate([p.matrix for p in pieces]))


def iter_vectors(
    path: Path,
    *,
    id_column: str = "item_id",
    vector_column: str = "vector",
    chunk_rows: int = 16_384,
    rows: range | None = None,
) -> Iterator[Vectors]:
    """Vectors in chunks, in file order; memory is one row group and one chunk.

    Reads any Parquet with a column of ids and a column of vectors (fixed-size or variable list of
    float16, float32 or float64), ours or not. An empty file gives one empty chunk when its
    dimension is known.

    Args:
        path: The Parquet file.
        id_column: Column of the ids; an int32 column ``item`` is read with ``item_id``.
        vector_column: Column of the vectors.
        chunk_rows: Rows of a chunk, at most.
        rows: Consecutive rows of the file to read; row groups without any of them are not read.

    Raises:
        InputError: a column is missing or of another type, dimensions differ, a vector is null.
    """
    with open_parquet(path) as file:
        schema = file.schema_arrow
        kind = _vector_type(schema, id_column, vector_column, path)
        dim = kind.list_size if pa.types.is_fixed_size_list(kind) else None
        has_index = id_column == "item_id" and "item" in schema.names
        has_index = has_index and schema.field("item").type == pa.int32()
        columns = [id_column, vector_column, *(["item"] if has_index else [])]
        rows = range(file.metadata.num_rows) if rows is None else rows
        groups, n_before = _row_groups(file.metadata, rows)
        if not groups and dim:
            index = np.empty(0, np.int32) if has_index else None
            ids = pl.Series(id_column, [], dtype=pl.String)
            yield Vectors(index, ids, np.empty((0, dim), FLOATS[kind.value_type]))
        for batch in file.iter_batches(chunk_rows, row_groups=groups, columns=columns):
            start = max(rows.start - n_before, 0)
            piece = batch.slice(start, max(rows.stop - n_before - start, 0))
            matrix = _as_matrix(piece.column(vector_column), dim, n_before + start, path)
            n_before += len(batch)
            if not len(piece):
                continue
            dim = matrix.shape[1]
            index = piece.column("item").to_numpy() if has_index else None
            ids = pl.Series(id_column, piece.column(id_column).cast(pa.string()))
            yield Vectors(index, ids, matrix)


def _vector_type(schema: pa.Schema, id_column: str, vector: str, path: Path) -> pa.DataType:
    """The type of the column of vectors, refused where it or the column of ids cannot be used."""
    for name in (id_column, vector):
        if name not in schema.names:
            raise InputError(
                f"{path}: column '{name}' is missing; the file has {', '.join(schema.names)}."
            )
    kind = schema.field(vector).type
    lists = (pa.types.is_fixed_size_list, pa.types.is_list, pa.types.is_large_list)
    if not any(is_kind(kind) for is_kind in lists) or kind.value_type not in FLOATS:
        raise InputError(
            f"{path}: column '{vector}': expected lists of float16, float32 or float64, got {kind}."
        )
    return kind


def _row_groups(metadata: pq.FileMetaData, rows: range) -> tuple[list[int], int]:
    """The row groups that hold any of the rows, and the number of rows before them."""
    sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    ends = np.cumsum([0, *sizes]).tolist()
    groups = [
        i for i in range(len(sizes)) if max(rows.start, ends[i]) < min(rows.stop, ends[i + 1])
    ]
    return groups, ends[groups[0]] if groups else 0


def _as_matrix(column: pa.Array, dim: int | None, n_before: int, path: Path) -> np.ndarray:
    """(rows, dim) view of a list column, refused where a row is null or of another dimension."""
    dims = pc.list_value_length(column)
    expected = dim or next((n for n in dims.to_pylist() if n is not None), 0)
    differs = pc.fill_null(pc.not_equal(dims, expected), True)
    if pc.any(differs).as_py():
        row = pc.index(differs, True).as_py()
        raise InputError(
            f"{path}: the vector of row {n_before + row}: expected {expected} entries, "
            f"got {dims[row].as_py()}."
        )
    return column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), expected)
