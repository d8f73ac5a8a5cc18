r"""Write item vectors and user queries of a training, for a vector index by inner product.

python -m ace_steps.steps.export_index --interactions interactions.parquet \
    --items items.parquet --user-table users.parquet --vectors item_vectors.parquet \
    --weights best.safetensors --settings '{"model": "sasrec"}' --dataset ml-100k \
    --encoder smollm2 --refinement ace --backbone sasrec --seed 1 \
    --index-items index_items.parquet --index-queries index_queries.parquet
"""

import logging
from pathlib import Path

import numpy as np

from ace_steps import command
from ace_steps.io.files import published_together
from ace_steps.io.vectors import vector_writer
from ace_steps.runtime import peak_memory_mb
from ace_steps.serving.asking import add_options, ask
from ace_steps.serving.lists import item_pieces, user_pieces

log = logging.getLogger(__name__)


def run(*, index_items: Path, index_queries: Path, **asked_for: object) -> None:
    """Read tables and weights, write both tables of vectors in pieces."""
    trained, asked, note = ask("export_index", {}, **asked_for)
    scored = trained.scored_items()
    dim = scored.shape[1]
    with published_together():
        with vector_writer(index_items, "item_vectors", dim, np.float32, note) as writer:
            for keys, matrix in item_pieces(scored, trained.item_ids):
                writer.write(keys, matrix)
        with vector_writer(index_queries, "query_vectors", dim, np.float32, note) as writer:
            for keys, matrix in user_pieces(trained, asked, scored):
                writer.write(keys, matrix)
    found = (len(trained.item_ids), len(asked.user_ids), dim, peak_memory_mb())
    log.info("exported %d items and %d queries of dim %d, %.0f MB", *found)


def main(argv: list[str] | None = None) -> int:
    """Parse the options and run the step; the exit code."""
    options = command.parser(__doc__)
    add_options(options)
    options.add_argument("--index-items", type=Path, required=True, help="item_vectors to write")
    options.add_argument("--index-queries", type=Path, required=True, help="query_vectors to write")
    return command.execute(run, options.parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())
