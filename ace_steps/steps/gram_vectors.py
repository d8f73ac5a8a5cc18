r"""Sum up one shard of item vectors: their Gram matrix, sum and count.

python -m ace_steps.steps.gram_vectors --vectors item_vectors.parquet --shard 2-of-4 \
    --gram 2-of-4.safetensors
"""

import logging
from pathlib import Path

from ace_steps import command
from ace_steps.io import parquet
from ace_steps.io.provenance import Provenance, digests
from ace_steps.refine.algebra import algebra
from ace_steps.refine.artifacts import VectorFile, add_columns, write_partials
from ace_steps.refine.partial import leaves_of, sum_leaves
from ace_steps.runtime import DEVICES

log = logging.getLogger(__name__)


def run(
    *, vectors: Path, shard: str, gram: Path, device: str, id_column: str, vector_column: str
) -> None:
    """Stream the shard's rows, scaled to length 1, through the sums of its leaves."""
    n_rows, leaves = parquet.count_rows(vectors), leaves_of(shard)
    file = VectorFile(vectors, id_column, vector_column)
    dim = file.width()
    used = algebra(device, dim)
    kept = sum_leaves(
        leaves, n_rows, used.new_sum, lambda rows: (c.rows for c in file.chunks(rows))
    )
    count = sum(part.count for part in kept)
    facts = {"shard": shard, "device": used.device, "count": count}
    note = Provenance("gram_vectors", {}, digests(vectors=vectors), facts)
    write_partials(gram, kept, dim, note)
    log.info("summed shard %s: %d rows of dim %d", shard, count, dim)


def main(argv: list[str] | None = None) -> int:
    """Parse the options and run the step; the exit code."""
    options = command.parser(__doc__)
    options.add_argument("--vectors", type=Path, required=True, help="table item_vectors")
    options.add_argument("--shard", required=True, help="which rows, e.g. 2-of-4")
    options.add_argument("--gram", type=Path, required=True, help="partial sums to write")
    options.add_argument("--device", choices=DEVICES, default="auto", help="where to compute")
    add_columns(options)
    return command.execute(run, options.parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())
