"""How vectors lie in space: one number each for how far they are from filling it evenly.

Most measures follow from spectra; neighbors and partition look at a sample of the rows.
"""

import numpy as np
import scipy.linalg
from scipy.special import logsumexp

from ace_steps.refine.factor import Factor
from ace_steps.refine.gram import MomentSum
from ace_steps.refine.methods import PreparedRefinement
from ace_steps.runtime import derive_seed

SAMPLE_ROWS = 20_000  # neighbors and partition are exact up to here
N_NEIGHBORS = 10
BLOCK_ROWS = 512


def raw_geometry(raw: Factor, centered: Factor, sample: np.ndarray) -> dict[str, float]:
    """Every measure of the unit rows, from their factors and a sample of them, (rows, dim)."""
    measures = spectral_measures(raw.singular_values, centered.singular_values**2)
    measures["partition_ratio"] = partition_ratio(sample, raw.components)
    if raw.count > 1:
        measures["mean_cosine"] = mean_cosine(float(raw.total @ raw.total), raw.count)
    return measures


class RefinedGeometry:
    """Takes the refined rows as they are made, and measures them in the end."""

    def __init__(self, prepared: PreparedRefinement, sample: np.ndarray):
        """``sample``: numbers of the rows that neighbors and partition are measured on."""
        self._prepared = prepared
        self._sample = SampleTaker(sample)
        self._sum = np.zeros(prepared.dim)
        self._moments = MomentSum(prepared.dim) if prepared.moments is None else None

    def add(self, rows: np.ndarray) -> None:
        """Look at the next refined rows, (rows, dim) float64."""
        self._sample.add(rows)
        self._sum += sum_of_unit_rows(rows)
        if self._moments is not None:
            self._moments.add(np.ascontiguousarray(rows))

    def measure(self, raw_neighbors: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
        """The measures by name, and the refined rows' singular values before scaling."""
        prepared = self._prepared
        moments = prepared.moments if self._moments is None else self._moments.moments()
        rows = self._sample.rows()
        squares, components = scipy.linalg.eigh(moments.gram)
        values = np.sqrt(np.clip(squares[::-1], 0, None))
        variances = np.clip(scipy.linalg.eigvalsh(moments.centered().gram), 0, None)
        measures = spectral_measures(values, variances)
        measures["partition_ratio"] = partition_ratio(rows, components)
        if moments.count > 1:
            measures["mean_cosine"] = mean_cosine(float(self._sum @ self._sum), moments.count)
            measures["neighbour_overlap"] = overlap(raw_neighbors, neighbors(rows))
        if "lambda" in prepared.facts:
            kept = prepared.spectrum[: len(prepared.gain)]
            energy = float((prepared.spectrum**2).sum())
            measures["reconstruction_error"] = reconstruction_error(
                kept, energy, prepared.facts["lambda"]
            )
        gain = values / prepared.facts["scale"] if prepared.gain is None else prepared.gain
        return measures, gain


class SampleTaker:
    """Picks the sample's rows out of chunks as they pass by, as float32."""

    def __init__(self, sample: np.ndarray):
        self._sample, self._n_seen, self._taken = sample, 0, []

    def add(self, rows: np.ndarray) -> None:
        """Look at the next chunk."""
        low, high = np.searchsorted(self._sample, [self._n_seen, self._n_seen + len(rows)])
        self._taken.append(rows[self._sample[low:high] - self._n_seen].astype(np.float32))
        self._n_seen += len(rows)

    def rows(self) -> np.ndarray:
        """The sample, in its order."""
        return np.concatenate(self._taken)


def sample_of(n_rows: int) -> np.ndarray:
    """Numbers of the rows to sample: all, or ``SAMPLE_ROWS`` drawn with a fixed seed, sorted."""
    if n_rows <= SAMPLE_ROWS:
        return np.arange(n_rows)
    generator = np.random.default_rng(derive_seed(0, "geometry/sample"))
    return np.sort(generator.choice(n_rows, SAMPLE_ROWS, replace=False))


def spectral_measures(singular_values: np.ndarray, variances: np.ndarray) -> dict[str, float]:
    """The measures that follow from the rows' spectrum.

    Args:
        singular_values: Of the rows as they are, one per dimension of the space, any order.
        variances: Of their principal components, likewise, in any common unit.
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

    Roy & Vetterli, EUSIPCO 2007.
    """
    shares = singular_values[singular_values > 0] / singular_values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def isoscore(variances: np.ndarray) -> float:
    """How evenly the variance fills the space: 1 on a sphere; 0 on a line, or if nothing varies.

    Rudman, Gillman, Rayne & Eickhoff, Findings of ACL 2022. ``variances`` as above.
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
    """Mean cosine over all pairs of different rows, of which there are at least 2.

    ``square_of_sum`` is the squared length of the sum of all rows, each scaled to length 1.
    """
    return (square_of_sum - count) / (count * (count - 1))


def sum_of_unit_rows(rows: np.ndarray) -> np.ndarray:
    """Sum of rows scaled to length 1 each; a zero row adds nothing."""
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    inverse = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return inverse @ rows


def reconstruction_error(singular_values: np.ndarray, total_square: float, lambda_: float) -> float:
    """Share of E's energy that the linear autoencoder B = X X' (X unscaled) does not give back.

    That is ||E' - E' B||^2 / ||E||^2, in [0, 1]; E is centered where the refinement centers.

    Args:
        singular_values: Those kept, (components,).
        total_square: Sum of all squared entries of E.
        lambda_: Ridge of the autoencoder, >= 0.
    """
    kept = singular_values**2
    lost = kept * (lambda_ / (kept + lambda_)) ** 2
    return float(np.clip((lost.sum() + total_square - kept.sum()) / total_square, 0, 1))


def partition_ratio(rows: np.ndarray, components: np.ndarray) -> float:
    """Smallest over largest of Z(c) = sum over rows of exp(c . x): 1 means the same everywhere.

    An eigenvector has no sign, so c runs over each and its opposite; the unit of length is the
    rows' root mean square, so that vectors of any scale compare. ``components`` are the rows' right
    singular vectors, (dim, components). Mu & Viswanath, ICLR 2018.
    """
    length = np.sqrt((rows.astype(np.float64) ** 2).sum() / len(rows))
    if not length:
        return 1.0
    unit = components / length
    logs = np.full((2, components.shape[1]), -np.inf)  # of the sums: one far row's exp overflows
    for start in range(0, len(rows), BLOCK_ROWS):
        exponents = rows[start : start + BLOCK_ROWS].astype(np.float64) @ unit
        block = [logsumexp(exponents, axis=0), logsumexp(-exponents, axis=0)]
        logs = np.logaddexp(logs, block)
    return float(np.exp(logs.min() - logs.max()))


def neighbors(rows: np.ndarray) -> np.ndarray:
    """The nearest other rows of each row by cosine, in no order, (rows, min(10, rows - 1)) int32.

    O(rows^2 dim) time, 512 rows of the rows x rows table at once. ``rows`` are float32; a zero row
    is at cosine 0 to every other.
    """
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    n_nearest = max(min(N_NEIGHBORS, len(rows) - 1), 0)
    nearest = np.empty((len(rows), n_nearest), np.int32)
    for start in range(0, len(rows) if n_nearest else 0, BLOCK_ROWS):
        cosines = unit[start : start + BLOCK_ROWS] @ unit.T
        row = np.arange(len(cosines))
        cosines[row, start + row] = -np.inf
        block = np.argpartition(cosines, -n_nearest, axis=1)[:, -n_nearest:]
        nearest[start : start + BLOCK_ROWS] = block
    return nearest


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Mean share of neighbors that two tables of ``neighbors`` have in common, in [0, 1]."""
    n_blocks = -(-len(one) // BLOCK_ROWS)
    blocks = zip(np.array_split(one, n_blocks), np.array_split(other, n_blocks), strict=True)
    n_shared = sum(int((a[:, :, None] == b[:, None, :]).sum()) for a, b in blocks)
    return n_shared / one.size
