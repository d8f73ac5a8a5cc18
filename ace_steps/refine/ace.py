"""ACE: ridge-damped whitening of item vectors (SIGIR 2026, arXiv:2605.29322).

In the pipeline lambda is given, or solved for a geometry that a person can read: the effective rank
follows from the spectrum alone, the mean cosine from passes over the rows that each try a grid of
lambdas. ``fit`` is the method as a library, on any matrix of vectors.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from ace_steps.errors import InputError
from ace_steps.refine.factor import Factor, factorize
from ace_steps.refine.geometry import effective_rank, mean_cosine
from ace_steps.refine.gram import MomentSum
from ace_steps.refine.methods import (
    Center,
    FactoredVectors,
    Gamma,
    PreparedRefinement,
    RefinementSettings,
    rescaled,
    spectral_map,
)
from ace_steps.refine.refinement import Refinement, unit_chunks
from ace_steps.settings import Grid, NonNegative, Settings

LAMBDA_KEYS = ("lambda", "lambda_rel", "target")
DEFAULT_LAMBDA_REL = [0.0, 0.1, 1.0]  # above s_k^2 the probe only falls
MARGIN = 1e8  # lambda is searched from s_k^2 / MARGIN to s_1^2 * MARGIN: beyond, nothing moves
LAMBDAS_PER_PASS = 33  # over the rows
N_PASSES = 6  # each narrows the bracket 32 times, to 1e-7 in log lambda


class Target(Settings):
    """A geometry that lambda is solved for; exactly one of its keys."""

    effective_rank: Grid[Annotated[float, Field(gt=0, le=1)]] | None = Field(
        None,
        description="Effective rank (exponential of the entropy of the singular values) as a share "
        "of dim; 1 is whitened.",
    )
    mean_cosine: Grid[Annotated[float, Field(ge=-1, le=1)]] | None = Field(
        None,
        description="Mean cosine over all pairs of items; near 0 for every lambda where the "
        "vectors are centered.",
    )

    @model_validator(mode="after")
    def _one_measure(self) -> "Target":
        if (self.effective_rank is None) == (self.mean_cosine is None):
            raise ValueError("expected exactly one of effective_rank and mean_cosine")
        return self


class AceSettings(RefinementSettings):
    """ACE: singular vectors with gains s / sqrt(s^2 + lambda), rescaled to gamma.

    One of lambda, lambda_rel and target sets the dial; without any of them lambda_rel is the grid
    [0, 0.1, 1].
    """

    method: Literal["ace"] = "ace"
    lambda_: Grid[NonNegative] | None = Field(
        None,
        description="Ridge in the unit of s^2, which grows with the number of items; 0 whitens, "
        "the larger the more of the vectors' own anisotropy is kept.",
    )
    lambda_rel: Grid[NonNegative] | None = Field(
        None,
        description="Ridge in units of s_k^2, the weakest component kept, so that it means the "
        "same for every catalog; [0, 0.1, 1] where none of lambda, lambda_rel and target is given.",
    )
    target: Target | None = Field(
        None, description="Geometry of the refined vectors that lambda is solved for."
    )
    gamma: Gamma = 0.2
    center: Center = False

    @model_validator(mode="before")
    @classmethod
    def _default_lambda(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        keys = {key.removesuffix("_") for key, value in given.items() if value is not None}
        return given if keys & set(LAMBDA_KEYS) else {**given, "lambda_rel": DEFAULT_LAMBDA_REL}

    @model_validator(mode="after")
    def _one_lambda(self) -> "AceSettings":
        values = (self.lambda_, self.lambda_rel, self.target)
        keys = [key for key, value in zip(LAMBDA_KEYS, values, strict=True) if value is not None]
        if len(keys) != 1:
            raise ValueError(f"expected one of {', '.join(LAMBDA_KEYS)}, got {' and '.join(keys)}")
        return self


def gains(singular_values: np.ndarray, lambda_: float) -> np.ndarray:
    """Singular values of the ACE vectors before scaling, s / sqrt(s^2 + lambda), (components,).

    ``lambda_`` >= 0 is in the unit of s^2. At 0 every gain is 1 (whitening); the larger it is, the
    closer the gains are to s / sqrt(lambda), which is the anisotropy of the vectors themselves.
    """
    return singular_values / np.sqrt(singular_values**2 + lambda_)


def ace(settings: AceSettings, vectors: FactoredVectors) -> PreparedRefinement:
    """U_k g(S_k) brought to standard deviation gamma, g(s) = s / sqrt(s^2 + lambda)."""
    factor = vectors.factor(center=settings.center)
    kept = factor.leading(settings.dim)
    lambda_ = solve_lambda(settings, kept, vectors.rows)
    gain = gains(kept.singular_values, lambda_)
    return rescaled(factor, gain, gamma=settings.gamma, lambda_=lambda_)


def solve_lambda(
    settings: AceSettings, factor: Factor, rows: Callable[[], Iterator[np.ndarray]]
) -> float:
    """The lambda of the settings, for a factor cut to their dim.

    ``rows`` starts a pass over the unit rows, in chunks; it is used for a target mean cosine only.

    Raises:
        InputError: the target is out of reach; the reachable interval is stated.
    """
    if settings.lambda_ is not None:
        return settings.lambda_
    if settings.lambda_rel is not None:
        return settings.lambda_rel * float(factor.singular_values[-1] ** 2)
    if settings.target.effective_rank is not None:
        return _lambda_for_effective_rank(settings.target.effective_rank, factor.singular_values)
    return _lambda_for_mean_cosine(settings.target.mean_cosine, factor, rows)


def _lambda_for_effective_rank(share: float, singular_values: np.ndarray) -> float:
    """The share falls from 1 at lambda = 0: a larger lambda spreads the gains' ratios."""
    from scipy.optimize import brentq  # a tenth of a second that every plan would take

    def excess(log_lambda: float) -> float:
        gain = gains(singular_values, math.exp(log_lambda))
        return effective_rank(gain) / len(gain) - share

    low, high = _search_range(singular_values)
    if excess(low) <= 0:  # between the limit at 0 and the first lambda searched
        return 0.0
    if excess(high) > 0:
        raise _out_of_reach("effective_rank", share, excess(high) + share, 1.0)
    return math.exp(brentq(excess, low, high, xtol=1e-12, rtol=1e-14))


