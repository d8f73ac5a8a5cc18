"""ACE on any matrix of vectors, in one call."""

import math
from collections.abc import Sequence

from ace_steps.errors import InputError
from ace_steps.refine.factor import factorize
from ace_steps.refine.gram import Moments, MomentSum
from ace_steps.refine.refinement import Refinement, as_chunks, unit_rows
from ace_steps.refine.spectral import gains, spectral_map


def fit(
    vectors: object,
    dim: int = 128,
    *,
    lambda_: float = 50.0,
    gamma: float = 0.1,
    center: bool = False,
) -> Refinement:
    """The ACE refinement of vectors (SIGIR 2026, arXiv:2605.29322).

    The defaults are the authors' released example. One pass; memory for two float64 arrays of
    dim in x dim in and one chunk of 32 MB.

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
    """The ACE refinements of vectors for a grid of lambdas, from one pass and one solve.

    Arguments and errors are those of ``fit``.

    Returns:
        One refinement for each lambda, in their order; ``Refinement.convert`` turns vectors of
        one into vectors of another by one multiplication per entry.
    """
    for lambda_ in lambdas:
        if not 0 <= lambda_ < math.inf:
            raise InputError(f"lambda_: expected a finite number >= 0, got {lambda_}.")
    if not 0 < gamma < math.inf:
        raise InputError(f"gamma: expected a finite number > 0, got {gamma}.")
    if dim < 1:
        raise InputError(f"dim: expected at least 1, got {dim}.")
    factor = factorize(_moments_of(vectors), center=center, n_leading=dim).leading(dim)
    refinements = []
    for lambda_ in lambdas:
        gain = gains(factor.singular_values, lambda_)
        weights, scale = spectral_map(factor, gain, gamma)
        facts = {"method": "ace", "lambda": lambda_, "gamma": gamma, "center": center}
        refinements.append(
            Refinement(weights, factor.mean, scale, factor.singular_values, gain, facts)
        )
    return refinements


def _moments_of(vectors: object) -> Moments:
    total, first = None, 0
    for chunk in as_chunks(vectors):
        total = total or MomentSum(chunk.shape[1])
        total.add(unit_rows(chunk, first=first))
        first += len(chunk)
    if total is None:
        raise InputError("vectors: expected at least one row; the input has no rows.")
    return total.moments()
