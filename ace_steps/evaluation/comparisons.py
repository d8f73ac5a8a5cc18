"""Whether one refinement beats another: which are compared, and the statistics of the pairs.

Everything is computed from per-user values of a metric; docs/statistics.md has the formulas.
"""

from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import scipy.stats

from ace_steps.config.grid import Plan, Run
from ace_steps.evaluation.completeness import ranks_path
from ace_steps.evaluation.metrics import METRICS, SLICES, slice_columns
from ace_steps.evaluation.ranks import RanksReader
from ace_steps.io.tables import COMPARISONS, RUN

SETUP = ("dataset", "encoder", "backbone_entry")  # within which refinements are compared
EXACT_UP_TO = 12  # non-zero differences whose 2^n signs are tried one by one
CHUNK = 64  # bootstrap samples that are in memory at a time
RanksBySeed = dict[int, np.ndarray]  # (users,) ranks of the test items, users in one order


class Pair(NamedTuple):
    """Two refinement entries to compare, and what b is to a: baseline, best_baseline or both."""

    a: str
    b: str
    role: str


def pairs(methods: dict[str, str], validation: dict[str, float]) -> list[Pair]:
    """Which entries of a setup are compared: all with ``random``, ACE with its best baseline too.

    Args:
        methods: The method of each entry of the configuration, in its order.
        validation: The validation score of each entry that was run. The best baseline is the entry
            of another method than ACE with the best one; test numbers play no part.
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


def read_setup(
    chosen: pl.DataFrame, plan: Plan, results: Path, shares: dict[str, float]
) -> tuple[dict[str, RanksBySeed], pl.DataFrame]:
    """The test ranks of each entry and seed of one setup, and its users' ``slice_columns``.

    Args:
        chosen: The setup's rows of the output of ``chosen_runs``.
        plan: Of the configuration.
        results: The folder of results.
        shares: The arguments of ``slice_columns``.

    Raises:
        InputError: a file is missing or unusable, or two runs rank other items.
    """
    reader, ranks = RanksReader(), {}
    for entry, *identity in chosen.select("refinement_entry", *RUN).iter_rows():
        run = plan.home_run(Run(*identity))
        table = reader.read(ranks_path(run, results), run)[1].sort("split", "user")
        test = slice_columns(table, **shares).filter(split="test")
        ranks.setdefault(entry, {})[run.seed] = test["rank"].to_numpy()
    return ranks, test


def compare(
    ranks: dict[str, RanksBySeed], slices: pl.DataFrame, compared: list[Pair], statistics: dict
) -> pl.DataFrame:
    """The comparisons of one setup: the columns of the table without the setup and ``p_holm``.

    Args:
        ranks: Of each entry, the test ranks of each seed; all of the same users in one order.
        slices: These users' columns ``in_<slice>``.
        compared: What to compare; pairs without a common seed are left out.
        statistics: The configuration's key of that name.
    """
    cases = []
    for pair, text in product(compared, statistics["metrics"]):
        seeds = sorted(ranks[pair.a].keys() & ranks[pair.b].keys())
        if not seeds:
            continue
        metric, cutoff = text.split("@")
        a, b = (
            np.stack([METRICS[metric](ranks[entry][seed], int(cutoff)) for seed in seeds])
            for entry in (pair.a, pair.b)
        )  # (seeds, users)
        names = {"refinement_a": pair.a, "refinement_b": pair.b, "role": pair.role}
        cases.append((names | {"metric": metric, "cutoff": int(cutoff)}, a, b))
    rows, differences, members = [], [], []
    for part, (names, a, b) in product(SLICES, cases):
        is_member = slices[f"in_{part}"].to_numpy()
        if is_member.any():
            values = paired_statistics(a[:, is_member], b[:, is_member])
            rows.append({"slice": part, **names, **values})
            differences.append((a - b).mean(axis=0))
            members.append(is_member)
    if not rows:
        return pl.from_arrow(COMPARISONS.schema.empty_table()).drop(*SETUP, "p_holm")
    intervals = bootstrap_intervals(
        np.stack(differences, axis=1),
        np.stack(members, axis=1),
        resamples=statistics["resamples"],
        confidence=statistics["confidence"],
        generator=np.random.default_rng(statistics["seed"]),
    )
    low, high = intervals.T
    return pl.DataFrame(rows).with_columns(low=pl.Series(low), high=pl.Series(high))


def paired_statistics(a: np.ndarray, b: np.ndarray) -> dict[str, float]:
    """The statistics of a metric's values of two refinements, (seeds, users) each."""
    by_seed = (a - b).mean(axis=1)
    mean_a, mean_b = float(a.mean()), float(b.mean())
    return {
        "n_users": a.shape[1],
        "n_seeds": len(a),
        "mean_a": mean_a,
        "mean_b": mean_b,
        "difference": mean_a - mean_b,
        "relative": mean_a / mean_b - 1 if mean_b else float("nan"),
        "p": sign_flip_p((a - b).mean(axis=0)),
        "seed_deviation": float(by_seed.std(ddof=1)) if len(by_seed) > 1 else float("nan"),
        "p_seeds": seeds_p(by_seed),
    }


