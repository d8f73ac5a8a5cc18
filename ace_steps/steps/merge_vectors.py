r"""Join the shards' text vectors to the items: one vector per item.

python -m ace_steps.steps.merge_vectors --items items.parquet \
    --shards shards/1-of-2.parquet shards/2-of-2.parquet --vectors item_vectors.parquet
"""

import logging
from pathlib import Path

import numpy as np

from ace_steps import command
from ace_steps.embed.merge import merged_facts, vectors_of_items
from ace_steps.io.parquet import read_table
from ace_steps.io.provenance import Provenance, digests
from ace_steps.io.tables import ITEMS
from ace_steps.io.vectors import vector_writer

log = logging.getLogger(__name__)


def run(*, items: Path, shards: list[Path], vectors: Path) -> None:
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


def main(argv: list[str] | None = None) -> int:
    """Parse the options and run the step; the exit code."""
    options = command.parser(__doc__)
    options.add_argument("--items", type=Path, required=True, help="table items")
    options.add_argument(
        "--shards", type=Path, nargs="+", required=True, help="every text_vectors file of the whole"
    )
    options.add_argument("--vectors", type=Path, required=True, help="item_vectors to write")
    return command.execute(run, options.parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())
