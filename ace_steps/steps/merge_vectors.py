r"""Join the shards' text vectors to the items: one vector per item.

python -m ace_steps.steps.merge_vectors --items items.parquet \
    --shards shards/1-of-2.parquet shards/2-of-2.parquet --vectors item_vectors.parquet
"""

from pathlib import Path
from typing import Annotated

import numpy as np

from ace_steps.command import log, main_of
from ace_steps.embed.merge import merged_facts, vectors_of_items
from ace_steps.io.parquet import read_table
from ace_steps.io.provenance import Provenance, digests
from ace_steps.io.tables import ITEMS
from ace_steps.io.vectors import vector_writer


def run(
    *,
    items: Annotated[Path, "table items"],
    shards: Annotated[list[Path], "every text_vectors file of the whole"],
    vectors: Annotated[Path, "item_vectors to write"],
) -> None:
    """Check that the shards belong together, join them to the items, write."""
    settings, facts = merged_facts(shards)
    table = read_table(items, ITEMS)
    # Nothing of the shards: the table is the same however many there were.
    note = Provenance("merge_vectors", settings, digests(items=items), facts)
    dim = facts["dim"]
    with vector_writer(vectors, "item_vectors", dim, np.float32, note) as writer:
        for piece in vectors_of_items(table, shards, dim, scratch_folder=vectors.parent):
            keys = {"item": piece.index, "item_id": piece.ids.to_arrow()}
            writer.write(keys, piece.matrix)
    log.info(
        "joined %d text vectors of dim %d from %d shards to %d items",
        *(facts["n_texts"], dim, len(shards), len(table)),
    )


main = main_of(run)

if __name__ == "__main__":
    raise SystemExit(main())
