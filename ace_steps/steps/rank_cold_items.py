r"""Hide a share of the items, refine and train without them, fold them in, rank them as targets.

python -m ace_steps.steps.rank_cold_items --interactions interactions.parquet \
    --items items.parquet --vectors item_vectors.parquet --settings '{"model": "sasrec"}' \
    --refinement-settings '{"method": "ace", "lambda": 5}' --share 0.1 --hiding-seed 0 \
    --dataset ml-100k --encoder smollm2 --refinement ace --backbone sasrec --seed 1 \
    --state state --cold-items cold_items.parquet
"""

import logging
from pathlib import Path

from ace_steps import command
from ace_steps.io.parquet import write_table
from ace_steps.io.provenance import Provenance
from ace_steps.io.tables import COLD_ITEMS
from ace_steps.runtime import peak_memory_mb, select_device
from ace_steps.sequences.inputs import add_inputs
from ace_steps.serving.cold_run import read_world, run_cold
from ace_steps.training.checkpoints import remove_state
from ace_steps.training.runs import with_identity

log = logging.getLogger(__name__)


def run(
    *,
    share: float,
    hiding_seed: int,
    refinement_settings: str,
    settings: str,
    device: str,
    state: Path,
    cold_items: Path,
    interactions: Path,
    items: Path,
    vectors: Path,
    **identity: str | int,
) -> None:
    """Read the tables, run the experiment, write what it measured."""
    files = {"interactions": interactions, "items": items, "vectors": vectors}
    world = read_world(**files, share=share, seed=hiding_seed)
    where = select_device(device)  # last, as it may wait: bad input is told at once
    chosen = {"settings": settings, "refinement_settings": refinement_settings}
    table, note = run_cold(world, identity, **chosen, device=where, state=state)
    facts = note.facts | {"device": where.type, "n_known": world.hidden.n_known}
    whole = Provenance(note.step, note.settings, note.inputs, facts)
    write_table(with_identity(table, identity), COLD_ITEMS, cold_items, whole)
    remove_state(state)
    new = table.filter(targets="new", metric="recall", cutoff=20)
    told = [f"{v} {c} {x:.4f}" for v, c, x in new.select("vectors", "candidates", "value").rows()]
    log.info("Recall@20 of new items: %s; %.0f MB", ", ".join(told), peak_memory_mb())


def main(argv: list[str] | None = None) -> int:
    """Parse the options and run the step; the exit code."""
    options = command.parser(__doc__)
    add_inputs(options)
    options.add_argument(
        "--refinement-settings", required=True, help="the refinement's settings, JSON"
    )
    options.add_argument("--share", type=float, required=True, help="of the items to hide, (0, 1)")
    options.add_argument("--hiding-seed", type=int, required=True, help="which items are hidden")
    options.add_argument("--state", type=Path, required=True, help="folder to resume from")
    options.add_argument("--cold-items", type=Path, required=True, help="table to write")
    return command.execute(run, options.parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())
