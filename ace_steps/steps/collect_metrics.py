r"""Turn the ranks of every run into metrics, and say what was chosen and what is missing.

python -m ace_steps.steps.collect_metrics --config workflow/config/config.yaml \
    --results results/demo --logs logs/demo --metrics metrics.parquet --runs runs.parquet \
    --selection selection.parquet --gaps gaps.parquet
"""

import logging
from pathlib import Path

import polars as pl

from ace_steps import command
from ace_steps.config import loading
from ace_steps.config.grid import Plan, Run
from ace_steps.evaluation.completeness import finished_runs, ranks_path
from ace_steps.evaluation.metrics import run_metrics, slice_shares
from ace_steps.evaluation.ranks import RanksReader
from ace_steps.evaluation.results import runs_table, spread
from ace_steps.io.parquet import write_table
from ace_steps.io.provenance import Provenance, digests
from ace_steps.io.tables import GAPS, METRICS, RUNS, SELECTION

log = logging.getLogger(__name__)


def run(
    *,
    config: str,
    results: Path,
    logs: Path,
    metrics: Path,
    runs: Path,
    selection: Path,
    gaps: Path,
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


def main(argv: list[str] | None = None) -> int:
    """Parse the options and run the step; the exit code."""
    options = command.parser(__doc__)
    options.add_argument("--config", required=True, help="run configuration, a file or JSON")
    options.add_argument("--results", type=Path, required=True, help="folder of results")
    options.add_argument("--logs", type=Path, required=True, help="folder of logs")
    for table in ("metrics", "runs", "selection", "gaps"):
        options.add_argument(f"--{table}", type=Path, required=True, help=f"table {table} to write")
    return command.execute(run, options.parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())
