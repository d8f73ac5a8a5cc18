"""All Parquet reading and writing: checked against the table's declaration, atomic, checksummed.

Pages carry checksums and the whole file a seal, which every read verifies: a flipped bit is an
error and never a number.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ace_steps.errors import InputError
from ace_steps.io import seal, tables
from ace_steps.io.files import atomic_path
from ace_steps.io.provenance import METADATA_KEY, Provenance
from ace_steps.io.tables import TableSpec
from ace_steps.io.vector_columns import FLOATS, as_matrix, check_vector_columns, row_groups_of

TABLE_KEY = b"table"
ROW_GROUP_ROWS = 65_536
ROW_GROUP_BYTES = 16 * 2**20  # of vectors


@dataclass(frozen=True)
class Vectors:
    """Rows of vectors: ``index`` (n,) int32 or None, ``ids`` (n,) str, ``matrix`` (n, width)."""

    index: np.ndarray | None
    ids: pl.Series
    matrix: np.ndarray

    def __len__(self) -> int:
        return len(self.matrix)


def write_table(table: pl.DataFrame, spec: TableSpec, path: Path, provenance: Provenance) -> None:
    """Write a table atomically, sorted by its key; raises as ``ordered_rows`` does."""
    with sealed_writer(path, spec, provenance) as writer:
        rows = pa.table(ordered_rows(table, spec).columns, schema=writer.schema)
        writer.write_table(rows, row_group_size=ROW_GROUP_ROWS)


def ordered_rows(table: pl.DataFrame, spec: TableSpec) -> pa.Table:
    """The rows as they are declared, sorted by the key.

    Raises:
        ValueError: columns differ from the declaration, a value is null, or the key is not unique.
    """
    if set(table.columns) != set(spec.schema.names):
        raise ValueError(
            f"table '{spec.name}' has columns {table.columns}, not {spec.schema.names}"
        )
    ordered = table.select(spec.schema.names).sort(spec.key)
    arrow = ordered.to_arrow().cast(pa.schema([pa.field(f.name, f.type) for f in spec.schema]))
    nulls = [name for name in arrow.column_names if arrow[name].null_count]
    if nulls:
        raise ValueError(f"table '{spec.name}': column '{nulls[0]}' holds nulls")
    same_as_before = [pl.col(name) == pl.col(name).shift(1) for name in spec.key]
    if ordered.select(
        pl.all_horizontal(same_as_before).any()
    ).item():  # sorted: equals are adjacent
        raise ValueError(f"table '{spec.name}' is not unique in its key {spec.key}")
    return arrow


def read_table(path: Path, spec: TableSpec) -> pl.DataFrame:
    """A whole table, checked against its declaration.

    Raises:
        InputError: no such file, not Parquet, damaged, another table, or a column differs.
    """
    with opened(path) as file:
        check_table(file, spec, path)
        found = file.read(columns=spec.schema.names)
        return pl.from_arrow(found.replace_schema_metadata(None))  # polars wants it to be text


def check_table(file: pq.ParquetFile, spec: TableSpec, path: Path) -> None:
    """Refuse a file that is not the declared table."""
    found = file.schema_arrow
    name = (found.metadata or {}).get(TABLE_KEY, b"").decode()
    if name and name != spec.name:
        raise InputError(f"{path}: holds the table '{name}', but '{spec.name}' is wanted.")
    for wanted in spec.schema:
        index = found.get_field_index(wanted.name)
        if index < 0:
            raise InputError(
                f"{path}: column '{wanted.name}' of the table '{spec.name}' is missing; "
                f"found {', '.join(found.names)}."
            )
        if found.field(index).type != wanted.type:
            raise InputError(
                f"{path}: column '{wanted.name}' is {found.field(index).type}, "
                f"but the table '{spec.name}' needs {wanted.type}."
            )


def read_provenance(path: Path) -> Provenance:
    """How the file was made.

    Raises:
        InputError: the file is not Parquet, or does not say how it was made as ours do.
    """
    with opened(path) as file:
        note = (file.schema_arrow.metadata or {}).get(METADATA_KEY.encode())
    if note is None:
        raise InputError(f"{path}: Parquet without this package's provenance.")
    return Provenance.from_json(note, path)


@contextmanager
def opened(path: Path) -> Iterator[pq.ParquetFile]:
    """A Parquet file open for reading; anything unreadable is one line that names the file."""
    try:
        if seal.is_damaged(path):
            raise InputError(f"{path}: damaged, its checksum differs; delete it and run again.")
        # pre_buffer would keep every row group that was read until the file is closed
        with pq.ParquetFile(path, pre_buffer=False, page_checksum_verification=True) as file:
            yield file
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except InputError:
        raise
    except (pa.ArrowException, OSError) as damage:
        reason = str(damage).splitlines()[0] if str(damage) else type(damage).__name__
        raise InputError(
            f"{path}: not a readable Parquet file ({reason}); delete it and run again."
        ) from None


@contextmanager
def vector_writer(
    path: Path, table: str, width: int, dtype: np.dtype, provenance: Provenance
) -> Iterator["VectorWriter"]:
    """A writer that takes vectors in pieces and publishes the file when the block ends well.

    Args:
        path: Where to write.
        table: ``item_vectors``, ``text_vectors`` or ``query_vectors``.
        width: Entries of one vector.
        dtype: float16 or float32.
        provenance: How the vectors are made.
    """
    kind = pa.from_numpy_dtype(dtype)
    spec = getattr(tables, table)(width, kind)
    with sealed_writer(path, spec, provenance) as writer:
        taker = VectorWriter(writer, writer.schema, width, np.dtype(dtype))
        yield taker
        taker.flush()


class VectorWriter:
    """Collects rows and writes them in row groups of about 16 MB."""

    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema, width: int, dtype: np.dtype):
        self._writer, self._schema, self._width, self._dtype = writer, schema, width, dtype
        self._group_rows = max(1, ROW_GROUP_BYTES // (width * dtype.itemsize))
        self._pending: list[pa.Table] = []

    def write(self, keys: dict[str, object], matrix: np.ndarray) -> None:
        """Append rows: the key columns by name, and the matrix (rows, width) of their vectors."""
        if matrix.ndim != 2 or matrix.shape[1] != self._width:
            raise ValueError(f"vectors have shape {matrix.shape}, not (rows, {self._width})")
        flat = pa.array(np.ascontiguousarray(matrix, dtype=self._dtype).reshape(-1))
        kind = self._schema.field("vector").type
        columns = [pa.array(keys[name]) for name in self._schema.names if name != "vector"]
        columns = [c.cast(f.type) for c, f in zip(columns, self._schema, strict=False)]
        vectors = pa.FixedSizeListArray.from_arrays(flat, type=kind)
        self._pending.append(pa.table([*columns, vectors], schema=self._schema))
        if sum(len(table) for table in self._pending) >= self._group_rows:
            self._write_groups(keep_rest=True)

    def flush(self) -> None:
        """Write what is left; called by ``vector_writer``."""
        self._write_groups(keep_rest=False)

    def _write_groups(self, *, keep_rest: bool) -> None:
        table = pa.concat_tables(self._pending) if self._pending else self._schema.empty_table()
        n_full = len(table) // self._group_rows * self._group_rows
        end = n_full if keep_rest else len(table)
        for start in range(0, end, self._group_rows):
            self._writer.write_table(table.slice(start, min(self._group_rows, end - start)))
        rest = table.slice(end)
        self._pending = [rest] if len(rest) else []


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

    ``rows`` limits it to consecutive rows of the file; row groups without any are not read.

    Reads any Parquet with a column of ids and a column of vectors (fixed-size or variable list of
    float16, float32 or float64), ours or not. An empty file gives one empty chunk when its width
    is known.

    Raises:
        InputError: a column is missing or of another kind, widths differ, a vector is null.
    """
    with opened(path) as file:
        check_vector_columns(file.schema_arrow, id_column, vector_column, path)
        has_index = id_column == "item_id" and _has_item_index(file.schema_arrow)
        columns = [id_column, vector_column, *(["item"] if has_index else [])]
        kind = file.schema_arrow.field(vector_column).type
        width = kind.list_size if pa.types.is_fixed_size_list(kind) else None
        groups, n_before = row_groups_of(file.metadata, rows)
        if not groups and width:
            empty = np.empty((0, width), FLOATS[kind.value_type])
            index = np.empty(0, np.int32) if has_index else None
            yield Vectors(index, pl.Series(id_column, [], dtype=pl.String), empty)
        for batch in file.iter_batches(chunk_rows, row_groups=groups, columns=columns):
            start = 0 if rows is None else max(rows.start - n_before, 0)
            stop = len(batch) if rows is None else max(min(rows.stop - n_before, len(batch)), start)
            piece = batch.slice(start, stop - start)
            matrix = as_matrix(piece.column(vector_column), width, n_before + start, path)
            n_before += len(batch)
            if not len(piece):
                continue
            width = matrix.shape[1]
            index = piece.column("item").to_numpy() if has_index else None
            ids = pl.Series(id_column, piece.column(id_column).cast(pa.string()))
            yield Vectors(index, ids, matrix)


def count_rows(path: Path) -> int:
    """Rows of a Parquet file, from its footer."""
    with opened(path) as file:
        return file.metadata.num_rows


def _has_item_index(found: pa.Schema) -> bool:
    return "item" in found.names and found.field("item").type == pa.int32()


@contextmanager
def sealed_writer(
    path: Path, spec: TableSpec, provenance: Provenance
) -> Iterator[pq.ParquetWriter]:
    """A writer of a file that appears whole, with its seal, when the block ends well."""
    note = {TABLE_KEY: spec.name, b"key": ",".join(spec.key), METADATA_KEY: provenance.to_json()}
    schema = spec.schema.with_metadata(note)
    repeating = [field.name for field in schema if not pa.types.is_fixed_size_list(field.type)]
    with atomic_path(path) as temporary:
        with pq.ParquetWriter(
            temporary,
            schema,
            compression="zstd",
            write_page_checksum=True,
            use_dictionary=repeating,
        ) as writer:
            yield writer
            writer.add_key_value_metadata({seal.SEAL_KEY: seal.BLANK})
        seal.seal(temporary)
