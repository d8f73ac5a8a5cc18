r"""Refine the vectors of new items with a map that was fitted before, without a new solve.

python -m ace_steps.steps.fold_in_items --vectors new_vectors.parquet \
    --map refinement.safetensors --refined new_refined.parquet
"""

from pathlib import Path
from typing import Annotated

from ace_steps.command import log, main_of
from ace_steps.io.provenance import Provenance, digests
from ace_steps.refine.files import VectorFile, fold_in
from ace_steps.refine.refinement import Refinement


def run(
    *,
    vectors: Annotated[Path, "vectors of the new items"],
    map: Annotated[Path, "what refine_vectors wrote"],
    refined: Annotated[Path, "item_vectors to write"],
    id_column: Annotated[str, "column of ids"] = "item_id",
    vector_column: Annotated[str, "column of vectors"] = "vector",
) -> None:
    """Stream the vectors through the map."""
    refinement = Refinement.load(map)
    note = Provenance("fold_in_items", {}, digests(vectors=vectors, map=map), refinement.facts)
    file = VectorFile(vectors, id_column, vector_column)
    n_items = fold_in(refined, file, refinement, note)
    log.info("folded in %d items to dim %d", n_items, refinement.weights.shape[1])


main = main_of(run)

if __name__ == "__main__":
    raise SystemExit(main())
