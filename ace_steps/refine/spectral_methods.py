"""Spectral refinements without a dial: llm2x, svd, whitening."""

from typing import Literal

import numpy as np

from ace_steps.refine.factor import Factor
from ace_steps.refine.plan import TABLE, Plan, Source, mapped
from ace_steps.refine.settings import Center, Gamma, RefinementSettings
from ace_steps.refine.spectral import entry_std, scale_to, spectral_weights


class Llm2xSettings(RefinementSettings):
    """LLM2X: centered principal components of the item vectors, not rescaled."""

    method: Literal["llm2x"] = "llm2x"


class SvdSettings(RefinementSettings):
    """SVD: singular vectors times singular values, rescaled; ACE as lambda grows."""

    method: Literal["svd"] = "svd"
    gamma: Gamma = 0.2
    center: Center = False


class WhiteningSettings(RefinementSettings):
    """Whitening: singular vectors, rescaled; not centered it is ACE at lambda 0."""

    method: Literal["whitening"] = "whitening"
    gamma: Gamma = 0.2
    center: Center = True


def llm2x(settings: Llm2xSettings, source: Source) -> Plan:
    """Centred PCA scores, not rescaled.

    Source:
        Harte et al., RecSys 2023 (LLM2BERT4Rec).
    """
    factor = source.centred
    kept = factor.leading(settings.dim)
    return mapped(
        factor, kept.directions, kept.singular_values, item_encoder=TABLE, facts={"scale": 1.0}
    )


def svd(settings: SvdSettings, source: Source) -> Plan:
    """U_k S_k brought to standard deviation gamma: what ACE comes to as lambda grows."""
    factor = source.factor(center=settings.center)
    kept = factor.leading(settings.dim)
    return rescaled(factor, kept, kept.singular_values, gamma=settings.gamma)


def whitening(settings: WhiteningSettings, source: Source) -> Plan:
    """U_k brought to standard deviation gamma: ACE at lambda = 0."""
    factor = source.factor(center=settings.center)
    kept = factor.leading(settings.dim)
    gain = np.ones(settings.dim)
    return rescaled(factor, kept, gain, gamma=settings.gamma, lambda_=0.0)


def rescaled(
    factor: Factor,
    kept: Factor,
    gain: np.ndarray,
    *,
    gamma: float,
    lambda_: float | None = None,
    item_encoder: dict = TABLE,
) -> Plan:
    """The spectral refinement with given gains, its entries brought to standard deviation gamma.

    Args:
        factor: Of the vectors, all directions.
        kept: The same, cut to the refinement's width.
        gain: Singular values of the refined rows before scaling, (components,).
        gamma: Standard deviation over all entries, > 0.
        lambda_: The ridge that the gains belong to, where there is one.
        item_encoder: What training builds from the rows.
    """
    weights = spectral_weights(kept, gain)
    scale = scale_to(gamma, entry_std(weights, gain, factor))
    facts = {"scale": scale}
    if lambda_ is not None:
        facts |= {"lambda": lambda_, "lambda_rel": lambda_ / float(kept.singular_values[-1]) ** 2}
    return mapped(
        factor,
        weights,
        gain,
        scale=scale,
        item_encoder=item_encoder,
        facts=facts,
        lambda_=lambda_,
    )
