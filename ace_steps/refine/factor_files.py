"""Files beside the refined vectors: shards' Gram matrices, the factors, map, spectrum, geometry."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from ace_steps.errors import InputError
from ace_steps.io import parquet, tensors
from ace_steps.io.provenance import Provenance
from ace_steps.refine.factor import Factor, factorize
from ace_steps.refine.geometry import SampleTaker, neighbors, raw_geometry, sample_of
from ace_steps.refine.gram import LEAVES, Moments, join_shards, select_gram_device, sum_leaves
from ace_steps.refine.methods import FactoredVectors, PreparedRefinement
from ace_steps.refine.vector_files import UniqueIds, VectorFile


@dataclass(frozen=True)
class VectorFactors:
    """Both factors of a file's unit rows, and the geometry of the rows."""

    raw: Factor
    centered: Factor  # of the unit rows minus their mean
    sample: np.ndarray  # numbers of the rows whose neighbors were looked up
    neighbors: np.ndarray  # as positions in the sample, (sample, neighbors) int32
    geometry: dict[str, float]  # measures of the unit rows by name

    def of(self, file: VectorFile) -> FactoredVectors:
        """With passes over the rows of the file: all that a refinement may know."""
        return FactoredVectors(self.raw, self.centered, lambda: (c.rows for c in file.chunks()))


def factor_file(
    file: VectorFile, *, device: str, joined: Moments | None
) -> tuple[VectorFactors, str]:
    """Both factors of a file's unit rows, the geometry of the rows, and the device used.

    One pass, O(rows x dim^2 + dim^3) time; memory for about six arrays of dim x dim, one chunk,
    the sample (20,000 rows, float32) and eight bytes an id.

    Args:
        file: The vectors.
        device: ``auto``, ``cpu`` or ``cuda``.
        joined: Moments of all rows where shards summed them up; where None they are summed here,
            in the one pass that also takes the sample for neighbors.

    Raises:
        InputError: the table is empty, an id comes twice, or a row is NaN, infinite or all zero.
    """
    n_rows = parquet.count_rows(file.path)
    if not n_rows:
        raise InputError(f"{file.path}: the table is empty; there are no item vectors to factor.")
    numbers = sample_of(n_rows)
    ids, taker = UniqueIds(file), SampleTaker(numbers)

    def observed(rows: range | None) -> Iterator[np.ndarray]:
        for chunk in file.chunks(rows):
            ids.add(chunk.ids)
            taker.add(chunk.rows)
            yield chunk.rows

    device = select_gram_device(device)
    if joined is None:
        moments = sum_leaves(range(LEAVES), n_rows, observed, dim=file.dim(), device=device)[0]
    else:
        moments = joined
        for _ in observed(None):
            pass
    ids.check()
    sample = taker.rows()
    raw = factorize(moments, center=False, device=device)
    centered = factorize(moments, center=True, device=device)
    geometry = raw_geometry(raw, centered, sample)
    return VectorFactors(raw, centered, numbers, neighbors(sample), geometry), device


def write_factors(path: Path, factors: VectorFactors, provenance: Provenance) -> None:
    """Write the factors as safetensors; ranks, count and geometry go to the provenance's facts."""
    arrays = {"sample": factors.sample.astype(np.int64), "neighbours": factors.neighbors}
    for kind, factor in (("raw", factors.raw), ("centred", factors.centered)):
        arrays[f"{kind}.singular_values"] = factor.singular_values
        arrays[f"{kind}.directions"] = factor.components
        arrays[f"{kind}.mean"] = factor.mean
        arrays[f"{kind}.total"] = factor.total
    facts = {
        "count": factors.raw.count,
        "width": len(factors.raw.mean),
        "rank": factors.raw.rank,
        "centred_rank": factors.centered.rank,
        "geometry": factors.geometry,
        **provenance.facts,
    }
    note = Provenance(provenance.step, provenance.settings, provenance.inputs, facts)
    tensors.write_tensors(path, arrays, note)


def read_factors(path: Path, vectors_sha256: str) -> VectorFactors:
    """The factors that ``write_factors`` wrote.

    Raises:
        InputError: not such a file, or made from other vectors.
    """
    parts = ("singular_values", "directions", "mean", "total")
    names = [f"{kind}.{part}" for kind in ("raw", "centred") for part in parts]
    arrays, note = tensors.read_tensors(path, "sample", "neighbours", *names)
    _require_same_vectors(path, note, vectors_sha256)
    raw, centered = (
        Factor(*(arrays[f"{kind}.{part}"] for part in parts), note.facts["count"], rank)
        for kind, rank in (("raw", note.facts["rank"]), ("centred", note.facts["centred_rank"]))
    )
    geometry = note.facts["geometry"]
    return VectorFactors(raw, centered, arrays["sample"], arrays["neighbours"], geometry)


def write_shard_moments(path: Path, parts: list[Moments], dim: int, note: Provenance) -> None:
    """Write Gram matrices, sums and counts of a shard's parts, of which there may be none."""
    arrays = {
        "gram": _stacked([part.gram for part in parts], (dim, dim)),
        "total": _stacked([part.total for part in parts], (dim,)),
        "count": np.array([part.count for part in parts], np.int64),
    }
    tensors.write_tensors(path, arrays, note)


def _stacked(parts: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """The parts along a new first axis; a single one is not copied."""
    if len(parts) == 1:
        return parts[0][np.newaxis]
    return np.stack(parts) if parts else np.empty((0, *shape))


def read_shard_moments(paths: list[Path], vectors_sha256: str) -> Moments:
    """The sum over the shards of a file's vectors.

    Raises:
        InputError: a shard is missing or repeated, or is of other vectors.
    """
    shards = []
    for path in paths:
        arrays, note = tensors.read_tensors(path, "gram", "total", "count")
        _require_same_vectors(path, note, vectors_sha256)
        columns = (arrays["gram"], arrays["total"], arrays["count"].tolist())
        shards.append((note.facts["shard"], list(map(Moments, *columns))))
    return join_shards(shards)


def _require_same_vectors(path: Path, note: Provenance, vectors_sha256: str) -> None:
    if note.inputs.get("vectors") != vectors_sha256:
        raise InputError(f"{path}: made from other vectors than the ones given; make it again.")


def write_map(path: Path, prepared: PreparedRefinement, gain: np.ndarray, note: Provenance) -> None:
    """Write the linear map; where there is none, spectrum and gain alone."""
    if prepared.map is not None:
        prepared.map.save(path, note)
    else:
        tensors.write_tensors(path, {"spectrum": prepared.spectrum, "gain": gain}, note)


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
    rows = [
        {**run, "measure": measure, "stage": stage, "value": float(value)}
        for stage, measures in stages.items()
        for measure, value in measures.items()
    ]
    return pl.DataFrame(rows)
