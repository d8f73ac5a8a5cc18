"""Refinements that stay frozen under a trained network, as the inputs of that network.

whitenrec_plus, alpharec, llmemb, alphafuse; ``item_encoder`` says which network training builds.
"""

from typing import ClassVar, Literal

import numpy as np
import scipy.linalg
from pydantic import Field, model_validator

from ace_steps.errors import InputError
from ace_steps.refine.factor import Factor
from ace_steps.refine.plan import Plan, Source, mapped
from ace_steps.refine.settings import FrozenGamma, Gamma, RefinementSettings
from ace_steps.refine.spectral import entry_std, scale_to
from ace_steps.refine.spectral_methods import rescaled
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
        given = self.trainable_last if isinstance(self.trainable_last, list) else []
        for n_last in given or [self.trainable_last or 0]:
            if n_last > self.dim:
                raise ValueError(f"trainable_last: expected at most dim {self.dim}, got {n_last}")
        return self

    def n_trainable(self) -> int:
        """Columns that the trained table is added to."""
        return self.dim // 2 if self.trainable_last is None else self.trainable_last


def whitenrec_plus(settings: WhitenrecPlusSettings, source: Source) -> Plan:
    """Full ZCA and group ZCA of the centred vectors, side by side; one network takes both.

    ZCA of a matrix is U V', the nearest one with orthonormal columns; directions that are rounding
    error are left out of it.

    Raises:
        InputError: the groups do not divide the width.

    Source:
        Zhang et al., arXiv:2402.10602.
    """
    factor = source.centred
    width = len(factor.mean)
    if width % settings.groups:
        raise InputError(
            f"whitenrec_plus: {settings.groups} groups do not divide the width {width} of the "
            "item vectors."
        )
    kept = factor.leading(_all_of(factor))
    full = kept.directions / kept.singular_values @ kept.directions.T
    weights = np.hstack([full, group_zca(kept, settings.groups)])
    encoder = _network(settings.dim, [width, width], "relu")
    scale = _scale(settings.gamma, weights, factor)
    facts = {"scale": scale, "rank": factor.rank}
    gain = np.ones(factor.rank)
    return mapped(factor, weights, gain, scale=scale, item_encoder=encoder, facts=facts)


def group_zca(kept: Factor, groups: int) -> np.ndarray:
    """Block-diagonal map that makes the ZCA of each group of neighbouring columns.

    Args:
        kept: Factor of the centred vectors, no singular value 0.
        groups: Number of groups; divides the width.

    Returns:
        (width, width) float64.
    """
    half = kept.directions * kept.singular_values  # (width, components); half half' is the Gram
    blocks = []
    for part in np.split(half, groups):
        directions, values, _ = scipy.linalg.svd(part, full_matrices=False)
        is_real = values > NOISE * kept.singular_values[0]
        directions, values = directions[:, is_real], values[is_real]
        blocks.append(directions / values @ directions.T)
    return scipy.linalg.block_diag(*blocks)


def alpharec(settings: AlpharecSettings, source: Source) -> Plan:
    """The unit vectors as they are, but for their scale.

    Source:
        Sheng et al., ICLR 2025; here without its graph and contrastive loss.
    """
    factor = source.raw
    weights = np.eye(len(factor.mean))
    scale = _scale(settings.gamma, weights, factor)
    return mapped(
        factor,
        weights,
        factor.singular_values,
        scale=scale,
        item_encoder=_network(settings.dim, [len(weights)], "leaky_relu"),
        facts={"scale": scale},
    )


def llmemb(settings: LlmembSettings, source: Source) -> Plan:
    """Centred PCA scores, as many as the vectors have up to ``pca_dim``.

    Source:
        Liu et al., AAAI 2025; here without fine-tuning of the language model.
    """
    factor = source.centred
    kept = factor.leading(min(settings.pca_dim, _all_of(factor)))
    n_kept = len(kept.singular_values)
    encoder = _network(settings.dim, [n_kept], "identity")
    weights, gain = kept.directions, kept.singular_values
    scale = _scale(settings.gamma, weights, factor)
    facts = {"scale": scale, "pca_dim": n_kept}
    return mapped(factor, weights, gain, scale=scale, item_encoder=encoder, facts=facts)


def alphafuse(settings: AlphafuseSettings, source: Source) -> Plan:
    """Whitened PCA of the centred vectors; a trained table joins the weakest directions.

    Source:
        Hu et al., SIGIR 2025.
    """
    factor = source.centred
    kept = factor.leading(settings.dim)
    encoder = {
        "kind": "partly_trainable",
        "parts": [settings.dim],
        "width": settings.dim,
        "trainable_last": settings.n_trainable(),
        "std": settings.std,
    }
    gain = np.ones(settings.dim)
    return rescaled(factor, kept, gain, gamma=settings.gamma, item_encoder=encoder)


def _scale(gamma: float | None, weights: np.ndarray, factor: Factor) -> float:
    """What brings the entries of (E - mean) W to standard deviation gamma; 1 where it is None."""
    if gamma is None:
        return 1.0
    lengths = np.linalg.norm(
        factor.singular_values[:, None] * (factor.directions.T @ weights), axis=0
    )
    return scale_to(gamma, entry_std(weights, lengths, factor))


def _network(width: int, parts: list[int], activation: str) -> dict:
    """A network from each part's columns to half of them and on to the backbone's width."""
    hidden = max(1, parts[0] // 2)
    shape = {"parts": parts, "hidden": hidden, "width": width}
    return {"kind": "mlp", **shape, "activation": activation}


def _all_of(factor: Factor) -> int:
    if not factor.rank:
        raise InputError("the item vectors are all equal: centred, nothing is left of them.")
    return factor.rank
