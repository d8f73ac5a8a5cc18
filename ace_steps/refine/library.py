"""ACE on any matrix of vectors, in one call."""

import math
from collections.abc import Sequence

from ace_steps.errors import InputError
from ace_steps.refine.factor import Factor, factorise
from ace_steps.refine.moments import Moments, MomentSum
from ace_steps.refine.refinement import Refinement
from ace_steps.refine.rows import as_chunks, unit_rows
from ace_steps.refine.spectral import entry_std, gains, scale_to, spectral_weights


def fit(
    vectors: object,
    dim: int = 128,
    *,
    lambda_: float = 50.0,
    gamma: float = 0.1,
    center: bool = False,
) -> Refinement:
    """The ACE refinement of vectors; the defaults are the authors' released example.

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

    Cost:
        One pass; two float64 arrays of dim in x dim in and one chunk of 32 MB.

    Source:
        ACE, SIGIR 2026, arXiv:2605.29322.
    """
    return fit_grid(vectors, dim, lambdas=[lambda_], gamma=gamma, center=center)[0]


def fit_grid(
    vectors: object, dim: int, *, lambdas: Sequence[float], gamma: float, center: bool
) -> list[Refinement]:
    """The ACE refinements of vectors for a grid of lambdas, from one pass and one solve.

    Args:
        vectors: As for ``fit``.
        dim: Dimensions of a refined vector, k.
        lambdas: As ``fit``'s ``lambda_``, at least one.
        gamma: Standard deviation over all entries of the refined vectors, > 0.
        center: Whether the mean vector is subtracted first.

    Returns:
        One refinement for each lambda, in their order; ``Refinement.convert`` turns vectors of
        one into vectors of another by one multiplication per entry.

    Raises:
        InputError: as ``fit``.
    """
    wrong = [value for value in lambdas if not 0 <= value < math.inf]
    if wrong:
        raise InputError(f"lambda_ must be >= 0 and finite, got {wrong[0]}.")
    if not 0 < gamma < math.inf:
        raise InputError(f"gamma must be > 0 and finite, got {gamma}.")
    if dim < 1:
        raise InputError(f"dim must be at least 1, got {dim}.")
    factor = factorise(_moments(vectors), center=center, n_leading=dim).leading(dim)
    return [_refinement(factor, value, gamma=gamma, center=center) for value in lambdas]


def _moments(vectors: object) -> Moments:
    total, first = None, 0
    for chunk in as_chunks(vectors):
        total = total or MomentSum(chunk.shape[1])
        total.add(unit_rows(chunk, first=first))
        first += len(chunk)
    if total is None:
        raise InputError("there are no vectors to fit: the input has no rows.")
    return total.moments()


def _refinement(factor: Factor, lambda_: float, *, gamma: float, center: bool) -> Refinement:
    gain = gains(factor.singular_values, lambda_)
    weights = spectral_weights(factor, gain)
    scale = scale_to(gamma, entry_std(weights, gain, factor))
    facts = {"method": "ace", "lambda": lambda_, "gamma": gamma, "center": center}
    return Refinement(weights, factor.mean, scale, factor.singular_values, gain, facts)
