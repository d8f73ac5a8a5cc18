"""What every refinement states and returns: its settings, the factors it gets, the map it gives.

With E = U S V' and other singular values g(S), the refined vectors X = U g(S) are a map of rows,
X = E W with W = V diag(g(s) / s): nothing of the size items x items is formed.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from ace_steps.errors import InputError
from ace_steps.refine.factor import Factor
from ace_steps.refine.gram import Moments
from ace_steps.refine.refinement import Refinement
from ace_steps.registry import REFINEMENTS
from ace_steps.settings import Count, Grid, Positive, Settings, parse_named

TABLE = {"kind": "table"}  # the vectors initialize a trained table
Gamma = Annotated[
    Grid[Positive],
    Field(description="Standard deviation over all entries of the refined vectors."),
]
Center = Annotated[bool, Field(description="Subtract the mean item vector before anything else.")]


class RefinementSettings(Settings):
    """Base of every refinement's settings.

    Attributes:
        uses_encoder: False for a method whose vectors know nothing of the encoder's; it runs with
            the first encoder and stands for the others.
        is_bound_by_rank: Whether a refined vector has at most as many dimensions as the encoder's.
    """

    uses_encoder: ClassVar[bool] = True
    is_bound_by_rank: ClassVar[bool] = True

    method: str
    dim: Count = Field(
        128,
        description="Dimensions of a refined vector, the backbone's; at most the vectors' rank.",
    )

    def refusal_of(self, encoder_dim: int) -> str | None:
        """Why vectors of an encoder cannot be refined so, where that is known from their dim."""
        if self.is_bound_by_rank and self.dim > encoder_dim:
            return (
                f"dim: expected at most the encoder's {encoder_dim}, got {self.dim}; set dim at "
                "the top"
            )
        return None


@dataclass(frozen=True)
class FactoredVectors:
    """What a refinement may know of the item vectors."""

    raw: Factor  # of the unit rows as they are, all components
    centered: Factor  # the same with the mean row subtracted
    rows: Callable[[], Iterator[np.ndarray]]  # a pass over the unit rows, (rows, dim) float64

    def factor(self, *, center: bool) -> Factor:
        """The centered factor or the raw one."""
        return self.centered if center else self.raw


@dataclass(frozen=True)
class PreparedRefinement:
    """One refinement of one set of item vectors, ready to be applied.

    Attributes:
        apply: Turns chunk after chunk of unit rows into refined rows, both float64.
        dim: Entries of a refined row.
        spectrum: Singular values of what is refined, all of them.
        gain: Those of the refined rows before scaling; None where the rows alone can tell.
        item_encoder: What training builds from the rows.
        facts: For the provenance: ``scale``, and ``lambda`` where the rows are the factor of a
            ridge-regularized autoencoder.
        moments: Of the refined rows, where they follow from the factor.
        map: The linear map that the rows come from, where there is one.
    """

    apply: Callable[[np.ndarray], np.ndarray]
    dim: int
    spectrum: np.ndarray
    gain: np.ndarray | None
    item_encoder: dict
    facts: dict
    moments: Moments | None = None
    map: Refinement | None = None


def mapped(
    factor: Factor,
    weights: np.ndarray,
    gain: np.ndarray,
    *,
    scale: float = 1.0,
    item_encoder: dict = TABLE,
    facts: dict | None = None,
) -> PreparedRefinement:
    """The refinement by a linear map X = scale (E - mean) W.

    Args:
        factor: Of E - mean, all components.
        weights: W, (dim, columns).
        gain: Singular values of (E - mean) W, strongest component of E first.
        scale: Last factor.
        item_encoder: What training builds from the rows.
        facts: For the provenance, beside the scale.
    """
    refinement = Refinement(
        np.ascontiguousarray(weights), factor.mean, scale, factor.singular_values, gain
    )
    scaled = scale * weights
    half = factor.singular_values[:, None] * (factor.components.T @ scaled)  # X'X = half' half
    return PreparedRefinement(
        apply=refinement.apply,
        dim=weights.shape[1],
        spectrum=factor.singular_values,
        gain=gain,
        item_encoder=item_encoder,
        facts={"scale": scale, **(facts or {})},
        moments=Moments(half.T @ half, factor.total @ scaled, factor.count),
        map=refinement,
    )


def rescaled(
    factor: Factor,
    gain: np.ndarray,
    *,
    gamma: float,
    lambda_: float | None = None,
    item_encoder: dict = TABLE,
) -> PreparedRefinement:
    """The spectral refinement with given gains, its entries brought to standard deviation gamma.

    Args:
        factor: Of the vectors, all components.
        gain: Singular values of the refined rows before scaling, (components kept,).
        gamma: Standard deviation over all entries, > 0.
        lambda_: The ridge that the gains belong to, where there is one.
        item_encoder: As in ``mapped``.
    """
    kept = factor.leading(len(gain))
    weights, scale = spectral_map(kept, gain, gamma)
    facts = {}
    if lambda_ is not None:
        lambda_rel = lambda_ / float(kept.singular_values[-1]) ** 2
        facts = {"lambda": lambda_, "lambda_rel": lambda_rel}
    return mapped(factor, weights, gain, scale=scale, item_encoder=item_encoder, facts=facts)


def spectral_map(factor: Factor, gain: np.ndarray, gamma: float) -> tuple[np.ndarray, float]:
    """The map that turns singular values into ``gain``, V diag(gain / s), and its scale."""
    weights = factor.components * (gain / factor.singular_values)
    return weights, scale_to(gamma, weights, gain, factor)


def scale_to(gamma: float, weights: np.ndarray, norms: np.ndarray, factor: Factor) -> float:
    """The scale that brings all entries of X = (E - mean) W to standard deviation gamma.

    X is not formed; ``norms`` are the lengths of its columns, (components,).

    Raises:
        InputError: the entries are all equal.
    """
    n_entries = factor.count * weights.shape[1]
    mean = float(factor.total @ weights.sum(axis=1)) / n_entries
    std = math.sqrt(max(float(norms @ norms) / n_entries - mean**2, 0.0))
    if not std > 0:
        raise InputError(
            f"the refined vectors are all equal; no scale gives them standard deviation {gamma}."
        )
    return gamma / std


def parse_settings(text: str, where: str) -> RefinementSettings:
    """The settings of the refinement that a JSON object names in its key ``method``."""
    return parse_named(REFINEMENTS, "method", text, where)


def prepare(settings: RefinementSettings, vectors: FactoredVectors) -> PreparedRefinement:
    """The refinement that the settings name, prepared for these vectors."""
    return REFINEMENTS[settings.method].implementation()(settings, vectors)
