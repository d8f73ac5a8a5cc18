"""ACE on any matrix of vectors, in one call."""

import math

from ace_steps.errors import InputError
from ace_steps.refine.factor import factorise
from ace_steps.refine.moments import MomentSum
from ace_steps.refine.refinement import Refinement
from ace_steps.refine.rows import as_chunks, unit_rows
from ace_steps.refine.spectral import entry_std, gains, scale_to, spectral_weights


def fit(
    vectors: object,
    width: int = 128,
    *,
    lambda_: float = 50.0,
    gamma: float = 0.1,
    center: bool = False,
) -> Refinement:
    """The ACE refinement of vectors; the defaults are the authors' released example.

    Args:
        vectors: (rows, width in) NumPy array or torch tensor of any float type, or an iterable of
            row chunks, which is read once. Rows are scaled to length 1 here.
        width: Entries of a refined vector, k.
        lambda_: >= 0; 0 whitens, larger keeps more of the vectors' own anisotropy. In the unit
            of s^2, which grows with the number of rows.
        gamma: Standard deviation over all entries of the refined vectors, > 0.
        center: Whether the mean vector is subtracted first.

    Raises:
        InputError: NaN, infinity or an all-zero row, no rows, chunks of different widths, more
            components than the vectors' rank, a lambda or gamma out of range.

    Cost:
        One pass; two float64 arrays of width in x width in and one chunk of 32 MB.

    Source:
        ACE, SIGIR 2026, arXiv:2605.29322.
    """
    if not 0 <= lambda_ < math.inf:
        raise InputError(f"lambda_ must be >= 0 and finite, got {lambda_}.")
    if not 0 < gamma < math.inf:
        raise InputError(f"gamma must be > 0 and finite, got {gamma}.")
    if width < 1:
        raise InputError(f"width must be at least 1, got {width}.")
    total, first = None, 0
    for chunk in as_chunks(vectors):
        total = total or MomentSum(chunk.shape[1])
        total.add(unit_rows(chunk, first=first))
        first += len(chunk)
    if total is None:
        raise InputError("there are no vectors to fit: the input has no rows.")
    factor = factorise(total.moments(), center=center, n_leading=width).leading(width)
    gain = gains(factor.singular_values, lambda_)
    weights = spectral_weights(factor, gain)
    scale = scale_to(gamma, entry_std(weights, gain, factor))
    facts = {"method": "ace", "lambda": lambda_, "gamma": gamma, "center": center}
    return Refinement(weights, factor.mean, scale, factor.singular_values, gain, facts)
