"""Singular values and right singular vectors of the item vectors, from their Gram matrix."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from ace_steps.errors import InputError
from ace_steps.refine.moments import Moments

Solver = Callable[[np.ndarray, int | None], tuple[np.ndarray, np.ndarray]]

SIGN_TIE = 1e-6  # entries this close to the largest count as equal to it


@dataclass(frozen=True)
class Factor:
    """E - mean = U diag(s) V', without U.

    Attributes:
        singular_values: s, strongest first, (components,) float64; 0 beyond the rank.
        directions: V, (width, components) float64, orthonormal columns with fixed signs.
        mean: What is subtracted from a row: zeros where E is not centred, (width,) float64.
        total: Sum of the rows after that subtraction, (width,) float64.
        count: Number of rows n.
        rank: Number of directions that are more than rounding error.
    """

    singular_values: np.ndarray
    directions: np.ndarray
    mean: np.ndarray
    total: np.ndarray
    count: int
    rank: int

    def leading(self, n_components: int) -> "Factor":
        """The factor cut to its strongest directions.

        Raises:
            InputError: more are asked for than there are.
        """
        require_rank(n_components, self)
        return Factor(
            self.singular_values[:n_components],
            self.directions[:, :n_components],
            self.mean,
            self.total,
            self.count,
            n_components,
        )


def require_rank(n_components: int, factor: Factor) -> None:
    """Refuse more components than the vectors have.

    Raises:
        InputError: says which limit is passed: items, their width, or their rank.
    """
    width = len(factor.mean)
    limits = {
        f"there are only {factor.count} items": factor.count,
        f"the item vectors have only {width} entries": width,
        f"the {'centred ' if factor.mean.any() else ''}item vectors have only rank {factor.rank}, "
        f"with {factor.count} items of dim {width}": factor.rank,
    }
    for limit, value in limits.items():
        if n_components > value:
            raise InputError(f"dim {n_components} is asked for, but {limit}.")


def factorise(
    moments: Moments, *, center: bool, n_leading: int | None = None, solve: Solver | None = None
) -> Factor:
    """The factor of rows whose moments are given.

    Args:
        moments: Of the rows as they are.
        center: Whether the mean row is subtracted first.
        n_leading: How many directions are wanted; all of them where None. Fewer come back where
            the vectors have fewer entries.
        solve: The eigenvalue solver; ``eigenpairs`` where None.

    Raises:
        InputError: there are no rows.

    Cost:
        O(width^3) time; three float64 arrays of the Gram matrix's shape for all directions, two
        for a few. Squaring costs the weakest directions digits: a direction counts as rounding
        error when s^2 < 10 eps max(width, sqrt(n)) s_1^2, that is s / s_1 below about 1e-6.
    """
    if not moments.count:
        raise InputError("there are no item vectors: the table is empty.")
    mean = moments.mean if center else np.zeros(moments.width)
    gram = moments.centred().gram if center else moments.gram
    eigenvalues, directions = (solve or eigenpairs)(gram, n_leading)
    # the noise floor is that of the uncentred matrix, which the centred one is computed from
    largest = max(eigenvalues[0], float(moments.mean @ moments.mean) * moments.count)
    return as_factor(eigenvalues, directions, mean=mean, moments=moments, largest=largest)


def eigenpairs(gram: np.ndarray, n_leading: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues of a symmetric matrix, largest first, and their vectors as columns."""
    width = len(gram)
    if n_leading is None or n_leading >= width:
        values, vectors = scipy.linalg.eigh(gram, driver="evd", check_finite=False)
    else:
        subset = [width - n_leading, width - 1]
        values, vectors = scipy.linalg.eigh(
            gram, driver="evr", subset_by_index=subset, check_finite=False
        )
    return values[::-1], vectors[:, ::-1]


def as_factor(
    eigenvalues: np.ndarray,
    directions: np.ndarray,
    *,
    mean: np.ndarray,
    moments: Moments,
    largest: float,
) -> Factor:
    """A factor from eigenpairs of a Gram matrix: noise cut to 0, signs fixed.

    Args:
        eigenvalues: Largest first, (components,).
        directions: Eigenvectors as columns, (width, components).
        mean: What was subtracted from each row, (width,).
        moments: Of the rows before that.
        largest: Size of the matrix the rounding errors belong to, its largest eigenvalue.
    """
    errors = 10 * np.finfo(np.float64).eps * max(moments.width, np.sqrt(moments.count))
    limit = min(moments.count, moments.width)
    rank = min(int((eigenvalues > errors * largest).sum()), limit)
    squares = np.where(np.arange(len(eigenvalues)) < rank, eigenvalues, 0.0)
    total = moments.total - moments.count * mean
    return Factor(np.sqrt(squares), with_fixed_signs(directions), mean, total, moments.count, rank)


def with_fixed_signs(directions: np.ndarray) -> np.ndarray:
    """Columns whose largest entry is positive, the first of them where several are as large."""
    sizes = np.abs(directions)
    is_largest = sizes >= (1 - SIGN_TIE) * sizes.max(axis=0)
    pivots = directions[is_largest.argmax(axis=0), np.arange(directions.shape[1])]
    return np.ascontiguousarray(directions * np.where(pivots < 0, -1.0, 1.0))
