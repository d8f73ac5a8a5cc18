"""Gram matrices of unit rows: summed over chunks and shards, and solved, on a CPU or a GPU.

Sums of floating-point numbers depend on their order; so that the number of shards changes no
digit, the rows are cut into ``LEAVES`` runs whatever that number is. A shard has whole leaves, and
their sums are added one after the other from the first.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import scipy.linalg
from scipy.linalg import blas

from ace_steps.io.shards import parse_shard

LEAVES = 8
GPU_DRIVERS = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/kfd")  # NVIDIA, WSL, AMD


@dataclass(frozen=True)
class Moments:
    """All that a refinement needs to know of the rows e of E."""

    gram: np.ndarray  # sum of e' e, (dim, dim) float64, symmetric
    total: np.ndarray  # sum of e, (dim,) float64
    count: int  # of rows

    @property
    def mean(self) -> np.ndarray:
        """Mean row, (dim,)."""
        return self.total / self.count

    def centered(self) -> "Moments":
        """Moments of the rows minus their mean, by a rank-one correction of a copy of ``gram``."""
        gram = self.gram - np.outer(self.total, self.total) / self.count
        return Moments(gram, np.zeros_like(self.total), self.count)

    def __add__(self, other: "Moments") -> "Moments":
        """Moments of both sets of rows together."""
        return Moments(self.gram + other.gram, self.total + other.total, self.count + other.count)


class MomentSum:
    """Adds up chunks of unit rows; memory is one (dim, dim) array."""

    def __init__(self, dim: int):
        self._gram = np.zeros((dim, dim), order="F")
        self._total = np.zeros(dim)
        self._count = 0

    def add(self, rows: np.ndarray) -> None:
        """Add rows, (rows, dim) float64 in C order: a symmetric update of the lower triangle."""
        if not len(rows):
            return
        # rows.T is in Fortran order, so nothing is copied
        self._gram = blas.dsyrk(1.0, rows.T, beta=1.0, c=self._gram, lower=1, overwrite_c=1)
        self._total += rows.sum(axis=0)
        self._count += len(rows)

    def moments(self) -> Moments:
        """The moments of all rows added; the sum must not be used after."""
        _mirror_lower(self._gram)
        return Moments(self._gram, self._total, self._count)


class TorchMomentSum:
    """``MomentSum`` on a torch device: the same sums up to rounding."""

    def __init__(self, dim: int, device: str):
        import torch

        self._gram = torch.zeros(dim, dim, dtype=torch.float64, device=device)
        self._total = torch.zeros(dim, dtype=torch.float64, device=device)
        self._count = 0

    def add(self, rows: np.ndarray) -> None:
        """Add rows, (rows, dim) float64."""
        import torch

        chunk = torch.from_numpy(rows).to(self._gram.device)
        self._gram.addmm_(chunk.T, chunk)
        self._total += chunk.sum(dim=0)
        self._count += len(rows)

    def moments(self) -> Moments:
        """The moments of all rows added, as NumPy arrays."""
        gram = (self._gram + self._gram.T) / 2  # a general product is symmetric up to rounding
        return Moments(gram.cpu().numpy(), self._total.cpu().numpy(), self._count)


def _mirror_lower(gram: np.ndarray) -> None:
    """Copy the lower triangle of a square array to the upper one, in place, block by block."""
    n, step = len(gram), 512
    for start in range(0, n, step):
        stop = min(start + step, n)
        block = gram[start:stop, start:stop]
        block[:] = np.tril(block) + np.tril(block, -1).T
        gram[start:stop, stop:] = gram[stop:, start:stop].T


def select_gram_device(name: str) -> str:
    """``cpu`` or ``cuda`` for ``auto``, ``cpu`` or ``cuda``.

    Without the driver of a GPU, ``auto`` does not import torch, which takes seconds.

    Raises:
        InputError: the device is unknown or not there.
    """
    has_driver = any(Path(node).exists() for node in GPU_DRIVERS)
    if name == "cpu" or (name == "auto" and not has_driver):
        return "cpu"
    from ace_steps.runtime import select_device

    return select_device(name).type


def eigenpairs(
    gram: np.ndarray, n_leading: int | None = None, device: str = "cpu"
) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues of a symmetric matrix, largest first, and their vectors as columns.

    ``n_leading`` of them; all where it is None or where there are fewer.
    """
    if device != "cpu":
        return torch_eigenpairs(gram, n_leading, device)
    dim = len(gram)
    if n_leading is None or n_leading >= dim:
        values, vectors = scipy.linalg.eigh(gram, driver="evd", check_finite=False)
    else:
        subset = [dim - n_leading, dim - 1]
        values, vectors = scipy.linalg.eigh(
            gram, driver="evr", subset_by_index=subset, check_finite=False
        )
    return values[::-1], vectors[:, ::-1]


def torch_eigenpairs(
    gram: np.ndarray, n_leading: int | None, device: str
) -> tuple[np.ndarray, np.ndarray]:
    """``eigenpairs`` on a torch device."""
    import torch

    values, vectors = torch.linalg.eigh(torch.from_numpy(gram).to(device))
    values, vectors = values.flip(0)[:n_leading], vectors.flip(1)[:, :n_leading]
    return values.cpu().numpy(), vectors.cpu().numpy()


def leaves_of(shard: str) -> range:
    """Numbers of a shard's leaves, from 0; with more shards than leaves, some shards have none."""
    number, n_shards = parse_shard(shard)
    return range(-(-(number - 1) * LEAVES // n_shards), -(-number * LEAVES // n_shards))


def sum_leaves(
    leaves: range,
    n_rows: int,
    chunks: Callable[[range], Iterable[np.ndarray]],
    *,
    dim: int,
    device: str,
) -> list[Moments]:
    """Moments of some leaves: one sum where the first leaf is among them, else each leaf's own.

    Args:
        leaves: Their numbers.
        n_rows: Rows of all leaves together.
        chunks: Gives the unit rows, (rows, dim) float64, of a range of rows.
        dim: Entries of one row.
        device: ``cpu`` or ``cuda``.
    """

    def moments_of(leaf: int) -> Moments:
        total = MomentSum(dim) if device == "cpu" else TorchMomentSum(dim, device)
        for rows in chunks(range(n_rows * leaf // LEAVES, n_rows * (leaf + 1) // LEAVES)):
            total.add(rows)
        return total.moments()

    parts = map(moments_of, leaves)
    return [reduce(add, parts)] if leaves.start == 0 else list(parts)
