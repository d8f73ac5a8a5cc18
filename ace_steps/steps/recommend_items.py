r"""Write the best items of each user, by the weights of a training. A user's history is everything
in the log, the validation and the test item included: these are recommendations for tomorrow and
not an evaluation, which is rank_targets'.

python -m ace_steps.steps.recommend_items --interactions interactions.parquet \
    --items items.parquet --user-table users.parquet --vectors item_vectors.parquet \
    --weights best.safetensors --settings '{"model": "sasrec"}' --dataset ml-100k \
    --encoder smollm2 --refinement ace --backbone sasrec --seed 1 --k 20 --mask-seen \
    --recommendations recommendations.parquet
"""

import time
from pathlib import Path
from typing import Annotated

from ace_steps.command import log, main_of
from ace_steps.errors import InputError
from ace_steps.io.parquet import table_writer
from ace_steps.io.tables import RECOMMENDATIONS
from ace_steps.runtime import peak_memory_mb
from ace_steps.serving.model import ServingOptions, read_model
from ace_steps.serving.recommend import list_pieces


def run(
    *,
    k: Annotated[int, "items per user, at least 1"],
    mask_seen: Annotated[bool, "leave out the items of a user's own history, or keep them in"],
    recommendations: Annotated[Path, "table to write"],
    options: ServingOptions,
) -> None:
    """Read tables and weights, score in blocks, write list after list."""
    if k < 1:
        raise InputError(f"--k: expected at least 1, got {k}.")
    model = read_model("recommend_items", {"k": k, "mask_seen": mask_seen}, options)
    started = time.perf_counter()
    with table_writer(recommendations, RECOMMENDATIONS, model.note) as writer:
        for piece in list_pieces(model, k=k, mask_seen=mask_seen):
            writer.write(piece)
    seconds = time.perf_counter() - started
    counts = (writer.n_rows, len(model.users.ids), len(model.item_ids))
    log.info(
        "recommended %d items to %d users out of %d items, %.1f s, %.0f MB",
        *(*counts, seconds, peak_memory_mb()),
    )


main = main_of(run)

if __name__ == "__main__":
    raise SystemExit(main())
