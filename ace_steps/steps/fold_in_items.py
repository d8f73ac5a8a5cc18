r"""Refine the vectors of new items with a map that was fitted before, without a new solve.

python -m ace_steps.steps.fold_in_items --vectors new_vectors.parquet \
    --map refinement.safetensors --refined new_refined.parquet
"""

import logging
from pathlib import Path

from ace_steps import command
from ace_steps.io.provenance import Provenance, digests
from ace_steps.refine import outputs
from ace_steps.refine.artifacts import VectorFile, add_columns
from ace_steps.refine.refinement import Refinement

log = logging.getLogger(__name__)


def run(*, vectors: Path, map: Path, refined: Path, id_column: str, vector_column: str) -> None:
    """Stream the vectors through the map."""
    refinement = Refinement.load(map)
    note = Provenance("fold_in_items", {}, digests(vectors=vectors, map=map), refinement.facts)
    file = VectorFile(vectors, id_column, vector_column)
    n_items = outputs.write_folded(refined, refinement, file, note)
    log.info("folded in %d items to dim %d", n_items, refinement.weights.shape[1])


def main(argv: list[str] | None = None) -> int:
    """Parse the options and run the step; the exit code."""
    options = command.parser(__doc__)
    options.add_argument("--vectors", type=Path, required=True, help="vectors of the new items")
    options.add_argument("--map", type=Path, required=True, help="what refine_vectors wrote")
    options.add_argument("--refined", type=Path, required=True, help="item_vectors to write")
    add_columns(options)
    return command.execute(run, options.parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())
