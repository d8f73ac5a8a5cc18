"""The methods that ACE is compared with, each as its settings and a function.

Random init, llm2x, svd and whitening start a table that is trained; the vectors of whitenrec_plus,
alpharec, llmemb and alphafuse stay frozen under what ``item_encoder`` says that training builds.
"""

from typing import ClassVar, Literal

import numpy as np
import scipy.linalg
from pydantic import Field, model_validator

from ace_steps.errors import InputError
from ace_steps.refine.factor import Factor
from ace_steps.refine.methods import (
    Center,
    FactoredVectors,
    Gamma,
    PreparedRefinement,
    RefinementSettings,
    mapped,
    rescaled,
    scale_to,
)
from ace_steps.settings import Count, Grid, NonNegativeCount, Positive, Seed

NOISE = 1e-6  # of the largest singular value: squaring left no digits below


class RandomSettings(RefinementSettings):
    """Random init: a table drawn from N(0, std^2), anew for each seed; the plain backbone."""

    uses_encoder: ClassVar[bool] = False
    is_bound_by_rank: ClassVar[bool] = False

    method: Literal["random"] = "random"
    std: Grid[Positive] = Field(0.02, description="Standard deviation of the entries.")
    seed: Seed = Field(
        0,
        description="Seed of the example whose geometry is reported; a training draws its table "
        "with its run's own seed.",
    )


def random(settings: RandomSettings, vectors: FactoredVectors) -> PreparedRefinement:
    """N(0, std^2), whatever the item vectors are: an example, whose geometry is reported."""
    generator = np.random.default_rng(settings.seed)
    return PreparedRefinement(
        apply=lambda rows: settings.std * generator.standard_normal((len(rows), settings.dim)),
        dim=settings.dim,
        spectrum=vectors.raw.singular_values,
        gain=None,
        item_encoder={"kind": "drawn_table", "std": settings.std},
        facts={"scale": settings.std},
    )


class Llm2xSettings(RefinementSettings):
    """LLM2X: centered principal components of the item vectors, not rescaled."""

    method: Literal["llm2x"] = "llm2x"


def llm2x(settings: Llm2xSettings, vectors: FactoredVectors) -> PreparedRefinement:
    """Centered PCA scores, not rescaled (Harte et al., RecSys 2023, LLM2BERT4Rec)."""
    kept = vectors.centered.leading(settings.dim)
    return mapped(vectors.centered, kept.components, kept.singular_values)


class SvdSettings(RefinementSettings):
    """SVD: singular vectors times singular values, rescaled; ACE as lambda grows."""

    method: Literal["svd"] = "svd"
    gamma: Gamma = 0.2
    center: Center = False


def svd(settings: SvdSettings, vectors: FactoredVectors) -> PreparedRefinement:
    """U_k S_k brought to standard deviation gamma: the limit of ACE as lambda grows."""
    factor = vectors.factor(center=settings.center)
    kept = factor.leading(settings.dim)
    return rescaled(factor, kept.singular_values, gamma=settings.gamma)


class WhiteningSettings(RefinementSettings):
    """Whitening: singular vectors, rescaled; not centered it is ACE at lambda 0."""

    method: Literal["whitening"] = "whitening"
    gamma: Gamma = 0.2
    center: Center = True


def whitening(settings: WhiteningSettings, vectors: FactoredVectors) -> PreparedRefinement:
    """U_k brought to standard deviation gamma: ACE at lambda = 0."""
    factor = vectors.factor(center=settings.center)
    return rescaled(factor, np.ones(settings.dim), gamma=settings.gamma, lambda_=0.0)


class FrozenSettings(RefinementSettings):
    """Base of the methods whose vectors stay frozen under a network to the backbone's dim."""

    is_bound_by_rank: ClassVar[bool] = False

    gamma: Grid[Positive] | None = Field(
        1.0,
        description="Standard deviation over all entries of the frozen vectors; null leaves them "
        "as the method makes them.",
    )


class WhitenrecPlusSettings(FrozenSettings):
    """WhitenRec+: frozen full and group ZCA of the centered vectors, one shared network."""

    method: Literal["whitenrec_plus"] = "whitenrec_plus"
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


