r"""Join vectors that were made elsewhere to the items, by the items' raw ids.

python -m ace_steps.steps.import_vectors --items items.parquet --vectors item_vectors.parquet \
    --settings '{"vectors": "mine.parquet", "id_column": "asin", "vector_column": "embedding"}'
"""

from pathlib import Path
from typing import Annotated

import numpy as np

from ace_steps.command import log, main_of
from ace_steps.embed.precomputed import join_vectors
from ace_steps.embed.settings import PrecomputedSettings
from ace_steps.io.parquet import read_table
from ace_steps.io.provenance import Provenance, digests
from ace_steps.io.tables import ITEMS
from ace_steps.io.vectors import vector_writer
from ace_steps.settings import parse


def run(
    *,
    items: Annotated[Path, "table items"],
    settings: Annotated[str, "the file and its columns, as JSON"],
    vectors: Annotated[Path, "item_vectors to write"],
) -> None:
    """Read the items, look their vectors up in the caller's file, write them."""
    source = parse(PrecomputedSettings, settings, "--settings")
    joined = join_vectors(read_table(items, ITEMS), source, scratch_folder=vectors.parent)
    dim = joined.matrix.shape[1]
    note = Provenance(
        step="import_vectors",
        settings={"missing_items": source.missing_items},
        inputs=digests(items=items, own=source.files()),
        facts={"model": None, "dim": dim, "zero_items": joined.n_missing},
    )
    with vector_writer(vectors, "item_vectors", dim, np.float32, note) as writer:
        for piece in joined.pieces():
            keys = {"item": piece.index, "item_id": piece.ids.to_arrow()}
            writer.write(keys, piece.matrix)
    log.info(
        "%d items of dim %d from %s; %d without a vector, %d vectors of no item",
        *(len(joined.items), dim, source.vectors, joined.n_missing, joined.n_unused),
    )


main = main_of(run)

if __name__ == "__main__":
    raise SystemExit(main())
