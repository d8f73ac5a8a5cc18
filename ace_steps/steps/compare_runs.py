r"""Compare the chosen points of refinements, user by user: how much better, and how surely.

python -m ace_steps.steps.compare_runs --config workflow/config/config.yaml --results results/demo \
    --metrics results/demo/report/metrics.parquet --runs results/demo/report/runs.parquet \
    --comparisons comparisons.parquet
"""

from pathlib import Path
from typing import Annotated

import polars as pl

from ace_steps.command import log, main_of
from ace_steps.config import loading
from ace_steps.config.grid import Plan, Run
from ace_steps.evaluation.comparisons import SETUP, RanksBySeed, compare, corrected, pairs
from ace_steps.evaluation.completeness import ranks_path
from ace_steps.evaluation.metrics import slice_columns, slice_shares
from ace_steps.evaluation.ranks import RanksReader
from ace_steps.evaluation.results import chosen_runs, validation_scores
from ace_steps.io.parquet import read_table, write_table
from ace_steps.io.provenance import Provenance, digests
from ace_steps.io.tables import COMPARISONS, METRICS, RUN, RUNS


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
    for names, mine in chosen.group_by(SETUP, maintain_order=True):
        ranks, sliced = read_setup(mine, plan, results, shares)
        wanted = pairs(methods, scores[names])
        table = compare(ranks, sliced, wanted, settings["statistics"])
        setup = dict(zip(SETUP, names, strict=True))
        compared.append(table.with_columns(pl.lit(v).alias(k) for k, v in setup.items()))
    table = corrected(compared)
    note = Provenance("compare_runs", settings, digests(metrics=metrics, runs=runs))
    write_table(table, COMPARISONS, comparisons, note)
    alpha = settings["statistics"]["alpha"]
    n_significant = int((table["p_holm"] < alpha).sum())
    found = (len(table), len(compared), n_significant, alpha)
    log.info("%d comparisons in %d setups, %d with corrected p below %g", *found)


def read_setup(
    chosen: pl.DataFrame, plan: Plan, results: Path, shares: dict[str, float]
) -> tuple[dict[str, RanksBySeed], pl.DataFrame]:
    """The test ranks of each entry and seed of one setup, and the slices of its users."""
    reader, ranks = RanksReader(), {}
    for entry, *identity in chosen.select("refinement_entry", *RUN).iter_rows():
        home = plan.home_run(Run(*identity))
        table = reader.read(ranks_path(home, results), home)[1].sort("split", "user")
        sliced = slice_columns(table, **shares).filter(pl.col("split") == "test")
        ranks.setdefault(entry, {})[home.seed] = sliced["rank"].to_numpy()
    return ranks, sliced


main = main_of(run)

if __name__ == "__main__":
    raise SystemExit(main())
