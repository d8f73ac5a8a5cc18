"""The geometry of raw and refined vectors, gathered while their rows pass by once."""

import numpy as np
import scipy.linalg

from ace_steps.refine.factor import Factor
from ace_steps.refine.geometry import (
    SampleTaker,
    mean_cosine,
    neighbours,
    overlap,
    partition_ratio,
    reconstruction_error,
    spectral_measures,
    sum_of_unit_rows,
)
from ace_steps.refine.moments import MomentSum
from ace_steps.refine.plan import Plan


def raw_geometry(raw: Factor, centred: Factor, sample: np.ndarray) -> dict[str, float]:
    """Every measure of the unit rows themselves.

    Args:
        raw: Factor of all rows.
        centred: Factor of all rows minus their mean.
        sample: The rows that the partition is measured on, (rows, width) float32.
    """
    measures = spectral_measures(raw.singular_values, centred.singular_values**2)
    measures["partition_ratio"] = partition_ratio(sample, raw.directions)
    if raw.count > 1:
        measures["mean_cosine"] = mean_cosine(float(raw.total @ raw.total), raw.count)
    return measures


class RefinedGeometry:
    """Takes the refined rows as they are made, and measures them in the end."""

    def __init__(self, plan: Plan, sample: np.ndarray):
        """``sample``: numbers of the rows that neighbours and partition are measured on."""
        self._plan = plan
        self._sample = SampleTaker(sample)
        self._sum = np.zeros(plan.width)
        self._moments = MomentSum(plan.width) if plan.moments is None else None

    def add(self, rows: np.ndarray) -> None:
        """Look at the next refined rows, (rows, width) float64."""
        self._sample.add(rows)
        self._sum += sum_of_unit_rows(rows)
        if self._moments is not None:
            self._moments.add(np.ascontiguousarray(rows))

    def measure(self, raw_neighbours: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
        """Every measure of the refined rows, and their singular values before scaling.

        Args:
            raw_neighbours: What ``neighbours`` gave for the sample of the raw rows.

        Returns:
            The measures by name, and the gain of each component.
        """
        plan = self._plan
        moments = plan.moments if self._moments is None else self._moments.moments()
        rows = self._sample.rows()
        squares, directions = scipy.linalg.eigh(moments.gram)
        values = np.sqrt(np.clip(squares[::-1], 0, None))
        variances = np.clip(scipy.linalg.eigvalsh(moments.centred().gram), 0, None)
        measures = spectral_measures(values, variances)
        measures["partition_ratio"] = partition_ratio(rows, directions)
        if moments.count > 1:
            square = float(self._sum @ self._sum)
            measures["mean_cosine"] = mean_cosine(square, moments.count)
            measures["neighbour_overlap"] = overlap(raw_neighbours, neighbours(rows))
        if plan.lambda_ is not None:
            kept = plan.spectrum[: len(plan.gain)]
            energy = float((plan.spectrum**2).sum())
            measures["reconstruction_error"] = reconstruction_error(kept, energy, plan.lambda_)
        if plan.gain is not None:
            return measures, plan.gain
        return measures, values / plan.facts["scale"]
