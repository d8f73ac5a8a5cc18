"""Spectral refinements: singular vectors with other singular values (llm2x, svd, whitening).

With E = U S V' the ACE vectors are X = U g(S) times a scale, g(s) = s / sqrt(s^2 + lambda). The
same as a map of rows: X = E W with W = V diag(1 / sqrt(s^2 + lambda)); nothing n x n is formed.
"""

import math
from typing import Literal

import numpy as np

from ace_steps.errors import InputError
from ace_steps.refine.factor import Factor
from ace_steps.refine.methods import (
    TABLE,
    Center,
    FactoredVectors,
    Gamma,
    PreparedRefinement,
    RefinementSettings,
    mapped,
)


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


def llm2x(settings: Llm2xSettings, vectors: FactoredVectors) -> PreparedRefinement:
    """Centered PCA scores, not rescaled (Harte et al., RecSys 2023, LLM2BERT4Rec)."""
    kept = vectors.centered.leading(settings.dim)
    return mapped(vectors.centered, kept.components, kept.singular_values)


def svd(settings: SvdSettings, vectors: FactoredVectors) -> PreparedRefinement:
    """U_k S_k brought to standard deviation gamma: the limit of ACE as lambda grows."""
    factor = vectors.factor(center=settings.center)
    kept = factor.leading(settings.dim)
    return rescaled(factor, kept, kept.singular_values, gamma=settings.gamma)


def whitening(settings: WhiteningSettings, vectors: FactoredVectors) -> PreparedRefinement:
    """U_k brought to standard deviation gamma: ACE at lambda = 0."""
    factor = vectors.factor(center=settings.center)
    kept = factor.leading(settings.dim)
    gain = np.ones(settings.dim)
    return rescaled(factor, kept, gain, gamma=settings.gamma, lambda_=0.0)


def gains(singular_values: np.ndarray, lambda_: float | np.ndarray) -> np.ndarray:
    """Singular values of the ACE vectors before scaling: s / sqrt(s^2 + lambda).

    Args:
        singular_values: s > 0, (components,).
        lambda_: Ridge, >= 0, in the unit of s^2; one, or a grid (n_lambdas,). At 0 every gain is 1
            (whitening); the larger it is, the closer the gains are to s / sqrt(lambda), which is
            the anisotropy of the vectors themselves.

    Returns:
        (components,), or (n_lambdas, components) for a grid; float64, in (0, 1].

    Raises:
        ValueError: a lambda is negative or NaN.
    """
    ridge = np.asarray(lambda_, dtype=np.float64)
    if not (ridge >= 0).all():
        raise ValueError(f"expected lambda >= 0, got {lambda_}")
    return singular_values / np.sqrt(singular_values**2 + ridge[..., None])


def rescaled(
    factor: Factor,
    kept: Factor,
    gain: np.ndarray,
    *,
    gamma: float,
    lambda_: float | None = None,
    item_encoder: dict = TABLE,
) -> PreparedRefinement:
    """The spectral refinement with given gains, its entries brought to standard deviation gamma.

    Args:
        factor: Of the vectors, all components.
        kept: The same, cut to the refinement's dim.
        gain: Singular values of the refined rows before scaling, (components,).
        gamma: Standard deviation over all entries, > 0.
        lambda_: The ridge that the gains belong to, where there is one.
        item_encoder: What training builds from the rows.
    """
    weights, scale = spectral_map(kept, gain, gamma)
    facts = {}
    if lambda_ is not None:
        lambda_rel = lambda_ / float(kept.singular_values[-1]) ** 2
        facts = {"lambda": lambda_, "lambda_rel": lambda_rel}
    return mapped(
        factor,
        weights,
        gain,
        scale=scale,
        item_encoder=item_encoder,
        facts=facts,
        lambda_=lambda_,
    )


def spectral_map(factor: Factor, gain: np.ndarray, gamma: float) -> tuple[np.ndarray, float]:
    """The map that turns singular values into ``gain``, V diag(gain / s), and its scale."""
    weights = factor.components * (gain / factor.singular_values)
    return weights, scale_to(gamma, weights, gain, factor)


def scale_to(gamma: float, weights: np.ndarray, norms: np.ndarray, factor: Factor) -> float:
    """The scale that brings all entries of X = (E - mean) W to standard deviation gamma.

    X is not formed.

    Args:
        gamma: Population standard deviation over the n x components entries, > 0.
        weights: W, (dim, components).
        norms: Lengths of X's columns, (components,).
        factor: Of E.

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
