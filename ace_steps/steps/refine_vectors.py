r"""Refine item vectors in closed form, from their factor.

python -m ace_steps.steps.refine_vectors --vectors item_vectors.parquet \
    --factor factor.safetensors --dataset beauty --encoder smollm2 --refinement ace \
    --settings '{"method": "ace", "lambda": 5}' \
    --refined refined.parquet --map refinement.safetensors --spectrum spectrum.parquet \
    --geometry geometry.parquet
"""

import logging
from pathlib import Path

from ace_steps import command
from ace_steps.io import parquet
from ace_steps.io.files import published_together
from ace_steps.io.provenance import Provenance, digests
from ace_steps.io.tables import GEOMETRY, SPECTRUM
from ace_steps.refine import outputs
from ace_steps.refine.artifacts import VectorFile, add_columns, read_factored
from ace_steps.refine.methods import parse_settings

log = logging.getLogger(__name__)


def run(
    *,
    vectors: Path,
    factor: Path,
    settings: str,
    dataset: str,
    encoder: str,
    refinement: str,
    refined: Path,
    map: Path,
    spectrum: Path,
    geometry: Path,
    id_column: str,
    vector_column: str,
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


def main(argv: list[str] | None = None) -> int:
    """Parse the options and run the step; the exit code."""
    options = command.parser(__doc__)
    options.add_argument("--vectors", type=Path, required=True, help="table item_vectors")
    options.add_argument("--factor", type=Path, required=True, help="what factor_vectors wrote")
    options.add_argument("--settings", required=True, help="the refinement's settings, JSON")
    command.add_identity(options, "dataset", "encoder", "refinement")
    options.add_argument("--refined", type=Path, required=True, help="item_vectors to write")
    options.add_argument("--map", type=Path, required=True, help="linear map to write")
    options.add_argument("--spectrum", type=Path, required=True, help="table spectrum to write")
    options.add_argument("--geometry", type=Path, required=True, help="table geometry to write")
    add_columns(options)
    return command.execute(run, options.parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())
