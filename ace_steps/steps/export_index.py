r"""Write item vectors and user queries of a training, for a vector index by inner product.

python -m ace_steps.steps.export_index --interactions interactions.parquet \
    --items items.parquet --user-table users.parquet --vectors item_vectors.parquet \
    --weights best.safetensors --settings '{"model": "sasrec"}' --dataset ml-100k \
    --encoder smollm2 --refinement ace --backbone sasrec --seed 1 \
    --index-items index_items.parquet --index-queries index_queries.parquet
"""

from pathlib import Path
from typing import Annotated

import numpy as np

from ace_steps.command import log, main_of
from ace_steps.io.files import published_together
from ace_steps.io.vectors import vector_writer
from ace_steps.runtime import peak_memory_mb
from ace_steps.serving.model import ServingOptions, read_model
from ace_steps.serving.recommend import item_pieces, user_pieces


def run(
    *,
    index_items: Annotated[Path, "item_vectors to write"],
    index_queries: Annotated[Path, "query_vectors to write"],
    options: ServingOptions,
) -> None:
    """Read tables and weights, write both tables of vectors in pieces."""
    model = read_model("export_index", {}, options)
    scored = model.scored_items()
    dim = scored.shape[1]
    with published_together():
        with vector_writer(index_items, "item_vectors", dim, np.float32, model.note) as writer:
            for keys, matrix in item_pieces(model, scored):
                writer.write(keys, matrix)
        with vector_writer(index_queries, "query_vectors", dim, np.float32, model.note) as writer:
            for keys, matrix in user_pieces(model, scored):
                writer.write(keys, matrix)
    counts = (len(model.item_ids), len(model.users.ids), dim, peak_memory_mb())
    log.info("exported %d items and %d queries of dim %d, %.0f MB", *counts)


main = main_of(run)

if __name__ == "__main__":
    raise SystemExit(main())
