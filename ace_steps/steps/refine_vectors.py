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
from ace_steps.refine import outputs
from ace_steps.refine.artifacts import VectorFile, read_factored
from ace_steps.refine.methods import parse_settings


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
    """Plan the refinement, stream the vectors through it, write what it gave."""
    chosen = parse_settings(settings, "--settings")
    inputs = digests(vectors=vectors, factor=factor)
    factored = read_factored(factor, inputs["vectors"])
    file = VectorFile(vectors, id_column, vector_column)
    plan = outputs.plan_for(chosen, factored, file)
    facts = {"method": chosen.method, "item_encoder": plan.item_encoder, **plan.facts}
    note = Provenance("refine_vectors", chosen.as_json(), inputs, facts)
    run = {"dataset": dataset, "encoder": encoder, "refinement": refinement}
    with published_together():
        measures, gain = outputs.write_refined(refined, plan, factored, file, note)
        outputs.write_map(map, plan, gain, note)
        parquet.write_table(outputs.spectrum_table(run, plan, gain), SPECTRUM, spectrum, note)
        stages = {"raw": factored.geometry, "refined": measures}
        parquet.write_table(outputs.geometry_table(run, stages), GEOMETRY, geometry, note)
    found = {**plan.facts, **measures}
    log.info(
        "%s: %d vectors to dim %d; %s",
        *(refinement, factored.raw.count, plan.width),
        ", ".join(f"{name} {value:.4g}" for name, value in found.items()),
    )


main = main_of(run)

if __name__ == "__main__":
    raise SystemExit(main())
