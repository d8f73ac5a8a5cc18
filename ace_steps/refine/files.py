"""Files of the refinement: vectors streamed from Parquet, shards' sums, factors, results."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import polars as pl

from ace_steps.errors import InputError
from ace_steps.io.parquet import count_rows, open_parquet
from ace_steps.io.provenance import METADATA_KEY, Provenance
from ace_steps.io.shards import parse_shard, require_all_shards
from ace_steps.io.tensors import read_tensors, write_tensors
from ace_steps.io.vectors import Vectors, iter_vectors, vector_writer
from ace_steps.refine.factor import Factor, factorize
from ace_steps.refine.geometry import SampleTaker, neighbors, raw_geometry, sample_of
from ace_steps.refine.gram import LEAVES, Moments, select_gram_device, sum_leaves
from ace_steps.refine.methods import PreparedRefinement
from ace_steps.refine.refinement import Refinement, chunk_rows, unit_rows

FACTOR_TENSORS = {  # name in the file: attribute of ``Factor``
    "singular_values": "singular_values",
    "directions": "components",
    "mean": "mean",
    "total": "total",
}


@dataclass(frozen=True)
class VectorFile:
    """A Parquet file of vectors, written by this package or another program."""

    path: Path
    id_column: str
    vector_column: str

    def dim(self) -> int:
        """Entries of the first vector; 0 where there is none."""
        return next((piece.matrix.shape[1] for piece in self._pieces(1, range(1))), 0)

    def chunks(self, rows: range | None = None) -> Iterator[Vectors]:
        """Unit rows in float64 in file order, about 32 MB at once, or those of a range of rows.

        Raises:
            InputError: the file cannot be used, or a row is NaN, infinite, or zero where
                import_vectors put no zeros in the place of missing vectors.
        """
        first = rows.start if rows else 0
        zeros = self._has_zero_items()
        where = f"{self.path}: column '{self.vector_column}'"
        for piece in self._pieces(chunk_rows(self.dim()), rows):
            unit = unit_rows(piece.matrix, ids=piece.ids, first=first, where=where, zeros=zeros)
            by_position = np.arange(first + 1, first + 1 + len(unit), dtype=np.int32)
            yield Vectors(by_position if piece.index is None else piece.index, piece.ids, unit)
            first += len(unit)

    def unit_rows(self, rows: range | None = None) -> Iterator[np.ndarray]:
        """The matrices of ``chunks``."""
        return (chunk.matrix for chunk in self.chunks(rows))

    def check_ids(self) -> None:
        """Refuse a file with an id that is null or that comes twice; all ids are held at once."""
        with open_parquet(self.path) as file:
            ids = pl.from_arrow(file.read([self.id_column])).to_series()
        where = f"{self.path}: column '{self.id_column}'"
        if ids.null_count():
            raise InputError(f"{where} is null in row {ids.is_null().arg_max()}.")
        twice = ids.filter(ids.is_duplicated()).unique(maintain_order=True)
        if len(twice):
            raise InputError(
                f"{where} holds '{twice[0]}' more than once; {len(twice)} such ids, but each item "
                "needs one vector."
            )

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


@dataclass(frozen=True)
class VectorFactors:
    """Both factors of a file's unit rows, and the geometry of the rows."""

    raw: Factor
    centered: Factor  # of the unit rows minus their mean
    sample: np.ndarray  # numbers of the rows whose neighbors were looked up
    neighbors: np.ndarray  # as positions in the sample, (sample, neighbors) int32
    geometry: dict[str, float]  # measures of the unit rows by name


def factor_file(
    file: VectorFile, *, device: str, joined: Moments | None
) -> tuple[VectorFactors, str]:
    """Both factors of a file's unit rows, the geometry of the rows, and the device used.

    One pass, O(rows x dim^2 + dim^3) time; memory for about six arrays of dim x dim, one chunk,
    the sample (20,000 rows, float32) and the ids. ``joined`` are the moments of all rows where
    shards summed them up; where None they are summed in the pass that takes the sample.

    Raises:
        InputError: the table is empty, an id comes twice, or a row is NaN, infinite or all zero.
    """
    n_rows, dim = count_rows(file.path), file.dim()
    if not n_rows:
        raise InputError(f"{file.path}: the table is empty; there are no item vectors to factor.")
    file.check_ids()
    numbers = sample_of(n_rows)
    taker = SampleTaker(numbers)

    def sampled(rows: range | None = None) -> Iterator[np.ndarray]:
        for unit in file.unit_rows(rows):
            taker.add(unit)
            yield unit

    device, moments = select_gram_device(device), joined
    if moments is None:
        moments = sum_leaves(range(LEAVES), n_rows, sampled, dim=dim, device=device)[0]
    else:
        for _ in sampled():
            pass
    sample = taker.rows()
    raw = factorize(moments, center=False, device=device)
    centered = factorize(moments, center=True, device=device)
    geometry = raw_geometry(raw, centered, sample)
    return VectorFactors(raw, centered, numbers, neighbors(sample), geometry), device


