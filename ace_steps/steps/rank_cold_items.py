r"""Hide a share of the items, refine and train without them, fold them in, rank them as targets.

python -m ace_steps.steps.rank_cold_items --interactions interactions.parquet \
    --items items.parquet --vectors item_vectors.parquet --settings '{"model": "sasrec"}' \
    --refinement-settings '{"method": "ace", "lambda": 5}' --share 0.1 --hiding-seed 0 \
    --dataset ml-100k --encoder smollm2 --refinement ace --backbone sasrec --seed 1 \
    --state state --cold-items cold_items.parquet
"""

from pathlib import Path
from typing import Annotated

from ace_steps.command import log, main_of
from ace_steps.io.parquet import write_table
from ace_steps.io.tables import COLD_ITEMS
from ace_steps.runtime import peak_memory_mb
from ace_steps.sequences.inputs import RunOptions
from ace_steps.serving.cold_items import rank_cold_items
from ace_steps.training.checkpoints import remove_state, with_identity


def run(
    *,
    options: RunOptions,
    share: Annotated[float, "of the items to hide, (0, 1)"],
    hiding_seed: Annotated[int, "which items are hidden"],
    refinement_settings: Annotated[str, "the refinement's settings, JSON"],
    state: Annotated[Path, "folder to resume from"],
    cold_items: Annotated[Path, "table to write"],
) -> None:
    """Read the tables, run the experiment, write what it measured."""
    table, note = rank_cold_items(
        options,
        share=share,
        hiding_seed=hiding_seed,
        refinement_settings=refinement_settings,
        state=state,
    )
    write_table(with_identity(table, options.identity), COLD_ITEMS, cold_items, note)
    remove_state(state)
    new = table.filter(targets="new", metric="recall", cutoff=20)
    values = [f"{v} {c} {x:.4f}" for v, c, x in new.select("vectors", "candidates", "value").rows()]
    log.info("Recall@20 of new items: %s; %.0f MB", ", ".join(values), peak_memory_mb())


main = main_of(run)

if __name__ == "__main__":
    raise SystemExit(main())
