"""The table ``comparisons``: which entries are compared, and the statistics of each comparison."""

from collections.abc import Iterable
from itertools import product
from typing import NamedTuple

import numpy as np
import polars as pl

from ace_steps.evaluation.metrics import METRICS, SLICES
from ace_steps.evaluation.significance import bootstrap_intervals, holm, seeds_p, sign_flip_p
from ace_steps.io.tables import COMPARISONS

SETUP = ("dataset", "encoder", "backbone_entry")  # what comparisons are made within
RanksBySeed = dict[int, np.ndarray]  # (users,) ranks of the test items, users in one order


class Pair(NamedTuple):
    """Two refinement entries to compare, and what b is to a: baseline, best_baseline or both."""

    a: str
    b: str
    role: str


def pairs(methods: dict[str, str], validation: dict[str, float]) -> list[Pair]:
    """Which entries of a setup are compared: all with ``random``, ACE with its best baseline too.

    The best baseline is the entry of another method than ACE with the best validation score; test
    numbers play no part.

    Args:
        methods: The method of each entry of the configuration, in its order.
        validation: The validation score of each entry's chosen grid point, of those that were run.
    """
    run = [name for name in methods if name in validation]
    random = next((name for name in run if methods[name] == "random"), None)
    baselines = [name for name in run if methods[name] != "ace"]
    best = max(baselines, key=validation.get) if baselines else None  # the first of the best
    compared = []
    for name in run:
        roles = {random: "baseline"} if random not in (None, name) else {}
        if methods[name] == "ace" and best is not None:
            roles[best] = "both" if best in roles else "best_baseline"
        compared += [Pair(name, other, role) for other, role in roles.items()]
    return compared


def compare(
    ranks: dict[str, RanksBySeed], slices: pl.DataFrame, compared: list[Pair], statistics: dict
) -> pl.DataFrame:
    """The comparisons of one setup: the columns of the table without the setup and ``p_holm``.

    Args:
        ranks: Of each entry, the test ranks of each seed; all of the same users in one order.
        slices: These users' columns ``in_<slice>``.
        compared: What to compare; pairs without a common seed are left out.
        statistics: The configuration's key of that name.

    Cost:
        See ``bootstrap_intervals``; 2.2e4 users, 10 pairs, 2 metrics: about 2 s for 2000 samples.
    """
    metrics = [text.split("@") for text in statistics["metrics"]]
    cases = [
        _PairOnMetric(pair, metric, int(cutoff), ranks)
        for pair, (metric, cutoff) in product(compared, metrics)
        if ranks[pair.a].keys() & ranks[pair.b].keys()
    ]
    members = {part: slices[f"in_{part}"].to_numpy() for part in SLICES}
    columns = list(product((part for part in SLICES if members[part].any()), cases))
    if not columns:
        return pl.from_arrow(COMPARISONS.schema.empty_table()).drop(*SETUP, "p_holm")
    intervals = bootstrap_intervals(
        np.stack([case.difference.mean(axis=0) for _, case in columns], axis=1),
        np.stack([members[part] for part, _ in columns], axis=1),
        resamples=statistics["resamples"],
        confidence=statistics["confidence"],
        generator=np.random.default_rng(statistics["seed"]),
    )
    rows = [
        {"slice": part, **case.row(members[part]), "low": low, "high": high}
        for (part, case), (low, high) in zip(columns, intervals.tolist(), strict=True)
    ]
    return pl.DataFrame(rows)


class _PairOnMetric:
    """One pair's per-user values of one metric on their common seeds, (seeds, users) each."""

    def __init__(self, pair: Pair, metric: str, cutoff: int, ranks: dict[str, RanksBySeed]) -> None:
        seeds = sorted(ranks[pair.a].keys() & ranks[pair.b].keys())
        self.pair, self.metric, self.cutoff = pair, metric, cutoff
        self.a, self.b = (
            np.stack([METRICS[metric](ranks[entry][seed], cutoff) for seed in seeds])
            for entry in (pair.a, pair.b)
        )
        self.difference = self.a - self.b

    def row(self, members: np.ndarray) -> dict[str, object]:
        """The statistics of the pair on the users that are members of a slice."""
        inside = self.difference[:, members]
        by_seed = inside.mean(axis=1)
        mean_a, mean_b = (float(values[:, members].mean()) for values in (self.a, self.b))
        return {
            "refinement_a": self.pair.a,
            "refinement_b": self.pair.b,
            "role": self.pair.role,
            "metric": self.metric,
            "cutoff": self.cutoff,
            "n_users": inside.shape[1],
            "n_seeds": len(inside),
            "mean_a": mean_a,
            "mean_b": mean_b,
            "difference": mean_a - mean_b,
            "relative": mean_a / mean_b - 1 if mean_b else float("nan"),
            "p": sign_flip_p(inside.mean(axis=0)),
            "seed_deviation": float(by_seed.std(ddof=1)) if len(by_seed) > 1 else float("nan"),
            "p_seeds": seeds_p(by_seed),
        }


def corrected(tables: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """The whole table: all comparisons as one family of Holm's correction.

    Args:
        tables: Outputs of ``compare`` with the columns of their setup.
    """
    table = pl.concat(tables, how="diagonal_relaxed")
    return table.with_columns(p_holm=holm(table["p"].to_numpy())).select(COMPARISONS.schema.names)
