"""What refining writes: refined vectors, their map, spectrum and geometry tables."""

from pathlib import Path

import numpy as np
import polars as pl

from ace_steps.errors import InputError
from ace_steps.io import tensors
from ace_steps.io.provenance import Provenance
from ace_steps.io.vectors import vector_writer
from ace_steps.refine.artifacts import Factored, UniqueIds, VectorFile
from ace_steps.refine.measures import RefinedGeometry
from ace_steps.refine.methods import plan
from ace_steps.refine.plan import Plan, Source
from ace_steps.refine.refinement import Refinement
from ace_steps.settings import Settings


def plan_for(settings: Settings, factored: Factored, file: VectorFile) -> Plan:
    """The refinement that the settings name, planned for a file's vectors."""
    source = Source(factored.raw, factored.centred, lambda: (c.rows for c in file.chunks()))
    return plan(settings, source)


def write_refined(
    path: Path, plan: Plan, factored: Factored, file: VectorFile, note: Provenance
) -> tuple[dict[str, float], np.ndarray]:
    """Stream a file's vectors through a plan into an item_vectors table.

    Returns:
        The refined rows' geometry and gains.

    Raises:
        InputError: an id comes twice, or a row is NaN, infinite or all zero.
    """
    ids, geometry, refine = UniqueIds(file), RefinedGeometry(plan, factored.sample), plan.start()
    with vector_writer(path, "item_vectors", plan.width, np.float32, note) as writer:
        for chunk in file.chunks():
            ids.add(chunk.ids)
            rows = refine(chunk.rows)
            geometry.add(rows)
            writer.write({"item": chunk.index, "item_id": chunk.ids}, rows)
        ids.check()
    return geometry.measure(factored.neighbours)


def write_folded(path: Path, refinement: Refinement, file: VectorFile, note: Provenance) -> int:
    """Stream a file's vectors through a map into an item_vectors table; the number of rows.

    Raises:
        InputError: the file is empty or its vectors have another width than the map's, an id comes
            twice, or a row is NaN, infinite or all zero.
    """
    width_in, width = refinement.weights.shape
    found = file.width()
    if found != width_in:
        raise InputError(
            f"{file.path}: vectors of width {found} were given, but this refinement takes "
            f"{width_in}."
        )
    ids, n_rows = UniqueIds(file), 0
    with vector_writer(path, "item_vectors", width, np.float32, note) as writer:
        for chunk in file.chunks():
            ids.add(chunk.ids)
            writer.write({"item": chunk.index, "item_id": chunk.ids}, refinement.apply(chunk.rows))
            n_rows += len(chunk.rows)
        ids.check()
    return n_rows


def write_map(path: Path, plan: Plan, gain: np.ndarray, note: Provenance) -> None:
    """Write the plan's linear map; where it has none, its spectrum and gain alone."""
    if plan.map is not None:
        plan.map.save(path, note)
    else:
        tensors.write_tensors(path, {"spectrum": plan.spectrum, "gain": gain}, note)


def spectrum_table(run: dict[str, str], plan: Plan, gain: np.ndarray) -> pl.DataFrame:
    """Rows of the table ``spectrum``; 0 stands where a spectrum has ended."""
    n = max(len(plan.spectrum), len(gain))
    columns = {
        "component": np.arange(1, n + 1, dtype=np.int32),
        "singular_value": np.pad(plan.spectrum, (0, n - len(plan.spectrum))),
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
