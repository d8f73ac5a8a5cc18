r"""Choose one point of a grid by its ranks of validation targets.

python -m ace_steps.steps.select_points --refinement-entry ace --backbone-entry sasrec \
    --metric ndcg --cutoff 10 --selection selection.parquet --ranks \
    ace-lambda_5/ranks.parquet ace-lambda_50/ranks.parquet
"""

from pathlib import Path
from typing import Annotated, Literal

from ace_steps.command import log, main_of
from ace_steps.config.grid import Cell, Run
from ace_steps.errors import InputError
from ace_steps.evaluation.metrics import CUTOFFS, METRICS
from ace_steps.evaluation.ranks import RanksReader
from ace_steps.evaluation.selection import chosen_run, selection_table, validation_score
from ace_steps.io.parquet import write_table
from ace_steps.io.provenance import Provenance, digests
from ace_steps.io.tables import SELECTION


def run(
    *,
    ranks: Annotated[list[Path], "ranks of each point, in their order"],
    refinement_entry: Annotated[str, "name in the configuration"],
    backbone_entry: Annotated[str, "name in the configuration"],
    metric: Annotated[Literal[*METRICS], "what decides"],
    cutoff: Annotated[Literal[*CUTOFFS], "its K"],
    selection: Annotated[Path, "table to write"],
) -> None:
    """Score every point on validation, mark the best, write the table."""
    reader, scores, first = RanksReader(), {}, None
    for path in ranks:
        identity, table = reader.read(path)
        first = first or identity
        refuse_other_cell(path, identity, first)
        scores[identity] = validation_score(table, metric, cutoff)
    cell = Cell(first.dataset, first.encoder, refinement_entry, backbone_entry)
    chosen = selection_table(cell, scores, metric=metric, cutoff=cutoff)
    settings = {"metric": metric, "cutoff": cutoff}
    inputs = digests(ranks=ranks)
    write_table(chosen, SELECTION, selection, Provenance("select_points", settings, inputs))
    best = chosen_run(chosen)
    found = (best.refinement, best.backbone, len(scores), metric, cutoff, scores[best])
    log.info("chose %s on %s of %d points by validation %s@%d, %.4f", *found)


def refuse_other_cell(path: Path, found: Run, first: Run) -> None:
    """Refuse ranks of another dataset, encoder or seed than the first file's."""
    for name in ("dataset", "encoder", "seed"):
        here, there = getattr(found, name), getattr(first, name)
        if here != there:
            raise InputError(f"{path}: ranks of the {name} {here}, but {there} before it.")


main = main_of(run)

if __name__ == "__main__":
    raise SystemExit(main())