def whitenrec_plus(settings: WhitenrecPlusSettings, vectors: FactoredVectors) -> PreparedRefinement:
    """Full ZCA and group ZCA of the centered vectors, side by side (arXiv:2402.10602).

    ZCA of a matrix is U V', the nearest one with orthonormal columns; components that are rounding
    error are left out of it. One network takes both parts.

    Raises:
        InputError: the groups do not divide the vectors' dim.
    """
    factor = vectors.centered
    dim = len(factor.mean)
    refusal = settings.refusal_of(dim)
    if refusal:
        raise InputError(f"{refusal}.")
    kept = factor.leading(_full_rank(factor))
    full = kept.components / kept.singular_values @ kept.components.T
    weights = np.hstack([full, _group_zca(kept, settings.groups)])
    gain, facts = np.ones(factor.rank), {"rank": factor.rank}
    return _frozen(settings, factor, weights, gain, [dim, dim], "relu", facts)


def _group_zca(kept: Factor, groups: int) -> np.ndarray:
    """Block-diagonal map, (dim, dim), that makes the ZCA of each group of neighboring columns."""
    half = kept.components * kept.singular_values  # (dim, components); half half' is the Gram
    blocks = []
    for part in np.split(half, groups):
        components, values, _ = scipy.linalg.svd(part, full_matrices=False)
        is_real = values > NOISE * kept.singular_values[0]
        components, values = components[:, is_real], values[is_real]
        blocks.append(components / values @ components.T)
    return scipy.linalg.block_diag(*blocks)


class AlpharecSettings(FrozenSettings):
    """AlphaRec: the frozen unit vectors through a network."""

    method: Literal["alpharec"] = "alpharec"


def alpharec(settings: AlpharecSettings, vectors: FactoredVectors) -> PreparedRefinement:
    """The unit vectors as they are, but for their scale.

    Sheng et al., ICLR 2025; here without its graph and contrastive loss.
    """
    factor, dim = vectors.raw, len(vectors.raw.mean)
    gain = factor.singular_values
    return _frozen(settings, factor, np.eye(dim), gain, [dim], "leaky_relu", {})


class LlmembSettings(FrozenSettings):
    """LLMEmb: frozen centered principal components through two linear layers."""

    method: Literal["llmemb"] = "llmemb"
    pca_dim: Grid[Count] = Field(
        1536,
        description="Principal components kept at most; as many as the vectors have where they "
        "have fewer.",
    )


def llmemb(settings: LlmembSettings, vectors: FactoredVectors) -> PreparedRefinement:
    """Centered PCA scores, as many as the vectors have up to ``pca_dim``.

    Liu et al., AAAI 2025; here without fine-tuning of the language model.
    """
    factor = vectors.centered
    n_kept = min(settings.pca_dim, _full_rank(factor))
    kept = factor.leading(n_kept)
    weights, gain, facts = kept.components, kept.singular_values, {"pca_dim": n_kept}
    return _frozen(settings, factor, weights, gain, [n_kept], "identity", facts)


def _frozen(
    settings: FrozenSettings,
    factor: Factor,
    weights: np.ndarray,
    gain: np.ndarray,
    parts: list[int],
    activation: str,
    facts: dict,
) -> PreparedRefinement:
    """X = scale (E - mean) W under one network from each part's columns to the backbone's dim."""
    scale = 1.0
    if settings.gamma is not None:
        scores = factor.singular_values[:, None] * (factor.components.T @ weights)
        scale = scale_to(settings.gamma, weights, np.linalg.norm(scores, axis=0), factor)
    shape = {"parts": parts, "hidden": max(1, parts[0] // 2), "width": settings.dim}
    encoder = {"kind": "mlp", **shape, "activation": activation}
    return mapped(factor, weights, gain, scale=scale, item_encoder=encoder, facts=facts)


def _full_rank(factor: Factor) -> int:
    if not factor.rank:
        raise InputError("the item vectors are all equal: centered, nothing is left of them.")
    return factor.rank


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


def alphafuse(settings: AlphafuseSettings, vectors: FactoredVectors) -> PreparedRefinement:
    """Whitened PCA of the centered vectors; a trained table joins the weakest components.

    Hu et al., SIGIR 2025.
    """
    encoder = {
        "kind": "partly_trainable",
        "parts": [settings.dim],
        "width": settings.dim,
        "trainable_last": settings.n_trainable(),
        "std": settings.std,
    }
    gain = np.ones(settings.dim)
    return rescaled(vectors.centered, gain, gamma=settings.gamma, item_encoder=encoder)
