r"""Join vectors that were made elsewhere to the items, by the items' raw ids.

python -m ace_steps.steps.import_vectors --items items.parquet --vectors item_vectors.parquet \
    --settings '{"vectors": "mine.parquet", "id_column": "asin", "vector_column": "embedding"}'
"""

import logging
from pathlib import Path

import numpy as np

from ace_steps import command
from ace_steps.embed.precomputed import join_vectors
from ace_steps.embed.settings import PrecomputedSettings
from ace_steps.io.parquet import read_table
from ace_steps.io.provenance import Provenance, digests
from ace_steps.io.tables import ITEMS
from ace_steps.io.vectors import vector_writer
from ace_steps.settings import parse

log = logging.getLogger(__name__)


def run(*, items: Path, settings: str, vectors: Path) -> None:
    """Read the items, look their vectors up in the caller's file, write them."""
    wanted = parse(PrecomputedSettings, settings, "--settings")
    joined = join_vectors(read_table(items, ITEMS), wanted, scratch_folder=vectors.parent)
    dim = joined.matrix.shape[1]
    note = Provenance(
        step="import_vectors",
        settings={"missing_items": wanted.missing_items},
        inputs=digests(items=items, own=wanted.files()),
        facts={"model": None, "dim": dim, "zero_items": joined.n_missing},
    )
    with vector_writer(vectors, "item_vectors", dim, np.float32, note) as writer:
        for piece in joined.pieces():
            keys = {"item": piece.index, "item_id": piece.ids.to_arrow()}
            writer.write(keys, piece.matrix)
    log.info(
        "%d items of dim %d from %s; %d without a vector, %d vectors of no item",
        *(len(joined.items), dim, wanted.vectors, joined.n_missing, joined.n_unused),
    )


def main(argv: list[str] | None = None) -> int:
    """Parse the options and run the step; the exit code."""
    options = command.parser(__doc__)
    options.add_argument("--items", type=Path, required=True, help="table items")
    options.add_argument("--settings", required=True, help="the file and its columns, as JSON")
    options.add_argument("--vectors", type=Path, required=True, help="item_vectors to write")
    return command.execute(run, options.parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())
