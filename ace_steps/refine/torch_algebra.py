"""The Gram matrix and its eigenvectors on a GPU, in float64 through torch."""

import numpy as np
import torch

from ace_steps.refine.moments import Moments


class TorchMomentSum:
    """``MomentSum`` on a device: the same sums, the same answers up to rounding."""

    def __init__(self, width: int, device: torch.device):
        self._device = device
        self._gram = torch.zeros(width, width, dtype=torch.float64, device=device)
        self._total = torch.zeros(width, dtype=torch.float64, device=device)
        self._count = 0

    def add(self, rows: np.ndarray) -> None:
        """Add rows, (rows, width) float64."""
        chunk = torch.from_numpy(rows).to(self._device)
        self._gram.addmm_(chunk.T, chunk)
        self._total += chunk.sum(dim=0)
        self._count += len(rows)

    def moments(self) -> Moments:
        """What was added so far, back in NumPy arrays."""
        gram = (self._gram + self._gram.T) / 2  # a general product is symmetric up to rounding
        return Moments(gram.cpu().numpy(), self._total.cpu().numpy(), self._count)


class TorchSolver:
    """``factor.eigenpairs`` on a device."""

    def __init__(self, device: torch.device):
        self._device = device

    def __call__(self, gram: np.ndarray, n_leading: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues, largest first, and eigenvectors as columns; all are solved for."""
        values, vectors = torch.linalg.eigh(torch.from_numpy(gram).to(self._device))
        kept = slice(None) if n_leading is None else slice(0, n_leading)
        return (
            values.flip(0)[kept].cpu().numpy(),
            vectors.flip(1)[:, kept].cpu().numpy(),
        )
