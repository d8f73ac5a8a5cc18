r"""Turn the ranks of every run into metrics, and say what was chosen and what is missing.

python -m ace_steps.steps.collect_metrics --config workflow/config/config.yaml \
    --results results/demo --logs logs/demo --metrics metrics.parquet --runs runs.parquet \
    --selection selection.parquet --gaps gaps.parquet
"""

from pathlib import Path
from typing import Annotated

import polars as pl

from ace_steps.command import log, main_of
from ace_steps.config import loading
from ace_steps.config.grid import Plan, Run
from ace_steps.evaluation.completeness import finished_runs, ranks_path
from ace_steps.evaluation.metrics import run_metrics, slice_shares
from ace_steps.evaluation.ranks import RanksReader
from ace_steps.evaluation.results import runs_table, spread
from ace_steps.io.parquet import write_table
from ace_steps.io.provenance import Provenance, digests
from ace_steps.io.tables import GAPS, METRICS, RUNS, SELECTION


def run(
    *,
    config: Annotated[str, "run configuration, a file or JSON"],
    results: Annotated[Path, "folder of results"],
    logs: Annotated[Path, "folder of logs"],
    metrics: Annotated[Path, "table metrics to write"],
    runs: Annotated[Path, "table runs to write"],
    selection: Annotated[Path, "table selection to write"],
    gaps: Annotated[Path, "table gaps to write"],
) -> None:
    """Find the runs, read the ranks of one after the other, measure, write the tables."""
    settings = loading.load(config).as_json()
    plan = Plan(settings)
    found = finished_runs(settings, results, logs)
    paths = {each: ranks_path(each, results) for each in found.runs}
    measured = measure(paths, slice_shares(settings))
    inputs = digests(**{"/".join(map(str, each)): path for each, path in paths.items()})
    note = Provenance("collect_metrics", settings, inputs)
    write_table(spread(measured, plan), METRICS, metrics, note)
    collected = runs_table(plan, found.runs, found.chosen)
    write_table(spread(collected, plan), RUNS, runs, note)
    write_table(spread(found.selection, plan), SELECTION, selection, note)
    write_table(spread(found.gaps, plan), GAPS, gaps, note)
    by = "{metric}@{cutoff}".format(**settings["selection"])
    counts = (len(paths), len(found.chosen), by, len(found.gaps))
    log.info("measured %d runs, %d points chosen by validation %s, %d runs missing", *counts)


def measure(paths: dict[Run, Path], shares: dict[str, float]) -> pl.DataFrame:
    """The metrics of all runs; one table of ranks and one reference a dataset are in memory.

    Raises:
        InputError: a file is missing or unusable, or two runs of a dataset rank other targets.
    """
    reader = RanksReader()
    return pl.concat(
        run_metrics(reader.read(path, each)[1], each, shares) for each, path in paths.items()
    )


main = main_of(run)

if __name__ == "__main__":
    raise SystemExit(main())
