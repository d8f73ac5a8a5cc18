r"""Rank every held-out target among all items, with the weights of a training.

python -m ace_steps.steps.rank_targets --interactions interactions.parquet \
    --items items.parquet --vectors item_vectors.parquet --weights best.safetensors \
    --settings '{"model": "sasrec"}' --dataset ml-100k --encoder smollm2 --refinement ace \
    --backbone sasrec --seed 1 --ranks ranks.parquet
"""

import time
from pathlib import Path
from typing import Annotated

import polars as pl

from ace_steps.backbones.recommender import build_recommender
from ace_steps.backbones.settings import parse_backbone
from ace_steps.command import log, main_of
from ace_steps.evaluation.ranking import rank_targets, ranks_table, targets_of_shard
from ace_steps.io import parquet
from ace_steps.io.provenance import Provenance, digests
from ace_steps.io.tables import RANKS
from ace_steps.runtime import peak_memory_mb, select_device
from ace_steps.sequences.histories import HELD_OUT, held_out
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
    trained = describe_run(options.identity, chosen, **options.tables)
    arrays, inputs = read_weights(weights, trained), read_inputs(**options.tables)
    model = build_recommender(inputs.matrix, inputs.item_encoder, chosen, options.seed)
    load_weights(model, arrays)
    where = select_device(options.device)  # last, as it may wait: bad input is told at once
    model.to(where).eval()
    started, tables = time.perf_counter(), []
    for split in HELD_OUT:
        targets = targets_of_shard(held_out(inputs.histories, split), shard, where.type)
        found = rank_targets(model, inputs.histories, targets, **chosen.ranking.as_json())
        counts = inputs.items["train_count"].to_numpy()
        tables.append(ranks_table(found, targets, split=split, train_counts=counts))
    seconds = time.perf_counter() - started
    inputs_read = trained.inputs | digests(weights=weights)
    facts = trained.facts | {"device": where.type, "shard": shard}
    note = Provenance("rank_targets", trained.settings, inputs_read, facts)
    table = with_identity(pl.concat(tables), options.identity)
    parquet.write_table(table, RANKS, ranks, note)
    found = (len(table), len(inputs.items), seconds, peak_memory_mb())
    log.info("ranked %d targets among %d items in %.1f s, %.0f MB", *found)


main = main_of(run)

if __name__ == "__main__":
    raise SystemExit(main())
