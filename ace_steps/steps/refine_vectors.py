r"""Refine item vectors in closed form, from their factor.

python -m ace_steps.steps.refine_vectors --vectors item_vectors.parquet \
    --factor factor.safetensors --dataset beauty --encoder smollm2 --refinement ace \
    --settings '{"method": "ace", "lambda": 5}' \
    --refined refined.parquet --map refinement.safetensors --spectrum spectrum.parquet \
    --geometry geometry.parquet
"""

from pathlib import Path
from typing import Annotated

from ace_steps.command import log, main_of
from ace_steps.io import parquet
from ace_steps.io.files import published_together
from ace_steps.io.provenance import Provenance, digests
from ace_steps.io.tables import GEOMETRY, SPECTRUM
from ace_steps.refine.files import (
    VectorFile,
    geometry_table,
    read_factors,
    spectrum_table,
    write_map,
    write_refined,
)
from ace_steps.refine.geometry import RefinedGeometry
from ace_steps.refine.methods import FactoredVectors, parse_settings, prepare


def run(
    *,
    vectors: Annotated[Path, "table item_vectors"],
    factor: Annotated[Path, "what factor_vectors wrote"],
    settings: Annotated[str, "the refinement's settings, JSON"],
    dataset: Annotated[str, "the run's dataset"],
    encoder: Annotated[str, "the run's encoder"],
    refinement: Annotated[str, "the run's refinement"],
    refined: Annotated[Path, "item_vectors to write"],
    map: Annotated[Path, "linear map to write"],
    spectrum: Annotated[Path, "table spectrum to write"],
    geometry: Annotated[Path, "table geometry to write"],
    id_column: Annotated[str, "column of ids"] = "item_id",
    vector_column: Annotated[str, "column of vectors"] = "vector",
) -> None:
    """Prepare the refinement, stream the vectors through it, write its tables."""
    chosen = parse_settings(settings, "--settings")
    inputs = digests(vectors=vectors, factor=factor)
    factors = read_factors(factor, inputs["vectors"])
    file = VectorFile(vectors, id_column, vector_column)
    prepared = prepare(chosen, FactoredVectors(factors.raw, factors.centered, file.unit_rows))
    facts = {"method": chosen.method, "item_encoder": prepared.item_encoder, **prepared.facts}
    note = Provenance("refine_vectors", chosen.as_json(), inputs, facts)
    run = {"dataset": dataset, "encoder": encoder, "refinement": refinement}
    with published_together():
        observer = RefinedGeometry(prepared, factors.sample)
        write_refined(
            refined, file, prepared.apply, dim=prepared.dim, note=note, observe=observer.add
        )
        measures, gain = observer.measure(factors.neighbors)
        write_map(map, prepared, gain, note)
        table = spectrum_table(run, prepared.spectrum, gain)
        parquet.write_table(table, SPECTRUM, spectrum, note)
        table = geometry_table(run, {"raw": factors.geometry, "refined": measures})
        parquet.write_table(table, GEOMETRY, geometry, note)
    log.info(
        "%s: %d vectors to dim %d; %s",
        *(refinement, factors.raw.count, prepared.dim),
        ", ".join(f"{name} {value:.4g}" for name, value in (prepared.facts | measures).items()),
    )


main = main_of(run)

if __name__ == "__main__":
    raise SystemExit(main())
