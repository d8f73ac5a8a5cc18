"""Parquet files: declared tables, written atomically, sorted, and checked as they are read."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ace_steps.errors import InputError
from ace_steps.io.files import atomic_path, has_wrong_checksum, insert_checksum
from ace_steps.io.provenance import METADATA_KEY, Provenance
from ace_steps.io.tables import TableSpec

TABLE_KEY = b"table"
ROW_GROUP_ROWS = 65_536


def write_table(table: pl.DataFrame, spec: TableSpec, path: Path, provenance: Provenance) -> None:
    """Write a table atomically, sorted by its key; raises as ``TableWriter.write`` does."""
    with table_writer(path, spec, provenance) as writer:
        writer.write(table)


@contextmanager
def table_writer(path: Path, spec: TableSpec, provenance: Provenance) -> Iterator["TableWriter"]:
    """A writer that takes a table in pieces and publishes it when the block ends well."""
    with parquet_writer(path, spec, provenance) as writer:
        yield TableWriter(writer, spec)


class TableWriter:
    """Writes pieces of a table, in the order of its key.

    Attributes:
        n_rows: Rows written so far.
    """

    def __init__(self, writer: pq.ParquetWriter, spec: TableSpec):
        self._writer, self._spec = writer, spec
        self._last: tuple | None = None
        self.n_rows = 0

    def write(self, piece: pl.DataFrame) -> None:
        """Append rows, sorted by the key here.

        Raises:
            ValueError: columns differ from the declaration, a value is null, the key is not
                unique, or the piece does not begin after the one before.
        """
        name, key = self._spec.name, list(self._spec.key)
        if set(piece.columns) != set(self._spec.schema.names):
            raise ValueError(
                f"table '{name}': expected columns {self._spec.schema.names}, got {piece.columns}"
            )
        ordered = piece.select(self._spec.schema.names).sort(key)
        for column in ordered.iter_columns():
            if column.null_count():
                raise ValueError(f"table '{name}': column '{column.name}' holds nulls")
        same_as_before = pl.all_horizontal(pl.col(key) == pl.col(key).shift())
        if ordered.select(same_as_before.any()).item():  # sorted: equals are adjacent
            raise ValueError(f"table '{name}' is not unique in its key {self._spec.key}")
        if ordered.is_empty():
            return
        first, last = ordered.select(key).row(0), ordered.select(key).row(-1)
        if self._last is not None and first <= self._last:
            raise ValueError(f"table '{name}': {first} comes after {self._last}")
        plain = pa.schema([pa.field(field.name, field.type) for field in self._spec.schema])
        rows = pa.table(ordered.to_arrow().cast(plain).columns, schema=self._writer.schema)
        self._writer.write_table(rows, row_group_size=ROW_GROUP_ROWS)
        self._last, self.n_rows = last, self.n_rows + len(rows)


def read_table(path: Path, spec: TableSpec) -> pl.DataFrame:
    """A whole table, checked against its declaration.

    Raises:
        InputError: no such file, not Parquet, damaged, another table, or a column differs.
    """
    with open_parquet(path) as file:
        schema = file.schema_arrow
        name = (schema.metadata or {}).get(TABLE_KEY, b"").decode()
        if name and name != spec.name:
            raise InputError(f"{path}: expected the table '{spec.name}', got '{name}'.")
        _check_columns(schema, spec, path)
        for field in spec.schema:
            kind = schema.field(field.name).type
            if kind != field.type:
                raise InputError(
                    f"{path}: column '{field.name}' of the table '{spec.name}': expected "
                    f"{field.type}, got {kind}."
                )
        rows = file.read(columns=spec.schema.names)
    return pl.from_arrow(rows.replace_schema_metadata(None))  # polars expects it to be text


def read_foreign_table(path: Path, spec: TableSpec) -> pl.DataFrame:
    """A table that a caller made: columns may be of types that convert without loss.

    Raises:
        InputError: no such file, not Parquet, a column is missing, holds nulls or other values.
    """
    with open_parquet(path) as file:
        _check_columns(file.schema_arrow, spec, path)
        table = file.read(columns=spec.schema.names)
    columns = {}
    for field in spec.schema:
        column = table[field.name]
        if column.null_count:
            raise InputError(f"{path}: column '{field.name}' holds nulls.")
        try:
            columns[field.name] = column.cast(field.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as refusal:
            reason = str(refusal).splitlines()[0]
            raise InputError(
                f"{path}: column '{field.name}' is {column.type} and does not convert to "
                f"{field.type} ({reason})."
            ) from None
    return pl.from_arrow(pa.table(columns))


def _check_columns(schema: pa.Schema, spec: TableSpec, path: Path) -> None:
    for name in spec.schema.names:
        if name not in schema.names:
            raise InputError(
                f"{path}: column '{name}' of the table '{spec.name}' is missing; "
                f"the file has {', '.join(schema.names)}."
            )


def read_provenance(path: Path) -> Provenance:
    """How the file was made.

    Raises:
        InputError: the file is not Parquet, or does not say how it was made as ours do.
    """
    with open_parquet(path) as file:
        note = (file.schema_arrow.metadata or {}).get(METADATA_KEY.encode())
    if note is None:
        raise InputError(f"{path}: Parquet without this package's provenance.")
    return Provenance.from_json(note, path)


def count_rows(path: Path) -> int:
    """Rows of a Parquet file, from its footer."""
    with open_parquet(path) as file:
        return file.metadata.num_rows


@contextmanager
def open_parquet(path: Path) -> Iterator[pq.ParquetFile]:
    """A Parquet file open for reading; anything unreadable is one line that names the file."""
    try:
        if has_wrong_checksum(path):
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
def parquet_writer(
    path: Path, spec: TableSpec, provenance: Provenance
) -> Iterator[pq.ParquetWriter]:
    """A writer of a file that appears whole, with its checksums, when the block ends well."""
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
        insert_checksum(temporary)
