"""Metrics of runs as tables: made from ranks, put in order, averaged over seeds."""

import json
from itertools import product

import polars as pl

from ace_steps.config import grid
from ace_steps.config.grid import Run
from ace_steps.evaluation.metrics import CUTOFFS, METRICS
from ace_steps.evaluation.slices import SLICES, slice_columns
from ace_steps.io.tables import RUN

GRID = ("dataset", "encoder", "refinement_entry", "backbone_entry")  # what one choice is made in
POINT = ("refinement", "backbone")  # what a choice is made between


def slice_shares(config: dict) -> dict[str, float]:
    """What a configuration says of the slices, as the arguments of ``slice_columns``."""
    names = ("head_share", "long_share", "few_train_events")
    return {name: config["statistics"][name] for name in names}


def run_metrics(ranks: pl.DataFrame, run: Run, shares: dict[str, float]) -> pl.DataFrame:
    """The rows of the table ``metrics`` of one run: every metric, cutoff, split and slice.

    Args:
        ranks: The table ``ranks`` of the run.
        run: Its identity.
        shares: The arguments of ``slice_columns``; a slice without a target has no row.
    """
    sliced = slice_columns(ranks, **shares)
    names = {f"{m}@{k}": (m, k) for m, k in product(METRICS, CUTOFFS)}
    values = [
        pl.Series(name, METRICS[metric](ranks["rank"].to_numpy(), cutoff))
        for name, (metric, cutoff) in names.items()
    ]
    means = [
        sliced.with_columns(values)
        .filter(f"in_{part}")
        .group_by("split")
        .agg(*(pl.col(name).mean() for name in names), n_targets=pl.len().cast(pl.Int32))
        .with_columns(slice=pl.lit(part))
        for part in SLICES
    ]
    long = pl.concat(means).unpivot(list(names), index=["split", "slice", "n_targets"])
    metric, cutoff = zip(*(names[name] for name in long["variable"]), strict=True)
    return long.select(
        *(pl.lit(value).alias(name) for name, value in run._asdict().items()),
        *("split", "slice"),
        pl.Series("metric", metric),
        pl.Series("cutoff", cutoff, dtype=pl.Int32),
        *("value", "n_targets"),
    )


def runs_table(plan: grid.Plan, runs: list[Run], chosen: set[Run]) -> pl.DataFrame:
    """The table ``runs`` of the given runs.

    Args:
        plan: Of the configuration.
        runs: Runs of the plan.
        chosen: Chosen points on the first seed.
    """
    points = {(run.dataset, run.encoder, run.refinement, run.backbone) for run in chosen}
    rows = [
        {
            **run._asdict(),
            "refinement_entry": plan.refinements[run.refinement].entry,
            "backbone_entry": plan.backbones[run.backbone].entry,
            "refinement_point": json.dumps(plan.refinements[run.refinement].values),
            "backbone_point": json.dumps(plan.backbones[run.backbone].values),
            "is_chosen": run[:4] in points,
        }
        for run in runs
    ]
    return pl.DataFrame(rows)


def spread(table: pl.DataFrame, plan: grid.Plan) -> pl.DataFrame:
    """A table of runs with the rows of cells that others stand for put in.

    Args:
        table: Columns dataset, encoder, and refinement or refinement_entry.
        plan: Of the configuration.
    """
    column = "refinement_entry" if "refinement_entry" in table.columns else "refinement"
    free = plan.free_entries if column == "refinement_entry" else plan.free_points
    is_free = pl.col(column).is_in(free)
    shared = table.filter(is_free).drop("encoder")
    encoders = pl.DataFrame({"encoder": plan.encoders})
    copies = shared.join(encoders, how="cross").select(table.columns)
    return pl.concat([table.filter(~is_free), copies])


def in_order(runs: pl.DataFrame, plan: grid.Plan) -> pl.DataFrame:
    """The table ``runs`` in the order of the configuration, with ``order``, from 0.

    Runs of the table that the configuration does not ask for are left out.
    """
    names = plan.names
    places = [
        pl.col(kind).replace_strict(
            {name: place for place, name in enumerate(names[kind])}, default=None
        )
        for kind in RUN
    ]
    known = runs.filter(pl.all_horizontal(place.is_not_null() for place in places))
    return known.sort(places).with_row_index("order")


def chosen_runs(runs: pl.DataFrame, plan: grid.Plan) -> pl.DataFrame:
    """The runs of chosen points, all their seeds, in the order of the configuration.

    Args:
        runs: The table ``runs``.
        plan: Of the configuration.
    """
    return in_order(runs.filter("is_chosen"), plan)


def validation_scores(
    chosen: pl.DataFrame, metrics: pl.DataFrame, *, metric: str, cutoff: int
) -> dict[tuple[str, str, str], dict[str, float]]:
    """The mean validation score over seeds of each entry, by setup; test rows are not read.

    Args:
        chosen: The output of ``chosen_runs``.
        metrics: The table ``metrics``.
        metric: recall, ndcg or mrr.
        cutoff: K of metric@K, in items.

    Returns:
        For each (dataset, encoder, backbone entry) the score of each refinement entry.
    """
    wanted = metrics.filter(split="valid", slice="all", metric=metric, cutoff=cutoff)
    means = (
        chosen.join(wanted.select(*RUN, "value"), on=RUN, maintain_order="left")
        .group_by("dataset", "encoder", "backbone_entry", "refinement_entry", maintain_order=True)
        .agg(pl.col("value").mean())
    )
    found: dict[tuple[str, str, str], dict[str, float]] = {}
    for *setup, entry, value in means.iter_rows():
        found.setdefault(tuple(setup), {})[entry] = value
    return found


def seed_means(metrics: pl.DataFrame, runs: pl.DataFrame) -> pl.DataFrame:
    """Mean and sample deviation over seeds of every metric of every point.

    Args:
        metrics: The table ``metrics``.
        runs: The runs to take, with ``order`` and ``is_chosen``.

    Returns:
        One row per point, split, metric and cutoff, over all targets, in the runs' order: the
        columns of ``runs`` without the seed, ``mean``, ``deviation`` (null for one seed) and
        ``n_seeds``.
    """
    point = [*GRID, *POINT, "refinement_point", "backbone_point", "is_chosen"]
    return (
        runs.join(metrics.filter(pl.col("slice") == "all"), on=RUN)
        .sort("order")
        .group_by(*point, "split", "metric", "cutoff", maintain_order=True)
        .agg(
            mean=pl.col("value").mean(),
            deviation=pl.col("value").std(),
            n_seeds=pl.len(),
            order=pl.col("order").min(),
        )
        .sort("order", "split", "metric", "cutoff")
    )


def relative(value: float | None, baseline: float | None) -> float | None:
    """``value / baseline - 1``; None where either is missing or the baseline is 0."""
    if value is None or not baseline:
        return None
    return value / baseline - 1
