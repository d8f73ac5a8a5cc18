"""How vectors lie in space: one number each for how far they are from filling it evenly.

Most measures follow from spectra; neighbours and partition look at a sample of the rows.
"""

import numpy as np
from scipy.special import logsumexp

from ace_steps.runtime import derive_seed

SAMPLE_ROWS = 20_000  # neighbours and partition are exact up to here
N_NEIGHBOURS = 10
BLOCK_ROWS = 512


def spectral_measures(singular_values: np.ndarray, variances: np.ndarray) -> dict[str, float]:
    """The measures that follow from the rows' spectrum.

    Args:
        singular_values: Of the rows as they are, one per dimension of the space, any order.
        variances: Of their principal components, one per dimension, any common unit.

    Returns:
        ``top_share`` and ``participation_ratio`` of the squared singular values,
        ``effective_rank``, the same as a share of the dimensions, and ``isoscore``.
    """
    squares = singular_values**2
    rank = effective_rank(singular_values)
    return {
        "top_share": float(squares.max() / squares.sum()),
        "participation_ratio": float(squares.sum() ** 2 / (squares**2).sum()),
        "effective_rank": rank,
        "effective_rank_share": rank / len(squares),
        "isoscore": isoscore(variances),
    }


def effective_rank(singular_values: np.ndarray) -> float:
    """Exponential of the entropy of the singular values' shares, in [1, their number].

    Source:
        Roy & Vetterli, EUSIPCO 2007.
    """
    shares = singular_values[singular_values > 0] / singular_values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def isoscore(variances: np.ndarray) -> float:
    """How evenly the variance fills the space: 1 on a sphere, 0 on a line.

    Args:
        variances: Of the principal components, one per dimension of the space, any common unit.

    Returns:
        In [0, 1]; 0 where nothing varies or the space has one dimension.

    Source:
        Rudman, Gillman, Rayne & Eickhoff, Findings of ACL 2022.
    """
    d = len(variances)
    length = np.linalg.norm(variances)
    if d < 2 or not length:
        return 0.0
    distance = np.linalg.norm(np.sqrt(d) * variances / length - 1)
    defect = distance / np.sqrt(2 * (d - np.sqrt(d)))
    used = (d - defect**2 * (d - np.sqrt(d))) ** 2 / d**2  # share of dimensions in use
    return float(np.clip((d * used - 1) / (d - 1), 0, 1))


def mean_cosine(square_of_sum: float | np.ndarray, count: int) -> float | np.ndarray:
    """Mean cosine over all pairs of different rows.

    Args:
        square_of_sum: Squared length of the sum of all rows, each scaled to length 1.
        count: Number of rows, at least 2.

    Returns:
        In [-1 / (count - 1), 1].
    """
    return (square_of_sum - count) / (count * (count - 1))


def reconstruction_error(singular_values: np.ndarray, total_square: float, lambda_: float) -> float:
    """Share of E's energy that the linear autoencoder B = X X' (X unscaled) does not give back.

    Args:
        singular_values: Those kept, (components,).
        total_square: Sum of all squared entries of E (minus the mean, where centred).
        lambda_: Ridge of the autoencoder, >= 0.

    Returns:
        ||E' - E' B||^2 / ||E||^2, in [0, 1].
    """
    kept = singular_values**2
    if not total_square > 0:
        return 0.0
    lost = kept * (lambda_ / (kept + lambda_)) ** 2
    return float(np.clip((lost.sum() + total_square - kept.sum()) / total_square, 0, 1))


def sample_of(n_rows: int) -> np.ndarray:
    """The rows that neighbours and partition are measured on: all, or a seeded sample, sorted."""
    if n_rows <= SAMPLE_ROWS:
        return np.arange(n_rows)
    generator = np.random.default_rng(derive_seed(0, "geometry/sample"))
    return np.sort(generator.choice(n_rows, SAMPLE_ROWS, replace=False))


def partition_ratio(rows: np.ndarray, directions: np.ndarray) -> float:
    """Smallest over largest of Z(c) = sum over rows of exp(c . x): 1 means the same everywhere.

    An eigenvector has no sign, so c runs over each and its opposite; the unit of length is the
    rows' root mean square, so that vectors of any scale compare.

    Args:
        rows: (rows, width).
        directions: Eigenvectors of rows' rows as columns, (width, components).

    Returns:
        In (0, 1].

    Source:
        Mu & Viswanath, ICLR 2018.
    """
    length = np.sqrt((rows.astype(np.float64) ** 2).sum() / len(rows))
    if not length:
        return 1.0
    unit = directions / length
    logs = np.full((2, directions.shape[1]), -np.inf)  # of the sums: one far row's exp overflows
    for start in range(0, len(rows), BLOCK_ROWS):
        exponents = rows[start : start + BLOCK_ROWS].astype(np.float64) @ unit
        block = [logsumexp(exponents, axis=0), logsumexp(-exponents, axis=0)]
        logs = np.logaddexp(logs, block)
    return float(np.exp(logs.min() - logs.max()))


def neighbours(rows: np.ndarray) -> np.ndarray:
    """The nearest other rows of each row by cosine, in no order.

    Args:
        rows: (rows, width) float32; a zero row is at cosine 0 to every other.

    Returns:
        (rows, min(10, rows - 1)) int32.

    Cost:
        O(rows^2 width) time, 512 rows of the rows x rows table at once.
    """
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    n_wanted = min(N_NEIGHBOURS, len(rows) - 1)
    found = np.empty((len(rows), max(n_wanted, 0)), np.int32)
    for start in range(0, len(rows) if n_wanted > 0 else 0, BLOCK_ROWS):
        cosines = unit[start : start + BLOCK_ROWS] @ unit.T
        own = np.arange(len(cosines))
        cosines[own, start + own] = -np.inf
        nearest = np.argpartition(cosines, -n_wanted, axis=1)[:, -n_wanted:]
        found[start : start + BLOCK_ROWS] = nearest
    return found


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Mean share of neighbours that two tables of ``neighbours`` have in common, in [0, 1]."""
    shared = sum(
        int(
            (
                one[start : start + BLOCK_ROWS, :, None]
                == other[start : start + BLOCK_ROWS, None, :]
            ).sum()
        )
        for start in range(0, len(one), BLOCK_ROWS)
    )
    return shared / one.size


class SampleTaker:
    """Picks the sample's rows out of chunks as they pass by."""

    def __init__(self, sample: np.ndarray):
        self._sample, self._n_seen, self._taken = sample, 0, []

    def add(self, rows: np.ndarray) -> None:
        """Look at the next chunk; the picked rows are kept as float32."""
        low, high = np.searchsorted(self._sample, [self._n_seen, self._n_seen + len(rows)])
        self._taken.append(rows[self._sample[low:high] - self._n_seen].astype(np.float32))
        self._n_seen += len(rows)

    def rows(self) -> np.ndarray:
        """The sample, in its order."""
        return np.concatenate(self._taken)


def sum_of_unit_rows(rows: np.ndarray) -> np.ndarray:
    """Sum of rows scaled to length 1 each; a zero row adds nothing."""
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    inverse = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return inverse @ rows