def _lambda_for_mean_cosine(
    target: float, factor: Factor, rows: Callable[[], Iterator[np.ndarray]]
) -> float:
    """The smallest lambda, as far as the grid tells, in at most ``N_PASSES`` passes of the rows."""
    low, high = _search_range(factor.singular_values)
    logs = np.concatenate([[-np.inf], np.linspace(low, high, LAMBDAS_PER_PASS)])
    values = mean_cosines(rows(), factor, np.exp(logs))
    if not values.min() <= target <= values.max():
        raise _out_of_reach("mean_cosine", target, values.min(), values.max())
    left = _first_crossing(values, target)
    if left == 0:  # between the limit at 0 and the first lambda searched
        return 0.0
    for _ in range(N_PASSES - 1):
        logs = np.linspace(logs[left], logs[left + 1], LAMBDAS_PER_PASS)
        values = mean_cosines(rows(), factor, np.exp(logs))
        left = _first_crossing(values, target)
    step = values[left + 1] - values[left]
    share = (target - values[left]) / step if step else 0.0
    return math.exp(logs[left] + share * (logs[left + 1] - logs[left]))


def mean_cosines(chunks: Iterator[np.ndarray], factor: Factor, lambdas: np.ndarray) -> np.ndarray:
    """Mean pairwise cosine of the ACE vectors for a grid of lambdas, in one pass.

    A row's scores p = (e - mean) V serve every lambda: the refined row is p / sqrt(s^2 + lambda).
    O(rows x dim x components) time.
    """
    shrink = 1.0 / (factor.singular_values[:, None] ** 2 + lambdas)  # (components, n_lambdas)
    sums = np.zeros(shrink.T.shape)
    for rows in chunks:
        scores = (rows - factor.mean) @ factor.components  # (rows, components)
        lengths = np.sqrt(scores**2 @ shrink)  # (rows, n_lambdas)
        inverse = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
        sums += inverse.T @ scores
    squares = np.einsum("pc,cp->p", sums**2, shrink)
    return mean_cosine(squares, factor.count)


