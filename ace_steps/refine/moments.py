"""Gram matrix, sum and count of unit rows: all that any refinement needs to know of the items.

They add: chunks into a shard, shards into a catalogue, in any order.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import blas

from ace_steps.errors import InputError


@dataclass(frozen=True)
class Moments:
    """Sums over the rows e of E.

    Attributes:
        gram: sum of e' e, (width, width) float64, symmetric.
        total: sum of e, (width,) float64.
        count: Number of rows.
    """

    gram: np.ndarray
    total: np.ndarray
    count: int

    @property
    def width(self) -> int:
        """Entries of one row."""
        return len(self.total)

    @property
    def mean(self) -> np.ndarray:
        """Mean row, (width,)."""
        return self.total / self.count

    def centred(self) -> "Moments":
        """Moments of the rows minus their mean: a rank-one correction, no pass over the rows.

        Cost: one more array of gram's shape.
        """
        gram = self.gram - np.outer(self.total, self.total) / self.count
        return Moments(gram, np.zeros_like(self.total), self.count)

    def __add__(self, other: "Moments") -> "Moments":
        """Moments of both sets of rows together; an empty set fits any width.

        Raises:
            InputError: the widths differ.
        """
        if not other.count:
            return self
        if not self.count:
            return other
        if self.width != other.width:
            raise InputError(
                f"Gram matrices of vectors of width {self.width} and {other.width} do not add."
            )
        return Moments(self.gram + other.gram, self.total + other.total, self.count + other.count)


class MomentSum:
    """Adds chunks of unit rows up; memory is one (width, width) array."""

    def __init__(self, width: int):
        self._gram = np.zeros((width, width), order="F")
        self._total = np.zeros(width)
        self._count = 0

    def add(self, rows: np.ndarray) -> None:
        """Add rows, (rows, width) float64 in C order: a symmetric update of the lower triangle."""
        if not len(rows):
            return
        self._gram = blas.dsyrk(
            1.0, rows.T, beta=1.0, c=self._gram, lower=1, overwrite_c=1
        )  # rows.T is in Fortran order, so nothing is copied
        self._total += rows.sum(axis=0)
        self._count += len(rows)

    def moments(self) -> Moments:
        """What was added so far; the sum must not be used after."""
        mirror_lower(self._gram)
        return Moments(self._gram, self._total, self._count)


def mirror_lower(gram: np.ndarray) -> None:
    """Copy the lower triangle of a square array to the upper one, in place, block by block."""
    n, step = len(gram), 512
    for start in range(0, n, step):
        stop = min(start + step, n)
        block = gram[start:stop, start:stop]
        block[:] = np.tril(block) + np.tril(block, -1).T
        gram[start:stop, stop:] = gram[stop:, start:stop].T
