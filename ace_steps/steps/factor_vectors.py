r"""Factor item vectors once: singular values, directions, mean and raw geometry, for every method.

python -m ace_steps.steps.factor_vectors --vectors item_vectors.parquet \
    --factor factor.safetensors
"""

import logging
from pathlib import Path

from ace_steps import command
from ace_steps.io.provenance import Provenance, digests
from ace_steps.refine.artifacts import VectorFile, add_columns, read_partials, write_factored
from ace_steps.refine.factoring import factor_file
from ace_steps.runtime import DEVICES

log = logging.getLogger(__name__)


def run(
    *,
    vectors: Path,
    grams: list[Path],
    factor: Path,
    device: str,
    id_column: str,
    vector_column: str,
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


def main(argv: list[str] | None = None) -> int:
    """Parse the options and run the step; the exit code."""
    options = command.parser(__doc__)
    options.add_argument("--vectors", type=Path, required=True, help="table item_vectors")
    options.add_argument(
        "--grams", type=Path, nargs="*", default=[], help="sums of every shard, from gram_vectors"
    )
    options.add_argument("--factor", type=Path, required=True, help="factor to write")
    options.add_argument("--device", choices=DEVICES, default="auto", help="where to compute")
    add_columns(options)
    return command.execute(run, options.parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())