def _first_crossing(values: np.ndarray, target: float) -> int:
    """The first i such that the target lies between values i and i + 1."""
    above = values >= target
    crossings = np.flatnonzero(above[1:] != above[:-1])
    if len(crossings):
        return int(crossings[0])
    # rounding pushed the target over an end of the bracket: the interval at that end
    return min(int(np.abs(values - target).argmin()), len(values) - 2)


def _search_range(singular_values: np.ndarray) -> tuple[float, float]:
    return (
        2 * math.log(singular_values[-1]) - math.log(MARGIN),
        2 * math.log(singular_values[0]) + math.log(MARGIN),
    )


def _out_of_reach(measure: str, target: float, lowest: float, highest: float) -> InputError:
    return InputError(
        f"target.{measure}: expected {lowest:.6g} to {highest:.6g}, which lambda from 0 to "
        f"infinity reaches with these vectors and this dim, got {target:g}."
    )


def fit(
    vectors: object,
    dim: int = 128,
    *,
    lambda_: float = 50.0,
    gamma: float = 0.1,
    center: bool = False,
) -> Refinement:
    """The ACE refinement of vectors; the defaults are the authors' released example.

    One pass; memory for two float64 arrays of dim in x dim in and one chunk of 32 MB.

    Args:
        vectors: (rows, dim in) NumPy array or torch tensor of any float type, or an iterable of
            row chunks, which is read once. Rows are scaled to length 1 here.
        dim: Dimensions of a refined vector, k.
        lambda_: >= 0; 0 whitens, larger keeps more of the vectors' own anisotropy. In the unit
            of s^2, which grows with the number of rows.
        gamma: Standard deviation over all entries of the refined vectors, > 0.
        center: Whether the mean vector is subtracted first.

    Raises:
        InputError: NaN, infinity or an all-zero row, no rows, chunks of different dims, more
            components than the vectors' rank, a lambda or gamma out of range.
    """
    return fit_grid(vectors, dim, lambdas=[lambda_], gamma=gamma, center=center)[0]


def fit_grid(
    vectors: object, dim: int, *, lambdas: Sequence[float], gamma: float, center: bool
) -> list[Refinement]:
    """The refinement of ``fit`` for each of several lambdas, from one pass and one solve.

    ``Refinement.convert`` turns vectors of one into vectors of another by one multiplication per
    entry.
    """
    for lambda_ in lambdas:
        if not 0 <= lambda_ < math.inf:
            raise InputError(f"lambda_: expected a finite number >= 0, got {lambda_}.")
    if not 0 < gamma < math.inf:
        raise InputError(f"gamma: expected a finite number > 0, got {gamma}.")
    if dim < 1:
        raise InputError(f"dim: expected at least 1, got {dim}.")
    total = None
    for _, rows in unit_chunks(vectors):
        total = total or MomentSum(rows.shape[1])
        total.add(rows)
    if total is None:
        raise InputError("vectors: expected at least one row, got none.")
    factor = factorize(total.moments(), center=center, n_leading=dim).leading(dim)
    refinements = []
    for lambda_ in lambdas:
        gain = gains(factor.singular_values, lambda_)
        weights, scale = spectral_map(factor, gain, gamma)
        facts = {"method": "ace", "lambda": lambda_, "gamma": gamma, "center": center}
        refinements.append(
            Refinement(weights, factor.mean, scale, factor.singular_values, gain, facts)
        )
    return refinements
