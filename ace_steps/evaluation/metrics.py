"""Recall, NDCG and MRR at K from the ranks of held-out items: per user, per slice, per run."""

import math
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl

from ace_steps.config.grid import Run
from ace_steps.evaluation.ranks import RanksReader

CUTOFFS = (1, 5, 10, 20, 50)
SLICES = (
    "all",
    "head_items",
    "tail_items",
    "short_histories",
    "long_histories",
    "few_train_events",
)


def recall(ranks: np.ndarray, cutoff: int) -> np.ndarray:
    """Per user 1 where the rank, from 1, is at most ``cutoff``, else 0: the hit rate."""
    return (ranks <= cutoff).astype(np.float64)


def ndcg(ranks: np.ndarray, cutoff: int) -> np.ndarray:
    """Per user ``1 / log2(1 + rank)`` where the rank is at most ``cutoff``, else 0.

    The ideal ranking of one held-out item has the gain 1, so nothing is divided by.
    """
    return np.where(ranks <= cutoff, 1.0 / np.log2(1.0 + ranks), 0.0)


def mrr(ranks: np.ndarray, cutoff: int) -> np.ndarray:
    """Per user ``1 / rank`` where the rank is at most ``cutoff``, else 0."""
    return np.where(ranks <= cutoff, 1.0 / ranks, 0.0)


METRICS = {"recall": recall, "ndcg": ndcg, "mrr": mrr}


def mean_metric(ranks: np.ndarray, metric: str, cutoff: int) -> float:
    """The mean over users of a metric in ``METRICS``; a ValueError where there is no user."""
    if not len(ranks):
        raise ValueError(f"{metric}@{cutoff} of no user")
    return float(METRICS[metric](ranks, cutoff).mean())


def slice_shares(config: dict) -> dict[str, float]:
    """The configuration of the slices, as the arguments of ``slice_columns``."""
    names = ("head_share", "long_share", "few_train_events")
    return {name: config["statistics"][name] for name in names}


def slice_columns(
    ranks: pl.DataFrame, *, head_share: float, long_share: float, few_train_events: int
) -> pl.DataFrame:
    """The ranks with one boolean column for each of ``SLICES``, named ``in_<slice>``.

    Head items are the ``head_share`` of the held-out items of both splits with most training
    events; long histories are, in each split, the ``long_share`` of the users with most events
    before the held-out item. Ties with the last of them are included; tail items and short
    histories are all the others, so that one side is empty where everything ties.

    Args:
        ranks: Columns split, item, history_length and target_train_count; one row a held-out item.
        head_share: In (0, 1).
        long_share: In (0, 1).
        few_train_events: Training events up to which an item counts as one with few.
    """
    items = ranks.unique("item")["target_train_count"]
    head_from = items.top_k(math.ceil(head_share * len(items))).min()
    n_long = (long_share * pl.len()).ceil().cast(pl.UInt32)
    long_from = pl.col("history_length").top_k(n_long).min().over("split")
    is_head = pl.col("target_train_count") >= head_from
    is_long = pl.col("history_length") >= long_from
    return ranks.with_columns(
        in_all=pl.lit(True),
        in_head_items=is_head,
        in_tail_items=~is_head,
        in_short_histories=~is_long,
        in_long_histories=is_long,
        in_few_train_events=pl.col("target_train_count") <= few_train_events,
    )


def run_metrics(ranks: pl.DataFrame, run: Run, shares: dict[str, float]) -> pl.DataFrame:
    """The rows of the table ``metrics`` of one run: every metric, cutoff, split and slice.

    ``shares`` are the arguments of ``slice_columns``; a slice without held-out items has no row.
    """
    names = {f"{metric}@{cutoff}": (metric, cutoff) for metric, cutoff in product(METRICS, CUTOFFS)}
    rank = ranks["rank"].to_numpy()
    values = [pl.Series(name, METRICS[m](rank, cutoff)) for name, (m, cutoff) in names.items()]
    per_user = slice_columns(ranks, **shares).with_columns(values)
    means = [
        per_user.filter(f"in_{part}")
        .group_by("split")
        .agg(pl.col(list(names)).mean(), n_targets=pl.len().cast(pl.Int32))
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


def measure_runs(paths: dict[Run, Path], shares: dict[str, float]) -> pl.DataFrame:
    """The table ``metrics`` of all runs, from their files of ranks, one in memory at a time.

    Raises:
        InputError: a file is missing or unusable, or two runs of a dataset rank other items.
    """
    reader = RanksReader()
    return pl.concat(
        run_metrics(reader.read(path, run)[1], run, shares) for run, path in paths.items()
    )
