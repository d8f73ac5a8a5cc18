"""Vectors streamed from a Parquet file, and through a refinement into a table of item vectors."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from ace_steps.errors import InputError
from ace_steps.io.parquet import open_parquet
from ace_steps.io.provenance import METADATA_KEY, Provenance
from ace_steps.io.vectors import Vectors, iter_vectors, vector_writer
from ace_steps.refine.refinement import Refinement, chunk_rows, unit_rows


@dataclass(frozen=True)
class Chunk:
    """Some rows of a vector file: item index from 1, id, and unit row."""

    index: np.ndarray
    ids: pl.Series
    rows: np.ndarray


@dataclass(frozen=True)
class VectorFile:
    """A Parquet file of vectors, written by this package or another program."""

    path: Path
    id_column: str
    vector_column: str

    def dim(self) -> int:
        """Entries of the first vector; 0 where there is none.

        Raises:
            InputError: the file or its columns cannot be used.
        """
        return next((piece.matrix.shape[1] for piece in self._pieces(1, range(1))), 0)

    def chunks(self, rows: range | None = None) -> Iterator[Chunk]:
        """Unit rows in file order, about 32 MB of them at once.

        Args:
            rows: Numbers of the rows to read; all where None.

        Raises:
            InputError: the file cannot be used, an id is null, or a row is NaN, infinite, or zero
                where import_vectors put no zeros in the place of missing vectors.
        """
        first = rows.start if rows else 0
        zeros = self._has_zero_items()
        where = f"{self.path}: column '{self.vector_column}'"
        for piece in self._pieces(chunk_rows(self.dim()), rows):
            if piece.ids.null_count():
                row = first + piece.ids.is_null().arg_max()
                raise InputError(f"{self.path}: column '{self.id_column}' is null in row {row}.")
            unit = unit_rows(piece.matrix, ids=piece.ids, first=first, where=where, zeros=zeros)
            by_position = np.arange(first + 1, first + 1 + len(unit), dtype=np.int32)
            yield Chunk(by_position if piece.index is None else piece.index, piece.ids, unit)
            first += len(unit)

    def _pieces(self, n_rows: int, rows: range | None) -> Iterator[Vectors]:
        return iter_vectors(
            self.path,
            id_column=self.id_column,
            vector_column=self.vector_column,
            chunk_rows=n_rows,
            rows=rows,
        )

    def _has_zero_items(self) -> bool:
        """Whether import_vectors put zeros in the place of missing vectors, as its note says."""
        with open_parquet(self.path) as file:
            note = (file.schema_arrow.metadata or {}).get(METADATA_KEY.encode())
        facts = Provenance.from_json(note, self.path).facts if note is not None else {}
        return facts.get("zero_items", 0) > 0


class UniqueIds:
    """Collects the ids of a file and refuses a repeated one; eight bytes an id."""

    def __init__(self, file: VectorFile):
        self._file, self._hashes = file, []

    def add(self, ids: pl.Series) -> None:
        """Look at the next ids."""
        self._hashes.append(ids.hash().to_numpy())

    def check(self) -> None:
        """Refuse the file where an id comes twice.

        Raises:
            InputError: names such an id and counts them.
        """
        hashes = np.sort(np.concatenate(self._hashes)) if self._hashes else np.empty(0)
        repeated = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
        if not len(repeated):
            return
        ids = pl.concat(
            chunk.ids.filter(np.isin(chunk.ids.hash().to_numpy(), repeated))
            for chunk in self._file.chunks()
        )
        twice = ids.filter(ids.is_duplicated()).unique(maintain_order=True)
        if len(twice):
            raise InputError(
                f"{self._file.path}: column '{self._file.id_column}' holds '{twice[0]}' more than "
                f"once; {len(twice)} such ids, but each item needs one vector."
            )


def write_refined(
    path: Path,
    file: VectorFile,
    refine: Callable[[np.ndarray], np.ndarray],
    *,
    dim: int,
    note: Provenance,
    observe: Callable[[np.ndarray], None] = lambda rows: None,
) -> int:
    """Stream a file's vectors through a refinement into an item_vectors table; the rows written.

    Args:
        path: The table.
        file: The vectors.
        refine: Unit rows to refined rows, both float64.
        dim: Entries of a refined row.
        note: How the table is made.
        observe: Called with the refined rows of each chunk.

    Raises:
        InputError: an id comes twice, or a row is NaN, infinite or all zero.
    """
    ids, n_rows = UniqueIds(file), 0
    with vector_writer(path, "item_vectors", dim, np.float32, note) as writer:
        for chunk in file.chunks():
            ids.add(chunk.ids)
            rows = refine(chunk.rows)
            observe(rows)
            writer.write({"item": chunk.index, "item_id": chunk.ids}, rows)
            n_rows += len(rows)
        ids.check()
    return n_rows


def fold_in(path: Path, file: VectorFile, refinement: Refinement, note: Provenance) -> int:
    """``write_refined`` by a map that was fitted before.

    Raises:
        InputError: the file is empty or its vectors have another dim than the map's, an id comes
            twice, or a row is NaN, infinite or all zero.
    """
    dim_in, dim = refinement.weights.shape
    if file.dim() != dim_in:
        raise InputError(
            f"{file.path}: expected vectors of dim {dim_in}, which this refinement takes, got "
            f"{file.dim()}."
        )
    return write_refined(path, file, refinement.apply, dim=dim, note=note)
