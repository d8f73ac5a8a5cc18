"""Tables that are too long for memory, written in pieces; and tables of the caller's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ace_steps.errors import InputError
from ace_steps.io.parquet import ROW_GROUP_ROWS, opened, ordered_rows, sealed_writer
from ace_steps.io.provenance import Provenance
from ace_steps.io.tables import TableSpec


@contextmanager
def piece_writer(path: Path, spec: TableSpec, note: Provenance) -> Iterator["PieceWriter"]:
    """A writer that takes a table in pieces and publishes it when the block ends well.

    Args:
        path: Where to write.
        spec: The table.
        note: How it is made.
    """
    with sealed_writer(path, spec, note) as writer:
        yield PieceWriter(writer, spec)


class PieceWriter:
    """Takes pieces in the order of the table's key; a file of ours has at least an empty one."""

    def __init__(self, writer: pq.ParquetWriter, spec: TableSpec):
        self._writer, self._spec = writer, spec
        self._last: tuple | None = None
        self.n_rows = 0

    def write(self, piece: pl.DataFrame) -> None:
        """Append rows, sorted by the key here.

        Raises:
            ValueError: as ``ordered_rows``, or the piece does not begin after the one before.
        """
        rows = ordered_rows(piece, self._spec)
        if not len(rows):
            return
        first, last = (
            tuple(rows[name][place].as_py() for name in self._spec.key)
            for place in (0, len(rows) - 1)
        )
        if self._last is not None and first <= self._last:
            raise ValueError(f"table '{self._spec.name}': {first} comes after {self._last}")
        table = pa.table(rows.columns, schema=self._writer.schema)
        self._writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
        self._last, self.n_rows = last, self.n_rows + len(rows)


def read_own(path: Path, spec: TableSpec) -> pl.DataFrame:
    """A table that a caller made: columns may be of kinds that convert without loss.

    Raises:
        InputError: no such file, not Parquet, a column is missing, holds nulls or other values.
    """
    with opened(path) as file:
        names = file.schema_arrow.names
        for column in spec.schema.names:
            if column not in names:
                raise InputError(f"{path}: column '{column}' is missing; found {', '.join(names)}.")
        found = file.read(columns=spec.schema.names)
    columns = {}
    for field in spec.schema:
        if found[field.name].null_count:
            raise InputError(f"{path}: column '{field.name}' holds nulls.")
        try:
            columns[field.name] = found[field.name].cast(field.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as refusal:
            reason = str(refusal).splitlines()[0]
            raise InputError(
                f"{path}: column '{field.name}' is {found[field.name].type} and does not convert "
                f"to {field.type} ({reason})."
            ) from None
    return pl.from_arrow(pa.table(columns))
