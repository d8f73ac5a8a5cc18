"""Refinements that stay frozen, as the inputs of a trained network or of a trained table.

whitenrec_plus, alpharec, llmemb, alphafuse; ``item_encoder`` says what training builds.
"""

from typing import ClassVar, Literal

import numpy as np
import scipy.linalg
from pydantic import Field, model_validator

from ace_steps.errors import InputError
from ace_steps.refine.factor import Factor
from ace_steps.refine.methods import (
    FactoredVectors,
    FrozenGamma,
    Gamma,
    PreparedRefinement,
    RefinementSettings,
    mapped,
)
from ace_steps.refine.spectral import rescaled, scale_to
from ace_steps.settings import Count, Grid, NonNegativeCount, Positive

NOISE = 1e-6  # of the largest singular value: squaring left no digits below


class WhitenrecPlusSettings(RefinementSettings):
    """WhitenRec+: frozen full and group ZCA of the centered vectors, one shared network."""

    is_bound_by_rank: ClassVar[bool] = False

    method: Literal["whitenrec_plus"] = "whitenrec_plus"
    gamma: FrozenGamma = 1.0
    groups: Grid[Count] = Field(
        4,
        description="Groups of neighboring columns that are whitened apart; divides the encoder's "
        "dim.",
    )

    def refusal_of(self, encoder_dim: int) -> str | None:
        """Why vectors of an encoder cannot be refined so, where that is known from their dim."""
        for groups in self.groups if isinstance(self.groups, list) else [self.groups]:
            if encoder_dim % groups:
                return (
                    f"groups: expected a divisor of the encoder's dim {encoder_dim}, got {groups}"
                )
        return None


class AlpharecSettings(RefinementSettings):
    """AlphaRec: the frozen unit vectors through a network."""

    is_bound_by_rank: ClassVar[bool] = False

    method: Literal["alpharec"] = "alpharec"
    gamma: FrozenGamma = 1.0


class LlmembSettings(RefinementSettings):
    """LLMEmb: frozen centered principal components through two linear layers."""

    is_bound_by_rank: ClassVar[bool] = False

    method: Literal["llmemb"] = "llmemb"
    gamma: FrozenGamma = 1.0
    pca_dim: Grid[Count] = Field(
        1536,
        description="Principal components kept at most; as many as the vectors have where they "
        "have fewer.",
    )


class AlphafuseSettings(RefinementSettings):
    """AlphaFuse: frozen whitened principal components, a trained table added to the weakest."""

    method: Literal["alphafuse"] = "alphafuse"
    gamma: Gamma = 0.2
    trainable_last: Grid[NonNegativeCount] | None = Field(
        None,
        description="Last columns, the weakest components, that the trained table is added to, at "
        "most dim; null is half of dim.",
    )
    std: Grid[Positive] = Field(
        0.02, description="Standard deviation of the trained table's initialization."
    )

    @model_validator(mode="after")
    def _split_within_dim(self) -> "AlphafuseSettings":
        values = self.n_trainable()  # a list in a grid
        for n_last in values if isinstance(values, list) else [values]:
            if n_last > self.dim:
                raise ValueError(f"trainable_last: expected at most dim {self.dim}, got {n_last}")
        return self

    def n_trainable(self) -> int:
        """Columns that the trained table is added to."""
        return self.dim // 2 if self.trainable_last is None else self.trainable_last


def whitenrec_plus(settings: WhitenrecPlusSettings, vectors: FactoredVectors) -> PreparedRefinement:
    """Full ZCA and group ZCA of the centered vectors, side by side (arXiv:2402.10602).

    ZCA of a matrix is U V', the nearest one with orthonormal columns; components that are rounding
    error are left out of it. One network takes both parts.

    Raises:
        InputError: the groups do not divide the vectors' dim.
    """
    factor = vectors.centered
    dim = len(factor.mean)
    if dim % settings.groups:
        raise InputError(
            f"groups: expected a divisor of the item vectors' dim {dim}, got {settings.groups}."
        )
    kept = factor.leading(_full_rank(factor))
    full = kept.components / kept.singular_values @ kept.components.T
    weights = np.hstack([full, group_zca(kept, settings.groups)])
    return mapped(
        factor,
        weights,
        np.ones(factor.rank),
        scale=_scale(settings.gamma, weights, factor),
        item_encoder=_mlp(settings.dim, [dim, dim], "relu"),
        facts={"rank": factor.rank},
    )


