"""A refinement as a linear map of unit rows: apply it to anyone's vectors, save it, load it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ace_steps.errors import InputError
from ace_steps.io import tensors
from ace_steps.io.provenance import Provenance

CHUNK_BYTES = 32 * 2**20  # of float64 rows: large enough for BLAS, small beside the Gram matrix
TENSORS = ("weights", "mean", "scale", "spectrum", "gain")


@dataclass(frozen=True, eq=False)
class Refinement:
    """X = scale * (E - mean) W, where E's rows are scaled to length 1 first.

    Attributes:
        weights: W, (dim in, dim out) float64.
        mean: Subtracted from each unit row, (dim in,) float64; zeros where not centered.
        scale: Last factor, that brings X to its standard deviation.
        spectrum: Singular values s of E - mean, strongest first.
        gain: Singular values of X before the scale, in the same order.
        facts: Method, lambda, item encoder...
    """

    weights: np.ndarray
    mean: np.ndarray
    scale: float
    spectrum: np.ndarray
    gain: np.ndarray
    facts: dict = field(default_factory=dict)

    def apply(self, rows: np.ndarray) -> np.ndarray:
        """Refined vectors, (rows, dim out) float64, of unit rows in float64."""
        return self.scale * ((rows - self.mean) @ self.weights)

    def transform(self, vectors: object) -> object:
        """Refined vectors of any items, those of the fit or new ones.

        Args:
            vectors: (rows, dim in) NumPy array or torch tensor of any float type, or an iterable
                of such chunks. Rows need not have length 1.

        Returns:
            (rows, dim out): an array for an array, a tensor on the same device for a tensor, a
            generator of arrays for an iterable. float64 where float64 was given, else float32.

        Raises:
            InputError: another dim, NaN or infinite values, an all-zero row.
        """
        chunks = self._transform_chunks(vectors)
        if not hasattr(vectors, "shape"):
            return chunks
        refined = np.concatenate([np.empty((0, self.weights.shape[1]), np.float32), *chunks])
        if not hasattr(vectors, "detach"):
            return refined
        import torch

        return torch.from_numpy(refined).to(vectors.device)

    def _transform_chunks(self, vectors: object) -> Iterator[np.ndarray]:
        for dtype, rows in unit_chunks(vectors):
            if rows.shape[1] != len(self.mean):
                raise InputError(f"vectors: expected dim {len(self.mean)}, got {rows.shape[1]}.")
            refined = self.apply(rows)
            yield refined if dtype == np.float64 else refined.astype(np.float32)

    def convert(self, refined: np.ndarray, source: "Refinement") -> np.ndarray:
        """The result of ``transform``, from vectors that another grid point refined.

        Args:
            refined: (rows, dim out), by ``source``.
            source: From the same ``fit_grid`` as this refinement.

        Returns:
            (rows, dim out), of the type of ``refined``.

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
        arrays, provenance = tensors.read_tensors(Path(path))
        if "weights" not in arrays and "spectrum" in arrays:
            method = provenance.facts.get("method")
            raise InputError(f"{path}: '{method}' draws its vectors; there is no map of new ones.")
        arrays, _ = tensors.read_tensors(Path(path), *TENSORS)
        values = {name: arrays[name] for name in TENSORS}
        return cls(**values | {"scale": values["scale"].item()}, facts=provenance.facts)


def chunk_rows(dim: int) -> int:
    """Rows of one chunk: depends on the dim alone, so that a rerun adds in the same order."""
    return max(64, CHUNK_BYTES // (8 * max(dim, 1)))


def unit_rows(
    matrix: np.ndarray,
    *,
    ids: Sequence[str] | None = None,
    first: int = 0,
    where: str = "vectors",
    zeros: bool = False,
) -> np.ndarray:
    """Rows scaled to length 1, (rows, dim) float64 in C order; always a copy.

    Args:
        matrix: (rows, dim), any float type.
        ids: Names of the rows, for the error line.
        first: Number of the first row, for the error line.
        where: What the rows come from, for the error line.
        zeros: Whether a row may be all zero; it stays so.

    Raises:
        InputError: a row holds NaN or infinity, or is all zero where none may be.
    """
    rows = np.array(matrix, dtype=np.float64, order="C")
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    if zeros:
        lengths[lengths == 0] = 1.0
    is_bad = ~(np.isfinite(lengths) & (lengths > 0))
    if is_bad.any():
        row = int(is_bad.argmax())
        name = f"row {first + row}" if ids is None else f"item '{ids[row]}' (row {first + row})"
        what = "an all-zero vector" if lengths[row] == 0 else "NaN or infinity in its vector"
        raise InputError(f"{where}: {name} has {what}; {int(is_bad.sum())} such in its chunk.")
    rows /= lengths[:, None]
    return rows


def unit_chunks(vectors: object) -> Iterator[tuple[np.dtype, np.ndarray]]:
    """Chunks of unit rows, (rows, dim) float64, each with the type that its rows had.

    Args:
        vectors: (rows, dim) NumPy array or torch tensor, or an iterable of either.

    Raises:
        InputError: not a matrix of real numbers, chunks of different dims, or as ``unit_rows``.
    """
    if isinstance(vectors, str | bytes | dict) or not isinstance(vectors, Iterable):
        raise InputError(
            "vectors: expected a NumPy array, a torch tensor or an iterable of row chunks, "
            f"got {type(vectors).__name__}."
        )
    dim, first = None, 0
    for piece in [vectors] if hasattr(vectors, "shape") else vectors:
        matrix = _as_matrix(piece)
        dim = dim or matrix.shape[1]
        if matrix.shape[1] != dim:
            raise InputError(f"vectors: expected chunks of dim {dim}, got {matrix.shape[1]}.")
        step = chunk_rows(dim)
        for start in range(0, len(matrix), step):
            rows = unit_rows(matrix[start : start + step], first=first + start)
            yield matrix.dtype, rows
        first += len(matrix)


def _as_matrix(piece: object) -> np.ndarray:
    """A (rows, dim) array of numbers: NumPy as it is, a torch tensor from any device."""
    if hasattr(piece, "detach"):  # a torch tensor, without importing torch
        tensor = piece.detach().cpu()
        # NumPy has no bfloat16
        piece = (tensor.float() if tensor.dtype.itemsize < 4 else tensor).numpy()
    matrix = np.asarray(piece)
    if matrix.ndim != 2 or not matrix.shape[1] or matrix.dtype.kind not in "fiu":
        raise InputError(
            "vectors: expected rows of real numbers, (rows, dim), got an array of shape "
            f"{matrix.shape} and type {matrix.dtype}."
        )
    return matrix
