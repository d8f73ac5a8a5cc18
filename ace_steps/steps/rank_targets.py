r"""Rank every held-out item among all items, with the weights of a training.

python -m ace_steps.steps.rank_targets --interactions interactions.parquet \
    --items items.parquet --vectors item_vectors.parquet --weights best.safetensors \
    --settings '{"model": "sasrec"}' --dataset ml-100k --encoder smollm2 --refinement ace \
    --backbone sasrec --seed 1 --ranks ranks.parquet
"""

import time
from pathlib import Path
from typing import Annotated

from ace_steps.backbones.recommender import build_recommender
from ace_steps.backbones.settings import parse_backbone
from ace_steps.command import log, main_of
from ace_steps.evaluation.ranking import rank_splits
from ace_steps.io import parquet
from ace_steps.io.provenance import Provenance, digests
from ace_steps.io.tables import RANKS
from ace_steps.runtime import peak_memory_mb, select_device
from ace_steps.sequences.inputs import RunOptions, read_inputs
from ace_steps.training.checkpoints import describe_run, read_weights, with_identity
from ace_steps.training.optimizers import load_weights


def run(
    *,
    options: RunOptions,
    weights: Annotated[Path, "best or last weights"],
    shard: Annotated[str, "which users, e.g. 2-of-4; all of them"] = "1-of-1",
    ranks: Annotated[Path, "table ranks to write"],
) -> None:
    """Read tables and weights, rank both splits, write the ranks."""
    chosen = parse_backbone(options.settings, "--settings")
    trained = describe_run(options, chosen)
    arrays, inputs = read_weights(weights, trained), read_inputs(**options.tables)
    model = build_recommender(inputs.matrix, inputs.item_encoder, chosen, options.seed)
    load_weights(model, arrays)
    device = select_device(options.device)  # last, as it may wait: bad input is refused at once
    started = time.perf_counter()
    table = rank_splits(
        model.to(device).eval(),
        inputs.histories,
        train_counts=inputs.items["train_count"].to_numpy(),
        shard=shard,
        **chosen.ranking.as_json(),
    )
    seconds = time.perf_counter() - started
    read = trained.inputs | digests(weights=weights)
    facts = trained.facts | {"device": device.type, "shard": shard}
    note = Provenance("rank_targets", trained.settings, read, facts)
    parquet.write_table(with_identity(table, options.identity), RANKS, ranks, note)
    counts = (len(table), len(inputs.items), seconds, peak_memory_mb())
    log.info("ranked %d targets among %d items in %.1f s, %.0f MB", *counts)


main = main_of(run)

if __name__ == "__main__":
    raise SystemExit(main())