def group_zca(kept: Factor, groups: int) -> np.ndarray:
    """Block-diagonal map that makes the ZCA of each group of neighboring columns.

    Args:
        kept: Factor of the centered vectors, no singular value 0.
        groups: Number of groups; divides the dim.

    Returns:
        (dim, dim) float64.
    """
    half = kept.components * kept.singular_values  # (dim, components); half half' is the Gram
    blocks = []
    for part in np.split(half, groups):
        components, values, _ = scipy.linalg.svd(part, full_matrices=False)
        is_real = values > NOISE * kept.singular_values[0]
        components, values = components[:, is_real], values[is_real]
        blocks.append(components / values @ components.T)
    return scipy.linalg.block_diag(*blocks)


def alpharec(settings: AlpharecSettings, vectors: FactoredVectors) -> PreparedRefinement:
    """The unit vectors as they are, but for their scale.

    Sheng et al., ICLR 2025; here without its graph and contrastive loss.
    """
    factor = vectors.raw
    weights = np.eye(len(factor.mean))
    return mapped(
        factor,
        weights,
        factor.singular_values,
        scale=_scale(settings.gamma, weights, factor),
        item_encoder=_mlp(settings.dim, [len(weights)], "leaky_relu"),
    )


def llmemb(settings: LlmembSettings, vectors: FactoredVectors) -> PreparedRefinement:
    """Centered PCA scores, as many as the vectors have up to ``pca_dim``.

    Liu et al., AAAI 2025; here without fine-tuning of the language model.
    """
    factor = vectors.centered
    n_kept = min(settings.pca_dim, _full_rank(factor))
    kept = factor.leading(n_kept)
    return mapped(
        factor,
        kept.components,
        kept.singular_values,
        scale=_scale(settings.gamma, kept.components, factor),
        item_encoder=_mlp(settings.dim, [n_kept], "identity"),
        facts={"pca_dim": n_kept},
    )


def alphafuse(settings: AlphafuseSettings, vectors: FactoredVectors) -> PreparedRefinement:
    """Whitened PCA of the centered vectors; a trained table joins the weakest components.

    Hu et al., SIGIR 2025.
    """
    factor = vectors.centered
    encoder = {
        "kind": "partly_trainable",
        "parts": [settings.dim],
        "width": settings.dim,
        "trainable_last": settings.n_trainable(),
        "std": settings.std,
    }
    kept, gain = factor.leading(settings.dim), np.ones(settings.dim)
    return rescaled(factor, kept, gain, gamma=settings.gamma, item_encoder=encoder)


def _scale(gamma: float | None, weights: np.ndarray, factor: Factor) -> float:
    """The scale that brings (E - mean) W to standard deviation gamma; 1 where gamma is None."""
    if gamma is None:
        return 1.0
    scores = factor.singular_values[:, None] * (factor.components.T @ weights)
    return scale_to(gamma, weights, np.linalg.norm(scores, axis=0), factor)


def _mlp(dim: int, parts: list[int], activation: str) -> dict:
    """A network from each part's columns to half of them and on to the backbone's dim."""
    shape = {"parts": parts, "hidden": max(1, parts[0] // 2), "width": dim}
    return {"kind": "mlp", **shape, "activation": activation}


def _full_rank(factor: Factor) -> int:
    if not factor.rank:
        raise InputError("the item vectors are all equal: centered, nothing is left of them.")
    return factor.rank
