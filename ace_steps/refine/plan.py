"""What every refinement comes to: a way to make rows, and what training builds from them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from ace_steps.refine.factor import Factor
from ace_steps.refine.moments import Moments
from ace_steps.refine.refinement import Refinement

TABLE = {"kind": "table"}  # the vectors initialise a trained table


@dataclass(frozen=True)
class Source:
    """What a refinement may know of the item vectors.

    Attributes:
        raw: Factor of the unit rows as they are, all directions.
        centred: The same with the mean row subtracted.
        rows: Starts a pass over the unit rows, chunks of (rows, width) float64.
    """

    raw: Factor
    centred: Factor
    rows: Callable[[], Iterator[np.ndarray]]

    def factor(self, *, center: bool) -> Factor:
        """The one of the two factors that a setting asks for."""
        return self.centred if center else self.raw


@dataclass(frozen=True)
class Plan:
    """One refinement of one set of item vectors, ready to be carried out.

    Attributes:
        start: Begins a pass; what it returns turns chunk after chunk of unit rows into refined
            rows, both float64.
        width: Entries of a refined row.
        spectrum: Singular values of what is refined, all of them.
        gain: Singular values of the refined rows before scaling, or None where only the rows
            themselves can tell.
        item_encoder: What training builds from the rows.
        facts: What was found out on the way, e.g. the solved lambda.
        moments: Of the refined rows, where they follow from the factor.
        lambda_: Ridge of the autoencoder whose factor the rows are, where there is one.
        map: The linear map that the rows come from, where there is one.
    """

    start: Callable[[], Callable[[np.ndarray], np.ndarray]]
    width: int
    spectrum: np.ndarray
    gain: np.ndarray | None
    item_encoder: dict
    facts: dict = field(default_factory=dict)
    moments: Moments | None = None
    lambda_: float | None = None
    map: Refinement | None = None


def mapped(
    factor: Factor,
    weights: np.ndarray,
    gain: np.ndarray,
    *,
    scale: float = 1.0,
    item_encoder: dict,
    facts: dict,
    lambda_: float | None = None,
) -> Plan:
    """The plan of a linear map X = scale (E - mean) W.

    Args:
        factor: Of E - mean, all directions.
        weights: W, (width, columns).
        gain: Singular values of (E - mean) W, strongest direction of E first.
        scale: Last factor.
        item_encoder: What training builds from the rows.
        facts: What was found out on the way.
        lambda_: Ridge of the autoencoder whose factor the rows are, where there is one.
    """
    refinement = Refinement(
        np.ascontiguousarray(weights), factor.mean, scale, factor.singular_values, gain
    )
    return Plan(
        start=lambda: refinement.apply,
        width=weights.shape[1],
        spectrum=factor.singular_values,
        gain=gain,
        item_encoder=item_encoder,
        facts=facts,
        moments=moments_of(factor, scale * weights),
        lambda_=lambda_,
        map=refinement,
    )


def moments_of(factor: Factor, weights: np.ndarray) -> Moments:
    """Moments of (E - mean) W from the factor of E - mean: X'X = (S V'W)' (S V'W)."""
    half = factor.singular_values[:, None] * (factor.directions.T @ weights)
    return Moments(half.T @ half, factor.total @ weights, factor.count)
