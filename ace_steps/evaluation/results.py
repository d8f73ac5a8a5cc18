"""Tables of an experiment's runs: which were chosen, in which order, their means over seeds."""

import json

import polars as pl

from ace_steps.config.grid import Plan, Run
from ace_steps.io.tables import RUN

GRID = ("dataset", "encoder", "refinement_entry", "backbone_entry")  # what one choice is made in
POINT = ("refinement", "backbone")  # what a choice is made between


def runs_table(plan: Plan, runs: list[Run], chosen: set[Run]) -> pl.DataFrame:
    """The table ``runs`` of runs of the plan; ``chosen``: the chosen ones on the first seed."""
    points = {run[:4] for run in chosen}
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


def spread(table: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """A table of runs with the rows of refinements that ignore the encoder under every encoder.

    Args:
        table: Columns dataset, encoder, and refinement or refinement_entry.
        plan: Of the configuration.
    """
    column = "refinement_entry" if "refinement_entry" in table.columns else "refinement"
    free = plan.free_entries if column == "refinement_entry" else plan.free_points
    is_free = pl.col(column).is_in(free)
    encoders = pl.DataFrame({"encoder": plan.encoders})
    copies = table.filter(is_free).drop("encoder").join(encoders, how="cross")
    return pl.concat([table.filter(~is_free), copies.select(table.columns)])


def in_order(runs: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """The table ``runs`` in the order of the configuration, with ``order``, from 0.

    Runs of the table that the configuration does not ask for are left out.
    """
    orders = [
        pl.col(kind).replace_strict(names, range(len(names)), default=None)
        for kind, names in ((kind, plan.names[kind]) for kind in RUN)
    ]
    known = runs.filter(pl.all_horizontal(order.is_not_null() for order in orders))
    return known.sort(orders).with_row_index("order")


def chosen_runs(runs: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """The runs of chosen grid points, on all their seeds, in the order of the configuration."""
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
    values = metrics.filter(split="valid", slice="all", metric=metric, cutoff=cutoff)
    means = (
        chosen.join(values.select(*RUN, "value"), on=RUN, maintain_order="left")
        .group_by("dataset", "encoder", "backbone_entry", "refinement_entry", maintain_order=True)
        .agg(pl.col("value").mean())
    )
    scores: dict[tuple[str, str, str], dict[str, float]] = {}
    for *setup, entry, value in means.iter_rows():
        scores.setdefault(tuple(setup), {})[entry] = value
    return scores


def seed_means(metrics: pl.DataFrame, runs: pl.DataFrame) -> pl.DataFrame:
    """Mean and sample deviation over seeds of every metric of every grid point.

    Args:
        metrics: The table ``metrics``.
        runs: The runs to take, with ``order`` and ``is_chosen``.

    Returns:
        One row per grid point, split, metric and cutoff, over all held-out items, in the runs'
        order: the columns of ``runs`` without the seed, ``mean``, ``deviation`` (null for one
        seed) and ``n_seeds``.
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
