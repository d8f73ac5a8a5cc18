"""Files of the refinement: vectors streamed in, partial Gram matrices, the factor."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from ace_steps.errors import InputError
from ace_steps.io import parquet, tensors
from ace_steps.io.provenance import METADATA_KEY, Provenance
from ace_steps.io.vectors import Vectors, iter_vectors
from ace_steps.refine.factor import Factor
from ace_steps.refine.moments import Moments
from ace_steps.refine.partial import join
from ace_steps.refine.rows import chunk_rows, unit_rows

FACTOR_PARTS = ("singular_values", "directions", "mean", "total")


@dataclass(frozen=True)
class VectorFile:
    """A Parquet file of vectors, ours or not.

    Attributes:
        path: The file.
        id_column: Column of the ids.
        vector_column: Column of the vectors.
    """

    path: Path
    id_column: str
    vector_column: str

    def width(self) -> int:
        """Entries of one vector, from the first of them; 0 where there is none.

        Raises:
            InputError: the file or its columns cannot be used.
        """
        first = self._pieces(1, range(1))
        return next((piece.matrix.shape[1] for piece in first), 0)

    def chunks(self, rows: range | None = None) -> Iterator["Chunk"]:
        """Unit rows in file order, about 32 MB of them at once.

        Args:
            rows: Numbers of the rows that are wanted; all where None.

        Raises:
            InputError: the file cannot be used, an id is null, or a row is NaN, infinite, or zero
                where import_vectors put no zeros in the place of missing vectors.
        """
        first = rows.start if rows else 0
        may_be_zero = _has_zero_items(self.path)
        for piece in self._pieces(chunk_rows(self.width()), rows):
            if piece.ids.null_count():
                row = first + piece.ids.is_null().arg_max()
                raise InputError(f"{self.path}: column '{self.id_column}' is null in row {row}.")
            where = f"{self.path}: column '{self.vector_column}'"
            unit = unit_rows(
                piece.matrix, ids=piece.ids, first=first, where=where, zeros=may_be_zero
            )
            own = np.arange(first + 1, first + 1 + len(unit), dtype=np.int32)
            yield Chunk(own if piece.index is None else piece.index, piece.ids, unit)
            first += len(unit)

    def _pieces(self, n_rows: int, rows: range | None) -> Iterator[Vectors]:
        return iter_vectors(
            self.path,
            id_column=self.id_column,
            vector_column=self.vector_column,
            chunk_rows=n_rows,
            rows=rows,
        )


def _has_zero_items(path: Path) -> bool:
    """Whether import_vectors put zeros in the place of missing vectors; it says so in the file."""
    with parquet.open_parquet(path) as file:
        note = (file.schema_arrow.metadata or {}).get(METADATA_KEY.encode())
    return note is not None and Provenance.from_json(note, path).facts.get("zero_items", 0) > 0


@dataclass(frozen=True)
class Chunk:
    """Some rows of a vector file: item index from 1, id, and unit row."""

    index: np.ndarray
    ids: pl.Series
    rows: np.ndarray


class UniqueIds:
    """Sees every id go by and refuses a repeated one; eight bytes an id."""

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


@dataclass(frozen=True)
class Factored:
    """What factor_vectors found: both factors, and the raw vectors' geometry.

    Attributes:
        raw: Factor of the unit rows.
        centred: Factor of the unit rows minus their mean.
        sample: Numbers of the rows that neighbours were looked up for.
        neighbours: Their neighbours, as places in the sample, (sample, neighbours) int32.
        geometry: Measures of the unit rows by name.
    """

    raw: Factor
    centred: Factor
    sample: np.ndarray
    neighbours: np.ndarray
    geometry: dict[str, float]


def write_factored(path: Path, found: Factored, provenance: Provenance) -> None:
    """Write the factors as safetensors; ranks, count and geometry go to the provenance's facts."""
    arrays = {"sample": found.sample.astype(np.int64), "neighbours": found.neighbours}
    for kind, factor in (("raw", found.raw), ("centred", found.centred)):
        arrays |= {f"{kind}.{part}": getattr(factor, part) for part in FACTOR_PARTS}
    facts = {
        "count": found.raw.count,
        "width": len(found.raw.mean),
        "rank": found.raw.rank,
        "centred_rank": found.centred.rank,
        "geometry": found.geometry,
        **provenance.facts,
    }
    note = Provenance(provenance.step, provenance.settings, provenance.inputs, facts)
    tensors.write_tensors(path, arrays, note)


def read_factored(path: Path, vectors_sha256: str) -> Factored:
    """The factors that ``write_factored`` wrote.

    Raises:
        InputError: not such a file, or made from other vectors.
    """
    names = [f"{kind}.{part}" for kind in ("raw", "centred") for part in FACTOR_PARTS]
    arrays, note = tensors.read_tensors(path, "sample", "neighbours", *names)
    if note.inputs.get("vectors") != vectors_sha256:
        raise InputError(f"{path}: made from other vectors than the ones given; factor them again.")
    ranks = {"raw": note.facts["rank"], "centred": note.facts["centred_rank"]}
    raw, centred = (
        Factor(
            **{part: arrays[f"{kind}.{part}"] for part in FACTOR_PARTS},
            count=note.facts["count"],
            rank=rank,
        )
        for kind, rank in ranks.items()
    )
    return Factored(raw, centred, arrays["sample"], arrays["neighbours"], note.facts["geometry"])


def write_partials(path: Path, kept: list[Moments], width: int, provenance: Provenance) -> None:
    """Write Gram matrices, sums and counts as safetensors, those of all parts side by side."""
    arrays = {
        "gram": _stacked([part.gram for part in kept], (width, width), np.float64),
        "total": _stacked([part.total for part in kept], (width,), np.float64),
        "count": np.array([part.count for part in kept], np.int64),
    }
    tensors.write_tensors(path, arrays, provenance)


def _stacked(parts: list[np.ndarray], shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """The parts along a new first axis, of which there may be none; one part is not copied."""
    if len(parts) == 1:
        return parts[0][np.newaxis]
    return np.stack(parts) if parts else np.empty((0, *shape), dtype)


def read_partials(paths: list[Path], file: VectorFile, vectors_sha256: str) -> Moments:
    """The sum of the partial Gram matrices of a file's vectors.

    Raises:
        InputError: a shard is missing or repeated, or is of other vectors.
    """
    shards = []
    for path in paths:
        arrays, note = tensors.read_tensors(path, "gram", "total", "count")
        if note.inputs.get("vectors") != vectors_sha256:
            raise InputError(f"{path}: summed from other vectors than {file.path}; sum them again.")
        columns = (arrays["gram"], arrays["total"], arrays["count"].tolist())
        shards.append(
            (note.facts["shard"], [Moments(*part) for part in zip(*columns, strict=True)])
        )
    return join(shards)
