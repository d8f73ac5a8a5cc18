r"""Factor item vectors once: singular values, directions, mean and raw geometry, for every method.

python -m ace_steps.steps.factor_vectors --vectors item_vectors.parquet \
    --factor factor.safetensors
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from ace_steps.command import log, main_of
from ace_steps.io.provenance import Provenance, digests
from ace_steps.refine.artifacts import VectorFile, read_partials, write_factored
from ace_steps.refine.factoring import factor_file
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
    joined = read_partials(grams, file, inputs["vectors"]) if grams else None
    found, used = factor_file(file, device=device, joined=joined)
    note = Provenance("factor_vectors", {}, inputs, {"device": used, "rows": "unit length"})
    write_factored(factor, found, note)
    raw, centred = found.raw, found.centred
    dim = len(raw.mean)
    log.info(
        "factored %d vectors of dim %d: rank %d, centered %d; s from %.4g to %.4g; cosine %.4g",
        *(raw.count, dim, raw.rank, centred.rank),
        *(raw.singular_values[0], raw.singular_values[-1]),
        found.geometry.get("mean_cosine", float("nan")),
    )
    if raw.rank < min(raw.count, dim):
        log.info("rank deficient: %d of %d directions hold nothing", dim - raw.rank, dim)


main = main_of(run)

if __name__ == "__main__":
    raise SystemExit(main())
