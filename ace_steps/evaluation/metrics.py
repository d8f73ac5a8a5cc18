"""Recall, NDCG and MRR at K from the ranks of held-out targets, one target a user."""

import numpy as np

CUTOFFS = (1, 5, 10, 20, 50)


def recall(ranks: np.ndarray, cutoff: int) -> np.ndarray:
    """Per user 1 where the target is among the first ``cutoff``, else 0.

    With one target a user this is the hit rate too.

    Args:
        ranks: (users,) ranks from 1; an expected rank may fall between two places.
        cutoff: K, in items.
    """
    return (ranks <= cutoff).astype(np.float64)


def ndcg(ranks: np.ndarray, cutoff: int) -> np.ndarray:
    """Per user ``1 / log2(1 + rank)`` where the rank is at most ``cutoff``, else 0.

    The ideal ranking of one target has the gain 1, so nothing is divided by.
    """
    return np.where(ranks <= cutoff, 1.0 / np.log2(1.0 + ranks), 0.0)


def mrr(ranks: np.ndarray, cutoff: int) -> np.ndarray:
    """Per user ``1 / rank`` where the rank is at most ``cutoff``, else 0."""
    return np.where(ranks <= cutoff, 1.0 / ranks, 0.0)


METRICS = {"recall": recall, "ndcg": ndcg, "mrr": mrr}


def mean_metric(ranks: np.ndarray, metric: str, cutoff: int) -> float:
    """The mean over users of a metric in ``METRICS``.

    Raises:
        ValueError: there is no user to average over.
    """
    if not len(ranks):
        raise ValueError(f"{metric}@{cutoff} of no user")
    return float(METRICS[metric](ranks, cutoff).mean())
