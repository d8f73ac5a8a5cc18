"""A refinement as a linear map of item vectors: apply it, save it, load it."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ace_steps.errors import InputError
from ace_steps.io import tensors
from ace_steps.io.provenance import Provenance
from ace_steps.refine.rows import as_chunks, as_matrix, chunk_rows, unit_rows

TENSORS = ("weights", "mean", "scale", "spectrum", "gain")


@dataclass(frozen=True, eq=False)
class Refinement:
    """X = scale * (E - mean) W, where E's rows are scaled to length 1 first.

    Attributes:
        weights: W, (width in, width out) float64.
        mean: Subtracted from each unit row, (width in,) float64; zeros where not centred.
        scale: Last factor, that brings X to its standard deviation.
        spectrum: Singular values s of E - mean, strongest first.
        gain: Singular values of X before the scale, in the same order.
        facts: What was found out: method, lambda, item encoder...
    """

    weights: np.ndarray
    mean: np.ndarray
    scale: float
    spectrum: np.ndarray
    gain: np.ndarray
    facts: dict = field(default_factory=dict)

    def apply(self, rows: np.ndarray) -> np.ndarray:
        """Refined vectors, (rows, width out) float64, of unit rows in float64."""
        return self.scale * ((rows - self.mean) @ self.weights)

    def transform(self, vectors: object) -> object:
        """Refined vectors of any items, those of the fit or new ones.

        Args:
            vectors: (rows, width in) NumPy array or torch tensor of any float type, or an
                iterable of such chunks. Rows need not have length 1.

        Returns:
            (rows, width out): an array for an array, a tensor on the same device for a tensor, a
            generator of arrays for an iterable. float64 where float64 was given, else float32.

        Raises:
            InputError: another width, NaN or infinite values, an all-zero row.
        """
        if not hasattr(vectors, "shape"):
            return (self._rows_of(chunk) for chunk in as_chunks(vectors))
        matrix = as_matrix(vectors)
        step = chunk_rows(matrix.shape[1])
        parts = [
            self._rows_of(matrix[start : start + step], first=start)
            for start in range(0, len(matrix), step)
        ]
        empty = np.empty((0, self.weights.shape[1]), np.float32)
        refined = np.concatenate(parts) if parts else empty
        if not hasattr(vectors, "detach"):
            return refined
        import torch

        return torch.from_numpy(refined).to(vectors.device)

    def convert(self, refined: np.ndarray, source: "Refinement") -> np.ndarray:
        """What ``transform`` would give, from vectors that another point of the grid refined.

        Args:
            refined: (rows, width out), by ``source``.
            source: From the same ``fit_grid`` as this refinement.

        Returns:
            (rows, width out), of the type of ``refined``.

        Raises:
            InputError: the two are not of one grid.
        """
        if not np.array_equal(self.spectrum, source.spectrum):
            raise InputError("refinements of different vectors do not convert into each other.")
        ratio = (self.scale * self.gain) / (source.scale * source.gain)
        return refined * ratio.astype(refined.dtype)

    def save(self, path: Path | str, provenance: Provenance | None = None) -> None:
        """Write the map as safetensors, atomically."""
        note = provenance or Provenance(step="ace_steps.refine.fit", facts=self.facts)
        values = {name: np.asarray(getattr(self, name), np.float64) for name in TENSORS}
        tensors.write_tensors(Path(path), values, note)

    @classmethod
    def load(cls, path: Path | str) -> "Refinement":
        """The map that ``save`` or the step refine_vectors wrote.

        Raises:
            InputError: no such file, damaged, or a refinement that is no map of vectors.
        """
        path = Path(path)
        found, provenance = tensors.read_tensors(path)
        if "weights" not in found and "spectrum" in found:
            method = provenance.facts.get("method")
            raise InputError(f"{path}: '{method}' draws its vectors; there is no map of new ones.")
        found, _ = tensors.read_tensors(path, *TENSORS)
        scale = found.pop("scale").item()
        kept = {name: found[name] for name in TENSORS if name != "scale"}
        return cls(**kept, scale=scale, facts=provenance.facts)

    def _rows_of(self, matrix: np.ndarray, first: int = 0) -> np.ndarray:
        if matrix.shape[1] != len(self.mean):
            raise InputError(
                f"vectors: width {matrix.shape[1]} was given, but this refinement takes "
                f"{len(self.mean)}."
            )
        refined = self.apply(unit_rows(matrix, first=first))
        return refined if matrix.dtype == np.float64 else refined.astype(np.float32)
