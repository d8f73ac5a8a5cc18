r"""Choose one grid point by its ranks of validation targets.

python -m ace_steps.steps.select_points --refinement-entry ace --backbone-entry sasrec \
    --metric ndcg --cutoff 10 --selection selection.parquet --ranks \
    ace-lambda_5/ranks.parquet ace-lambda_50/ranks.parquet
"""

from pathlib import Path
from typing import Annotated, Literal

from ace_steps.command import log, main_of
from ace_steps.config.grid import Cell
from ace_steps.evaluation.metrics import CUTOFFS, METRICS
from ace_steps.evaluation.results import chosen_run, read_scores, selection_table
from ace_steps.io.parquet import write_table
from ace_steps.io.provenance import Provenance, digests
from ace_steps.io.tables import SELECTION


def run(
    *,
    ranks: Annotated[list[Path], "ranks of each grid point, in their order"],
    refinement_entry: Annotated[str, "name in the configuration"],
    backbone_entry: Annotated[str, "name in the configuration"],
    metric: Annotated[Literal[*METRICS], "what decides"],
    cutoff: Annotated[Literal[*CUTOFFS], "its K"],
    selection: Annotated[Path, "table to write"],
) -> None:
    """Score every grid point on validation, mark the best, write the table."""
    scores = read_scores(ranks, metric, cutoff)
    first = next(iter(scores))
    cell = Cell(first.dataset, first.encoder, refinement_entry, backbone_entry)
    chosen = selection_table(cell, scores, metric=metric, cutoff=cutoff)
    settings = {"metric": metric, "cutoff": cutoff}
    inputs = digests(ranks=ranks)
    write_table(chosen, SELECTION, selection, Provenance("select_points", settings, inputs))
    best = chosen_run(chosen)
    outcome = (best.refinement, best.backbone, len(scores), metric, cutoff, scores[best])
    log.info("chose %s on %s of %d grid points by validation %s@%d, %.4f", *outcome)


main = main_of(run)

if __name__ == "__main__":
    raise SystemExit(main())
