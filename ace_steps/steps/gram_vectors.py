r"""Sum up one shard of item vectors: their Gram matrix, sum and count.

python -m ace_steps.steps.gram_vectors --vectors item_vectors.parquet --shard 2-of-4 \
    --gram 2-of-4.safetensors
"""

from pathlib import Path
from typing import Annotated, Literal

from ace_steps.command import log, main_of
from ace_steps.io import parquet
from ace_steps.io.provenance import Provenance, digests
from ace_steps.refine.files import VectorFile, write_shard_moments
from ace_steps.refine.gram import leaves_of, select_gram_device, sum_leaves
from ace_steps.runtime import DEVICES


def run(
    *,
    vectors: Annotated[Path, "table item_vectors"],
    shard: Annotated[str, "which rows, e.g. 2-of-4"],
    gram: Annotated[Path, "partial sums to write"],
    device: Annotated[Literal[*DEVICES], "where to compute"] = "auto",
    id_column: Annotated[str, "column of ids"] = "item_id",
    vector_column: Annotated[str, "column of vectors"] = "vector",
) -> None:
    """Stream the shard's rows, scaled to length 1, through the sums of its leaves."""
    n_rows, leaves = parquet.count_rows(vectors), leaves_of(shard)
    file = VectorFile(vectors, id_column, vector_column)
    dim = file.dim()
    device = select_gram_device(device)
    parts = sum_leaves(leaves, n_rows, file.unit_rows, dim=dim, device=device)
    count = sum(part.count for part in parts)
    facts = {"shard": shard, "device": device, "count": count}
    note = Provenance("gram_vectors", {}, digests(vectors=vectors), facts)
    write_shard_moments(gram, parts, dim, note)
    log.info("summed shard %s: %d rows of dim %d", shard, count, dim)


main = main_of(run)

if __name__ == "__main__":
    raise SystemExit(main())
