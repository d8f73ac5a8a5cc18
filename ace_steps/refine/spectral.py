"""The spectral refinements: one formula on singular values, from whitened to raw.

With E = U S V' the ACE vectors are X = U g(S) times a scale, g(s) = s / sqrt(s^2 + lambda). The
same as a map of rows: X = E W with W = V diag(1 / sqrt(s^2 + lambda)); nothing n x n is formed.
"""

import math

import numpy as np

from ace_steps.errors import InputError
from ace_steps.refine.factor import Factor


def gains(singular_values: np.ndarray, lambda_: float | np.ndarray) -> np.ndarray:
    """What ACE makes of singular values: s / sqrt(s^2 + lambda).

    Args:
        singular_values: s > 0, (components,).
        lambda_: Ridge, >= 0, in the unit of s^2; one, or a grid (points,). At 0 every gain is 1
            (whitening); the larger it is, the closer the gains are to s / sqrt(lambda), which is
            the anisotropy of the vectors themselves.

    Returns:
        (components,), or (points, components) for a grid; float64, in (0, 1].

    Raises:
        ValueError: a lambda is negative or NaN.
    """
    ridge = np.asarray(lambda_, dtype=np.float64)
    if not (ridge >= 0).all():
        raise ValueError(f"lambda must be >= 0, got {lambda_}")
    return singular_values / np.sqrt(singular_values**2 + ridge[..., None])


def entry_std(weights: np.ndarray, norms: np.ndarray, factor: Factor) -> float:
    """Standard deviation over all entries of X = (E - mean) W, without forming X.

    Args:
        weights: W, (width, components).
        norms: Lengths of X's columns, (components,).
        factor: Of E.

    Returns:
        Population standard deviation over n x components entries.
    """
    n_entries = factor.count * weights.shape[1]
    mean = float(factor.total @ weights.sum(axis=1)) / n_entries
    return math.sqrt(max(float(norms @ norms) / n_entries - mean**2, 0.0))


def scale_to(gamma: float, std: float) -> float:
    """The factor that brings entries of one standard deviation to another.

    Raises:
        InputError: the entries are all equal.
    """
    if not std > 0:
        raise InputError(
            "the refined vectors are all equal; there is no deviation to bring to gamma."
        )
    return gamma / std


def spectral_weights(factor: Factor, gain: np.ndarray) -> np.ndarray:
    """The map that turns singular values into ``gain``: V diag(gain / s), (width, components)."""
    return factor.directions * (gain / factor.singular_values)
