"""Which of the runs that a configuration asks for are there, and what was chosen among them."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ace_steps.config.grid import Cell, Plan, Run
from ace_steps.errors import InputError
from ace_steps.evaluation.gaps import Places
from ace_steps.evaluation.ranks import ranks_path
from ace_steps.evaluation.selection import chosen_run
from ace_steps.io.parquet import read_table
from ace_steps.io.tables import GAPS, RUN, SELECTION

FINISHED = "finished"  # value of the configuration's report_on: what is missing is left out


@dataclass(frozen=True)
class Found:
    """Runs in the order of the configuration.

    Attributes:
        runs: Those whose ranks are there.
        chosen: The chosen points, on the seed they were chosen on.
        selection: The table ``selection`` of all cells.
        gaps: The table ``gaps``: runs that are asked for and not there.
    """

    runs: list[Run]
    chosen: set[Run]
    selection: pl.DataFrame
    gaps: pl.DataFrame


def selection_path(cell: Cell, results: Path) -> Path:
    """Where the choice of a cell lies."""
    return results.joinpath("select", *cell, "selection.parquet")


def find_runs(config: dict, results: Path, logs: Path) -> Found:
    """The runs of a configuration that are there, and why others are not.

    Args:
        config: A checked configuration; unless its report_on is finished, nothing may be missing.
        results: The folder of results.
        logs: The folder of logs.

    Raises:
        InputError: no run is there; a run is missing and report_on is not finished; a choice is
            damaged or holds other points than its grid.
    """
    tables, wanted = _wanted(Plan(config), results)
    places = Places(results, logs, config)
    is_partial = config.get("report_on") == FINISHED
    stages = {
        run: None if not is_partial and ranks_path(run, results).is_file() else places.lacking(run)
        for run in wanted
    }
    missing = [run for run, stage in stages.items() if stage]
    if len(missing) == len(wanted) or (missing and not is_partial):
        name, stage = "/".join(map(str, missing[0])), stages[missing[0]].rule
        raise InputError(
            f"{results}: {len(missing)} of {len(wanted)} runs are missing; the first is {name}, of "
            f"which {stage} left nothing."
        )
    if not tables:
        raise InputError(f"{results}/select: no choice is there; select_points makes them.")
    reasons = [places.stopped_at(stages[run], run).last_line for run in missing]
    rows = [(*run, stages[run].rule, why) for run, why in zip(missing, reasons, strict=True)]
    schema = [(name, pl.Int64 if name == "seed" else pl.String) for name in GAPS.schema.names]
    return Found(
        runs=[run for run, stage in stages.items() if not stage],
        chosen={chosen_run(table) for table in tables},
        selection=pl.concat(tables),
        gaps=pl.DataFrame(rows, schema=schema, orient="row"),
    )


def _wanted(plan: Plan, results: Path) -> tuple[list[pl.DataFrame], list[Run]]:
    """The choices that were made, and the runs they lead to; of other cells the first seed's."""
    tables, wanted = [], []
    for cell in plan.cells:
        path = selection_path(cell, results)
        if path.is_file():
            tables.append(_choice(path, plan, cell))
            wanted += plan.runs(cell, chosen_run(tables[-1]))
        else:
            wanted += plan.first_runs(cell)
    return tables, wanted


def _choice(path: Path, plan: Plan, cell: Cell) -> pl.DataFrame:
    table = read_table(path, SELECTION)
    known = set(plan.first_runs(cell))
    stray = [run for run in map(Run._make, table.select(RUN).rows()) if run not in known]
    if stray or table["is_chosen"].sum() != 1:
        what = f"a choice with {'/'.join(map(str, stray[0]))}" if stray else "no single choice"
        raise InputError(f"{path}: {what}, which is none of this configuration; make it again.")
    return table
