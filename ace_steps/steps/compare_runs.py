r"""Compare the chosen grid points of refinements, user by user: how much better, and how surely.

python -m ace_steps.steps.compare_runs --config workflow/config/config.yaml --results results/demo \
    --metrics results/demo/report/metrics.parquet --runs results/demo/report/runs.parquet \
    --comparisons comparisons.parquet
"""

from pathlib import Path
from typing import Annotated

import polars as pl

from ace_steps.command import log, main_of
from ace_steps.config import loading
from ace_steps.config.grid import Plan
from ace_steps.evaluation.comparisons import SETUP, compare, corrected, pairs, read_setup
from ace_steps.evaluation.metrics import slice_shares
from ace_steps.evaluation.results import chosen_runs, validation_scores
from ace_steps.io.parquet import read_table, write_table
from ace_steps.io.provenance import Provenance, digests
from ace_steps.io.tables import COMPARISONS, METRICS, RUNS


def run(
    *,
    config: Annotated[str, "run configuration, a file or JSON"],
    results: Annotated[Path, "folder of results"],
    metrics: Annotated[Path, "table metrics"],
    runs: Annotated[Path, "table runs"],
    comparisons: Annotated[Path, "table to write"],
) -> None:
    """Read the ranks of one setup after the other, compare, correct over all, write."""
    settings = loading.load(config).as_json()
    plan, shares = Plan(settings), slice_shares(settings)
    methods = {name: entry["method"] for name, entry in settings["refinements"].items()}
    chosen = chosen_runs(read_table(runs, RUNS), plan)
    scores = validation_scores(chosen, read_table(metrics, METRICS), **settings["selection"])
    compared = []
    for names, of_setup in chosen.group_by(SETUP, maintain_order=True):
        ranks, slices = read_setup(of_setup, plan, results, shares)
        table = compare(ranks, slices, pairs(methods, scores[names]), settings["statistics"])
        setup = dict(zip(SETUP, names, strict=True))
        compared.append(table.with_columns(pl.lit(v).alias(k) for k, v in setup.items()))
    table = corrected(compared)
    note = Provenance("compare_runs", settings, digests(metrics=metrics, runs=runs))
    write_table(table, COMPARISONS, comparisons, note)
    alpha = settings["statistics"]["alpha"]
    n_significant = int((table["p_holm"] < alpha).sum())
    counts = (len(table), len(compared), n_significant, alpha)
    log.info("%d comparisons in %d setups, %d with corrected p below %g", *counts)


main = main_of(run)

if __name__ == "__main__":
    raise SystemExit(main())
