"""Tables of an experiment's runs: the choice by validation, their order, means over seeds."""

import json
from pathlib import Path

import polars as pl

from ace_steps.config.grid import Cell, Plan, Run
from ace_steps.errors import InputError
from ace_steps.evaluation.metrics import mean_metric
from ace_steps.evaluation.ranks import RanksReader
from ace_steps.io.tables import RUN, SELECTION


def read_scores(paths: list[Path], metric: str, cutoff: int) -> dict[Run, float]:
    """The validation score, metric@cutoff, of each grid point of a cell: a file of ranks each.

    Raises:
        InputError: a file is unusable, or of another dataset, encoder or seed or other held-out
            items than the first.
    """
    reader, scores = RanksReader(), {}
    for path in paths:
        run, ranks = reader.read(path)
        first = next(iter(scores), run)
        for name in ("dataset", "encoder", "seed"):
            value, expected = getattr(run, name), getattr(first, name)
            if value != expected:
                raise InputError(f"{path}: expected the {name} {expected}, got {value}.")
        valid = ranks.filter(split="valid")["rank"].to_numpy()
        scores[run] = mean_metric(valid, metric, cutoff)
    return scores


def selection_table(
    cell: Cell, scores: dict[Run, float], *, metric: str, cutoff: int
) -> pl.DataFrame:
    """The table ``selection`` of one cell: its grid points, and the best of them chosen.

    Args:
        cell: What the choice is made in.
        scores: The output of ``read_scores``; of equal scores the first is chosen.
        metric: What the scores are.
        cutoff: Its K, in items.
    """
    chosen = max(scores, key=scores.get)  # the first of the best
    shared = {**cell._asdict(), "metric": metric, "cutoff": cutoff}
    rows = [
        {**shared, **run._asdict(), "value": value, "is_chosen": run == chosen}
        for run, value in scores.items()
    ]
    return pl.DataFrame(rows).select(SELECTION.schema.names)


def chosen_run(selection: pl.DataFrame) -> Run:
    """The chosen grid point of one cell's table ``selection``, on the seed it was chosen on."""
    (row,) = selection.filter("is_chosen").select(Run._fields).rows()
    return Run(*row)


def runs_table(plan: Plan, runs: list[Run], chosen: set[Run]) -> pl.DataFrame:
    """The table ``runs`` of runs of the plan; ``chosen``: the chosen ones on the first seed."""
    chosen_points = {run[:4] for run in chosen}
    rows = [
        {
            **run._asdict(),
            "refinement_entry": plan.refinements[run.refinement].entry,
            "backbone_entry": plan.backbones[run.backbone].entry,
            "refinement_point": json.dumps(plan.refinements[run.refinement].values),
            "backbone_point": json.dumps(plan.backbones[run.backbone].values),
            "is_chosen": run[:4] in chosen_points,
        }
        for run in runs
    ]
    return pl.DataFrame(rows)


def spread(table: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """A table of runs with the rows of refinements that ignore the encoder under every encoder."""
    is_free = pl.col("refinement").is_in(plan.free_points)
    encoders = pl.DataFrame({"encoder": plan.encoders})
    copies = table.filter(is_free).drop("encoder").join(encoders, how="cross")
    return pl.concat([table.filter(~is_free), copies.select(table.columns)])


def in_order(runs: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """The table ``runs`` in the order of the configuration, with ``order``, from 0.

    Runs of the table that the configuration does not ask for are left out.
    """
    known = runs.filter(pl.col(kind).is_in(plan.names[kind]) for kind in RUN)
    orders = [
        pl.col(kind).replace_strict(names, range(len(names))) for kind, names in plan.names.items()
    ]
    return known.sort(orders).with_row_index("order")


def chosen_runs(runs: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """The runs of chosen grid points, on all their seeds, in the order of the configuration."""
    return in_order(runs.filter("is_chosen"), plan)


def validation_scores(
    chosen: pl.DataFrame, metrics: pl.DataFrame, *, metric: str, cutoff: int
) -> dict[tuple[str, str, str], dict[str, float]]:
    """The mean validation score over seeds of each refinement entry, by (dataset, encoder,
    backbone entry); test rows are not read.

    Args:
        chosen: The output of ``chosen_runs``.
        metrics: The table ``metrics``.
        metric: recall, ndcg or mrr.
        cutoff: Its K, in items.
    """
    values = metrics.filter(split="valid", slice="all", metric=metric, cutoff=cutoff)
    keys = ("dataset", "encoder", "backbone_entry", "refinement_entry")
    means = (
        chosen.join(values.select(*RUN, "value"), on=RUN, maintain_order="left")
        .group_by(keys, maintain_order=True)
        .agg(pl.col("value").mean())
    )
    scores: dict[tuple[str, str, str], dict[str, float]] = {}
    for *setup, entry, value in means.iter_rows():
        scores.setdefault(tuple(setup), {})[entry] = value
    return scores


def seed_means(metrics: pl.DataFrame, runs: pl.DataFrame) -> pl.DataFrame:
    """Mean and sample deviation over seeds of every metric of every grid point.

    Args:
        metrics: The table ``metrics``; its rows over all held-out items are taken.
        runs: The output of ``in_order``.

    Returns:
        One row per grid point, split, metric and cutoff, in the runs' order: the columns of
        ``runs`` without the seed, ``mean``, ``deviation`` (null for one seed) and ``n_seeds``.
    """
    grid_point = (
        *("dataset", "encoder", "refinement_entry", "backbone_entry", "refinement", "backbone"),
        *("refinement_point", "backbone_point", "is_chosen"),
    )
    return (
        runs.join(metrics.filter(slice="all"), on=RUN)
        .sort("order")
        .group_by(*grid_point, "split", "metric", "cutoff", maintain_order=True)
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
