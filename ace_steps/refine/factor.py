"""Singular values and right singular vectors of the item vectors, from their Gram matrix."""

from dataclasses import dataclass, replace

import numpy as np

from ace_steps.errors import InputError
from ace_steps.refine.gram import Moments, eigenpairs

SIGN_TIE = 1e-6  # entries this close to the largest count as equal to it


@dataclass(frozen=True)
class Factor:
    """E - mean = U diag(s) V', without U; all arrays are float64."""

    singular_values: np.ndarray  # s, strongest first, (components,); 0 beyond the rank
    components: np.ndarray  # V, (dim, components), orthonormal columns with fixed signs
    mean: np.ndarray  # subtracted from a row, (dim,); zeros where E is not centered
    total: np.ndarray  # sum of the rows after that subtraction, (dim,)
    count: int  # of rows
    rank: int  # components that are more than rounding error

    def leading(self, n_components: int) -> "Factor":
        """The factor cut to its strongest components.

        Raises:
            InputError: there are fewer.
        """
        if n_components > self.rank:
            centered = "centered " if self.mean.any() else ""
            raise InputError(
                f"dim: expected at most {self.rank}, the rank of the {centered}item vectors "
                f"({self.count} items of dim {len(self.mean)}), got {n_components}."
            )
        return replace(
            self,
            singular_values=self.singular_values[:n_components],
            components=self.components[:, :n_components],
            rank=n_components,
        )


def factorize(
    moments: Moments, *, center: bool, n_leading: int | None = None, device: str = "cpu"
) -> Factor:
    """The factor of rows whose moments are given.

    O(dim^3) time; three float64 arrays of the Gram matrix's shape for all components, two for a
    few. Squaring costs the weakest components digits: one counts as rounding error when
    s^2 < 10 eps max(dim, sqrt(n)) s_1^2, that is s / s_1 below about 1e-6.

    Args:
        moments: Of the rows as they are.
        center: Whether the mean row is subtracted first.
        n_leading: Number of components; all where None or where the vectors have fewer entries.
        device: Where the Gram matrix is solved, ``cpu`` or ``cuda``.
    """
    dim = len(moments.total)
    mean = moments.mean if center else np.zeros(dim)
    gram = moments.centered().gram if center else moments.gram
    eigenvalues, components = eigenpairs(gram, n_leading, device)
    # the noise floor is that of the uncentered matrix, which the centered one is computed from
    largest = max(eigenvalues[0], float(moments.mean @ moments.mean) * moments.count)
    noise = 10 * np.finfo(np.float64).eps * max(dim, np.sqrt(moments.count)) * largest
    rank = min(int((eigenvalues > noise).sum()), moments.count, dim)
    squares = np.where(np.arange(len(eigenvalues)) < rank, eigenvalues, 0.0)
    return Factor(
        singular_values=np.sqrt(squares),
        components=with_fixed_signs(components),
        mean=mean,
        total=moments.total - moments.count * mean,
        count=moments.count,
        rank=rank,
    )


def with_fixed_signs(components: np.ndarray) -> np.ndarray:
    """Columns whose largest entry is positive, the first of them where several are as large."""
    sizes = np.abs(components)
    is_largest = sizes >= (1 - SIGN_TIE) * sizes.max(axis=0)
    pivots = components[is_largest.argmax(axis=0), np.arange(components.shape[1])]
    return np.ascontiguousarray(components * np.where(pivots < 0, -1.0, 1.0))
