"""Whether one method beats another: paired differences of the same users, and how sure they are.

Everything is computed from per-user values of a metric; docs/statistics.md has the formulas.
"""

import numpy as np
import scipy.stats

EXACT_UP_TO = 12  # non-zero differences whose 2^n signs are tried one by one
CHUNK = 64  # bootstrap samples that are in memory at a time


def sign_flip_p(differences: np.ndarray) -> float:
    """Two-sided p of the sign-flip permutation test of paired differences.

    If neither method is better, a user's difference is as likely to have the other sign. The sum of
    differences is compared with its distribution over all signs: tried one by one for up to
    ``EXACT_UP_TO`` non-zero differences, else by the normal distribution it tends to, of mean 0 and
    variance ``sum(d^2)``. For 0/1 metrics of one seed that is McNemar's test.

    Args:
        differences: (users,) paired differences; zeros count for neither side.

    Returns:
        p in (0, 1]; 1 where one difference or none is other than 0.

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
    """Two-sided p of the paired t-test over seeds; NaN for one seed or without any spread.

    Args:
        differences: (seeds,) difference of the two methods' means on each seed.
    """
    if len(differences) < 2 or np.ptp(differences) == 0:
        return float("nan")
    return float(scipy.stats.ttest_1samp(differences, 0.0).pvalue)


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's correction: p-values that may be held against the same level as a single test's.

    The i-th smallest of m is multiplied by ``m - i + 1``, made not smaller than the one before it,
    and cut at 1. The chance of one or more false findings in the family is at most the level,
    however the tests depend on each other.

    Args:
        p_values: (m,) p-values of one family.

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
        members: (users, columns) bool; which users each column's mean is over.
        resamples: Samples of users.
        confidence: Coverage, in (0, 1).
        generator: Draws the users.

    Returns:
        (columns, 2) lower and upper ends; NaN for a column without members.

    Cost:
        O(resamples * users * columns) products; a sample's counts as float64.

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
    is_empty = ~members.any(axis=0)
    means[:, is_empty] = 0
    ends = np.nanpercentile(means, [tail, 100 - tail], axis=0).T
    ends[is_empty] = np.nan
    return ends
