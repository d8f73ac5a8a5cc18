"""The dial: lambda as it is given, or solved for a geometry that a person can read.

Both geometries follow from the factor: the effective rank from the spectrum alone, the mean cosine
from passes over the rows that each try a whole grid of lambdas.
"""

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import brentq

from ace_steps.errors import InputError
from ace_steps.refine.factor import Factor
from ace_steps.refine.geometry import effective_rank, mean_cosine
from ace_steps.refine.spectral import gains

if TYPE_CHECKING:
    from ace_steps.refine.ace import AceSettings

FAR = 1e8  # lambda is searched from s_k^2 / FAR to s_1^2 * FAR: beyond, nothing moves
GRID = 33  # lambdas tried in one pass over the rows
N_PASSES = 6  # each narrows the bracket 32 times, to 1e-7 in log lambda

Rows = Callable[[], Iterator[np.ndarray]]


def solve_lambda(settings: "AceSettings", factor: Factor, rows: Rows) -> float:
    """The lambda that the settings ask for.

    Args:
        settings: With exactly one of ``lambda``, ``lambda_rel`` and ``target``.
        factor: Cut to the settings' dim; no singular value is 0.
        rows: Starts a pass over the unit rows, in chunks; used for a target mean cosine only.

    Raises:
        InputError: the target is out of reach; the reachable interval is stated.
    """
    if settings.lambda_ is not None:
        return settings.lambda_
    weakest = float(factor.singular_values[-1] ** 2)
    if settings.lambda_rel is not None:
        return settings.lambda_rel * weakest
    if settings.target.effective_rank is not None:
        return lambda_for_effective_rank(settings.target.effective_rank, factor.singular_values)
    return lambda_for_mean_cosine(settings.target.mean_cosine, factor, rows)


def lambda_for_effective_rank(share: float, singular_values: np.ndarray) -> float:
    """The lambda whose gains have an effective rank of ``share`` times their number.

    The share falls from 1 at lambda = 0: a larger lambda spreads the gains' ratios.

    Raises:
        InputError: no lambda reaches the share.
    """

    def excess(log_lambda: float) -> float:
        gain = gains(singular_values, math.exp(log_lambda))
        return effective_rank(gain) / len(gain) - share

    low, high = _search_range(singular_values)
    if excess(low) <= 0:  # between the limit at 0 and the first lambda searched
        return 0.0
    if excess(high) > 0:
        raise _out_of_reach("effective_rank", share, excess(high) + share, 1.0)
    return math.exp(brentq(excess, low, high, xtol=1e-12, rtol=1e-14))


def lambda_for_mean_cosine(target: float, factor: Factor, rows: Rows) -> float:
    """The smallest lambda found at which the mean pairwise cosine is ``target``.

    Raises:
        InputError: no lambda reaches the target.

    Cost:
        At most seven passes over the rows, O(rows x width x components) each.
    """
    low, high = _search_range(factor.singular_values)
    logs = np.concatenate([[-np.inf], np.linspace(low, high, GRID)])
    values = mean_cosines(rows(), factor, np.exp(logs))
    if not values.min() <= target <= values.max():
        raise _out_of_reach("mean_cosine", target, values.min(), values.max())
    left = _crossing(values, target)
    if left == 0:  # between the limit at 0 and the first lambda searched
        return 0.0
    for _ in range(N_PASSES - 1):
        logs = np.linspace(logs[left], logs[left + 1], GRID)
        values = mean_cosines(rows(), factor, np.exp(logs))
        left = _crossing(values, target)
    step = values[left + 1] - values[left]
    share = (target - values[left]) / step if step else 0.0
    return math.exp(logs[left] + share * (logs[left + 1] - logs[left]))


def mean_cosines(chunks: Iterator[np.ndarray], factor: Factor, lambdas: np.ndarray) -> np.ndarray:
    """Mean pairwise cosine of the ACE vectors for a grid of lambdas, in one pass.

    A row's scores p = (e - mean) V serve every lambda: the refined row is p / sqrt(s^2 + lambda).

    Args:
        chunks: Unit rows, (rows, width) float64.
        factor: Of all those rows.
        lambdas: (points,), >= 0.

    Returns:
        (points,) float64.
    """
    shrink = 1.0 / (factor.singular_values[:, None] ** 2 + lambdas)  # (components, points)
    sums = np.zeros(shrink.T.shape)
    for rows in chunks:
        scores = (rows - factor.mean) @ factor.directions  # (rows, components)
        lengths = np.sqrt(scores**2 @ shrink)  # (rows, points)
        inverse = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
        sums += inverse.T @ scores
    squares = np.einsum("pc,cp->p", sums**2, shrink)
    return mean_cosine(squares, factor.count)


def _crossing(values: np.ndarray, target: float) -> int:
    """The first place i where the target lies between values i and i + 1."""
    above = values >= target
    crossings = np.flatnonzero(above[1:] != above[:-1])
    if len(crossings):
        return int(crossings[0])
    # rounding pushed the target over an end of the bracket: the interval at that end
    return min(int(np.abs(values - target).argmin()), len(values) - 2)


def _search_range(singular_values: np.ndarray) -> tuple[float, float]:
    return (
        2 * math.log(singular_values[-1]) - math.log(FAR),
        2 * math.log(singular_values[0]) + math.log(FAR),
    )


def _out_of_reach(measure: str, target: float, lowest: float, highest: float) -> InputError:
    return InputError(
        f"target {measure} {target:g} is out of reach: lambda from 0 to infinity reaches "
        f"{lowest:.6g} to {highest:.6g} with these vectors and this width."
    )
