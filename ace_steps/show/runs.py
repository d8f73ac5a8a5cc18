"""A whole results folder as one table of runs, from the tables themselves and not their paths."""

import json
from pathlib import Path

import polars as pl

from ace_steps.errors import InputError
from ace_steps.evaluation.metrics import mean_metric
from ace_steps.io.parquet import read_provenance, read_table
from ace_steps.io.tables import RANKS, RUN, RUNS, TRAINING_CURVE

SHOWN = (("recall", 10), ("recall", 20), ("ndcg", 10), ("ndcg", 20))
VALIDATION = "valid_ndcg_10"


def runs_table(folder: Path) -> pl.DataFrame:
    """One row per run that was trained or ranked.

    Args:
        folder: Results, with ``train/**/training_curve.parquet`` and ``rank/**/ranks.parquet``.

    Returns:
        The run's identity; is_chosen (null before there is a report); settings (of a grid: the
        values of this point, JSON); epochs, best_epoch, valid_ndcg_10 (at the best epoch), seconds
        (of training); test_recall_10, test_recall_20, test_ndcg_10, test_ndcg_20. A run that has
        not come so far has nulls.

    Raises:
        InputError: there is no run, or a table is damaged or another one.
    """
    curves = [_trained(path) for path in sorted(folder.glob("train/**/training_curve.parquet"))]
    ranks = [_ranked(path) for path in sorted(folder.glob("rank/**/ranks.parquet"))]
    if not curves and not ranks:
        raise InputError(
            f"{folder}: no run in it; wanted a results folder, with "
            "train/.../training_curve.parquet or rank/.../ranks.parquet."
        )
    trained = pl.DataFrame(curves, schema=_TRAINED, orient="row")
    ranked = pl.DataFrame(ranks, schema=_RANKED, orient="row")
    both = trained.join(ranked, on=RUN, how="full", coalesce=True)
    return _with_choice(both, folder / "report" / "runs.parquet").sort(RUN)


_IDENTITY = {name: pl.Int64 if name == "seed" else pl.String for name in RUN}
_TRAINED = {
    **_IDENTITY,
    "epochs": pl.Int64,
    "best_epoch": pl.Int64,
    VALIDATION: pl.Float64,
    "seconds": pl.Float64,
    "device": pl.String,
}
_RANKED = {**_IDENTITY, **{f"test_{name}_{cutoff}": pl.Float64 for name, cutoff in SHOWN}}


def _trained(path: Path) -> dict:
    """Identity and figures of one training."""
    curve = read_table(path, TRAINING_CURVE)
    best = curve.filter("is_best")
    return {
        **curve.select(RUN).row(0, named=True),
        "epochs": len(curve),
        "best_epoch": best["epoch"][0],
        VALIDATION: best[VALIDATION][0],
        "seconds": curve["seconds"].sum(),
        "device": read_provenance(path).facts.get("device"),
    }


def _ranked(path: Path) -> dict:
    """Identity and test metrics of one run."""
    ranks = read_table(path, RANKS)
    test = ranks.filter(split="test")["rank"].to_numpy()
    found = {f"test_{name}_{cutoff}": mean_metric(test, name, cutoff) for name, cutoff in SHOWN}
    return {**ranks.select(RUN).row(0, named=True), **found}


def _with_choice(table: pl.DataFrame, path: Path) -> pl.DataFrame:
    """The table with what collect_metrics says of each run, where there is a report."""
    if not path.is_file():
        nothing = (pl.lit(None, pl.Boolean).alias("is_chosen"), pl.lit("").alias("settings"))
        return table.with_columns(nothing)
    runs = read_table(path, RUNS)
    points = [
        {**json.loads(row["refinement_point"]), **json.loads(row["backbone_point"])}
        for row in runs.iter_rows(named=True)
    ]
    told = runs.select(*RUN, "is_chosen").with_columns(
        settings=pl.Series(
            [json.dumps(point) if point else "" for point in points], dtype=pl.String
        )
    )
    return table.join(told, on=RUN, how="left")