def corrected(tables: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """All outputs of ``compare``, with their setups, as one family of Holm's correction."""
    table = pl.concat(tables, how="diagonal_relaxed")
    return table.with_columns(p_holm=holm(table["p"].to_numpy())).select(COMPARISONS.schema.names)


def sign_flip_p(differences: np.ndarray) -> float:
    """Two-sided p of the sign-flip permutation test of paired differences.

    If neither method is better, a user's difference is as likely to have the other sign. The sum of
    differences is compared with its distribution over all signs: tried one by one for up to
    ``EXACT_UP_TO`` non-zero differences, else by the normal distribution it tends to, of mean 0 and
    variance ``sum(d^2)``. For 0/1 metrics of one seed that is McNemar's test.

    Args:
        differences: (users,) paired differences; of one or none other than 0 the p is 1.

    Source:
        Fisher 1935; Smucker et al., CIKM 2007.
    """
    moved = differences[differences != 0]
    if len(moved) < 2:
        return 1.0
    if len(moved) <= EXACT_UP_TO:
        return float(
            scipy.stats.permutation_test(
                (moved,), np.sum, permutation_type="samples", n_resamples=np.inf
            ).pvalue
        )
    z = abs(moved.sum()) / np.sqrt((moved**2).sum())
    return float(2 * scipy.stats.norm.sf(z))


def seeds_p(differences: np.ndarray) -> float:
    """Two-sided p of the paired t-test of (seeds,) differences; NaN for one seed or no spread."""
    if len(differences) < 2 or np.ptp(differences) == 0:
        return float("nan")
    return float(scipy.stats.ttest_1samp(differences, 0.0).pvalue)


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's correction: p-values that may be held against the same level as a single test's.

    The i-th smallest of m is multiplied by ``m - i + 1``, made not smaller than the one before it,
    and cut at 1. The chance of one or more false findings in the family is at most the level,
    however the tests depend on each other.

    Source:
        Holm, Scandinavian Journal of Statistics 6, 1979.
    """
    order = np.argsort(p_values, kind="stable")
    steps = np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(np.maximum.accumulate(p_values[order] * steps), 1.0)
    return corrected


def bootstrap_intervals(
    differences: np.ndarray,
    members: np.ndarray,
    *,
    resamples: int,
    confidence: float,
    generator: np.random.Generator,
) -> np.ndarray:
    """Percentile bootstrap intervals of means over groups of users.

    Users are drawn with replacement, each with all their values, so that columns stay paired. A
    group's mean in a sample is over those of its members that were drawn.

    Args:
        differences: (users, columns).
        members: (users, columns) bool; which users each column's mean is over, at least one.
        resamples: Samples of users.
        confidence: Coverage, in (0, 1).
        generator: Draws the users.

    Returns:
        (columns, 2) lower and upper ends.

    Cost:
        O(resamples * users * columns) products; 2.2e4 users, 10 pairs, 2 metrics: about 2 s for
        2000 samples.

    Source:
        Efron and Tibshirani 1993, chapter 13.
    """
    weights = members.astype(np.float64)
    values = np.where(members, differences, 0.0)
    n_users = len(differences)
    means = np.empty((resamples, differences.shape[1]))
    for start in range(0, resamples, CHUNK):
        n = min(CHUNK, resamples - start)
        drawn = generator.integers(n_users, size=(n, n_users))
        drawn += n_users * np.arange(n)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=n * n_users).reshape(n, n_users)
        counts = counts.astype(np.float64)  # how often each user is in each sample
        n_drawn = counts @ weights
        means[start : start + n] = np.divide(
            counts @ values, n_drawn, out=np.full_like(n_drawn, np.nan), where=n_drawn > 0
        )
    tail = 100 * (1 - confidence) / 2
    return np.nanpercentile(means, [tail, 100 - tail], axis=0).T
