r"""Turn the ranks of every run into metrics, and say what was chosen and what is missing.

python -m ace_steps.steps.collect_metrics --config workflow/config/config.yaml \
    --results results/demo --logs logs/demo --metrics metrics.parquet --runs runs.parquet \
    --selection selection.parquet --gaps gaps.parquet
"""

from pathlib import Path
from typing import Annotated

from ace_steps.command import log, main_of
from ace_steps.config import loading
from ace_steps.config.grid import Plan
from ace_steps.evaluation.completeness import finished_runs, ranks_path
from ace_steps.evaluation.metrics import measure_runs, slice_shares
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
    finished = finished_runs(settings, results, logs)
    paths = {each: ranks_path(each, results) for each in finished.runs}
    measured = measure_runs(paths, slice_shares(settings))
    inputs = digests(**{"/".join(map(str, each)): path for each, path in paths.items()})
    note = Provenance("collect_metrics", settings, inputs)
    write_table(spread(measured, plan), METRICS, metrics, note)
    collected = runs_table(plan, finished.runs, finished.chosen)
    write_table(spread(collected, plan), RUNS, runs, note)
    write_table(spread(finished.selection, plan), SELECTION, selection, note)
    write_table(spread(finished.gaps, plan), GAPS, gaps, note)
    by = "{metric}@{cutoff}".format(**settings["selection"])
    counts = (len(paths), len(finished.chosen), by, len(finished.gaps))
    log.info("measured %d runs, %d grid points chosen by validation %s, %d runs missing", *counts)


main = main_of(run)

if __name__ == "__main__":
    raise SystemExit(main())