def write_factors(path: Path, factors: VectorFactors, provenance: Provenance) -> None:
    """Write the factors as safetensors; ranks, count and geometry go to the provenance's facts."""
    arrays = {"sample": factors.sample.astype(np.int64), "neighbours": factors.neighbors}
    for kind, factor in (("raw", factors.raw), ("centred", factors.centered)):
        arrays |= {f"{kind}.{name}": getattr(factor, part) for name, part in FACTOR_TENSORS.items()}
    facts = {
        "count": factors.raw.count,
        "width": len(factors.raw.mean),
        "rank": factors.raw.rank,
        "centred_rank": factors.centered.rank,
        "geometry": factors.geometry,
    }
    write_tensors(path, arrays, replace(provenance, facts=facts | provenance.facts))


def read_factors(path: Path, vectors_sha256: str) -> VectorFactors:
    """The factors that ``write_factors`` wrote.

    Raises:
        InputError: not such a file, or made from other vectors.
    """
    names = [f"{kind}.{part}" for kind in ("raw", "centred") for part in FACTOR_TENSORS]
    arrays, note = read_tensors(path, "sample", "neighbours", *names)
    _require_same_vectors(path, note, vectors_sha256)
    facts = note.facts
    raw, centered = (
        Factor(*(arrays[f"{kind}.{part}"] for part in FACTOR_TENSORS), facts["count"], rank)
        for kind, rank in (("raw", facts["rank"]), ("centred", facts["centred_rank"]))
    )
    return VectorFactors(raw, centered, arrays["sample"], arrays["neighbours"], facts["geometry"])


def write_shard_moments(path: Path, parts: list[Moments], dim: int, note: Provenance) -> None:
    """Write Gram matrices, sums and counts of a shard's parts, of which there may be none."""
    n = len(parts)
    arrays = {
        "gram": np.array([part.gram for part in parts]).reshape(n, dim, dim),
        "total": np.array([part.total for part in parts]).reshape(n, dim),
        "count": np.array([part.count for part in parts], np.int64),
    }
    write_tensors(path, arrays, note)


def read_shard_moments(paths: Sequence[Path], vectors_sha256: str) -> Moments:
    """The sum over the shards of a file's vectors, leaf after leaf, whatever the order of paths.

    Raises:
        InputError: a shard is missing or repeated, or is of other vectors.
    """
    shards = []
    for path in paths:
        arrays, note = read_tensors(path, "gram", "total", "count")
        _require_same_vectors(path, note, vectors_sha256)
        shards.append((note.facts["shard"], arrays))
    require_all_shards([shard for shard, _ in shards])
    shards.sort(key=lambda shard: parse_shard(shard[0]))
    leaves = (
        Moments(arrays["gram"][i], arrays["total"][i], count)
        for _, arrays in shards
        for i, count in enumerate(arrays["count"].tolist())
    )
    return reduce(add, leaves)


def _require_same_vectors(path: Path, note: Provenance, vectors_sha256: str) -> None:
    if note.inputs.get("vectors") != vectors_sha256:
        raise InputError(f"{path}: made from other vectors than the ones given; make it again.")


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
        file: The vectors, their ids checked.
        refine: Turns unit rows into refined rows of ``dim`` entries, both float64.
        dim: Entries of a refined row.
        note: How the table is made.
        observe: Called with the refined rows of each chunk.
    """
    n_rows = 0
    with vector_writer(path, "item_vectors", dim, np.float32, note) as writer:
        for chunk in file.chunks():
            rows = refine(chunk.matrix)
            observe(rows)
            writer.write({"item": chunk.index, "item_id": chunk.ids}, rows)
            n_rows += len(rows)
    return n_rows


def fold_in(path: Path, file: VectorFile, refinement: Refinement, note: Provenance) -> int:
    """``write_refined`` by a map that was fitted before, for vectors of its dim."""
    dim_in, dim = refinement.weights.shape
    if file.dim() != dim_in:
        raise InputError(
            f"{file.path}: expected vectors of dim {dim_in}, which this refinement takes, got "
            f"{file.dim()}."
        )
    file.check_ids()
    return write_refined(path, file, refinement.apply, dim=dim, note=note)


def write_map(path: Path, prepared: PreparedRefinement, gain: np.ndarray, note: Provenance) -> None:
    """Write the linear map; where there is none, spectrum and gain alone."""
    if prepared.map is not None:
        prepared.map.save(path, note)
    else:
        write_tensors(path, {"spectrum": prepared.spectrum, "gain": gain}, note)


def spectrum_table(run: dict[str, str], spectrum: np.ndarray, gain: np.ndarray) -> pl.DataFrame:
    """Rows of the table ``spectrum``; 0 stands where a spectrum has ended."""
    n = max(len(spectrum), len(gain))
    columns = {
        "component": np.arange(1, n + 1, dtype=np.int32),
        "singular_value": np.pad(spectrum, (0, n - len(spectrum))),
        "gain": np.pad(gain, (0, n - len(gain))),
    }
    return pl.DataFrame(columns).with_columns(**{k: pl.lit(v) for k, v in run.items()})


def geometry_table(run: dict[str, str], stages: dict[str, dict[str, float]]) -> pl.DataFrame:
    """Rows of the table ``geometry``, from measures by stage."""
    return pl.DataFrame(
        {**run, "measure": measure, "stage": stage, "value": float(value)}
        for stage, measures in stages.items()
        for measure, value in measures.items()
    )
