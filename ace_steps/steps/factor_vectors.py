r"""Factor item vectors once: singular values and vectors, mean and raw geometry, for every method.

python -m ace_steps.steps.factor_vectors --vectors item_vectors.parquet \
    --factor factor.safetensors
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from ace_steps.command import log, main_of
from ace_steps.io.provenance import Provenance, digests
from ace_steps.refine.files import VectorFile, factor_file, read_shard_moments, write_factors
from ace_steps.runtime import DEVICES


def run(
    *,
    vectors: Annotated[Path, "table item_vectors"],
    grams: Annotated[Sequence[Path], "sums of every shard, from gram_vectors"] = (),
    factor: Annotated[Path, "factor to write"],
    device: Annotated[Literal[*DEVICES], "where to compute"] = "auto",
    id_column: Annotated[str, "column of ids"] = "item_id",
    vector_column: Annotated[str, "column of vectors"] = "vector",
) -> None:
    """Sum the Gram matrix, or join the shards' sums, and solve for both factors."""
    inputs = digests(vectors=vectors)
    file = VectorFile(vectors, id_column, vector_column)
    joined = read_shard_moments(grams, inputs["vectors"]) if grams else None
    factors, used = factor_file(file, device=device, joined=joined)
    note = Provenance("factor_vectors", {}, inputs, {"device": used, "rows": "unit length"})
    write_factors(factor, factors, note)
    raw, centered = factors.raw, factors.centered
    dim = len(raw.mean)
    log.info(
        "factored %d vectors of dim %d: rank %d, centered %d; s from %.4g to %.4g; cosine %.4g",
        *(raw.count, dim, raw.rank, centered.rank),
        *(raw.singular_values[0], raw.singular_values[-1]),
        factors.geometry.get("mean_cosine", float("nan")),
    )
    if raw.rank < min(raw.count, dim):
        log.info("rank deficient: %d of %d components hold nothing", dim - raw.rank, dim)


main = main_of(run)

if __name__ == "__main__":
    raise SystemExit(main())
