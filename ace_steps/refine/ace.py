"""ACE: ridge-damped whitening of item vectors, with its dial (SIGIR 2026, arXiv:2605.29322)."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ace_steps.refine.dial import solve_lambda
from ace_steps.refine.plan import Plan, Source
from ace_steps.refine.settings import Center, Gamma, RefinementSettings
from ace_steps.refine.spectral import gains
from ace_steps.refine.spectral_methods import rescaled
from ace_steps.settings import Grid, NonNegative, Settings

DIALS = ("lambda", "lambda_rel", "target")
DEFAULT_LAMBDA_REL = [0.0, 0.1, 1.0]  # above s_k^2 the probe only falls


class Target(Settings):
    """A geometry that lambda is solved for; exactly one of its keys."""

    effective_rank: Grid[Annotated[float, Field(gt=0, le=1)]] | None = Field(
        None,
        description="Effective rank (exponential of the entropy of the singular values) as a share "
        "of dim; 1 is whitened.",
    )
    mean_cosine: Grid[Annotated[float, Field(ge=-1, le=1)]] | None = Field(
        None,
        description="Mean cosine over all pairs of items; near 0 for every lambda where the "
        "vectors are centered.",
    )

    @model_validator(mode="after")
    def _one_measure(self) -> "Target":
        if (self.effective_rank is None) == (self.mean_cosine is None):
            raise ValueError("expected exactly one of effective_rank and mean_cosine")
        return self


class AceSettings(RefinementSettings):
    """ACE: singular vectors with gains s / sqrt(s^2 + lambda), rescaled to gamma.

    One of lambda, lambda_rel and target sets the dial; without any of them lambda_rel is the grid
    [0, 0.1, 1].
    """

    method: Literal["ace"] = "ace"
    lambda_: Grid[NonNegative] | None = Field(
        None,
        description="Ridge in the unit of s^2, which grows with the number of items; 0 whitens, "
        "the larger the more of the vectors' own anisotropy is kept.",
    )
    lambda_rel: Grid[NonNegative] | None = Field(
        None,
        description="Ridge in units of s_k^2, the weakest component kept, so that it means the "
        "same for every catalog; [0, 0.1, 1] where none of lambda, lambda_rel and target is given.",
    )
    target: Target | None = Field(
        None, description="Geometry of the refined vectors that lambda is solved for."
    )
    gamma: Gamma = 0.2
    center: Center = False

    @model_validator(mode="before")
    @classmethod
    def _default_dial(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        stated = {key.removesuffix("_") for key, value in given.items() if value is not None}
        return given if stated & set(DIALS) else {**given, "lambda_rel": DEFAULT_LAMBDA_REL}

    @model_validator(mode="after")
    def _one_dial(self) -> "AceSettings":
        values = (self.lambda_, self.lambda_rel, self.target)
        given = [name for name, value in zip(DIALS, values, strict=True) if value is not None]
        if len(given) != 1:
            raise ValueError(f"expected one of {', '.join(DIALS)}, got {' and '.join(given)}")
        return self


def ace(settings: AceSettings, source: Source) -> Plan:
    """U_k g(S_k) brought to standard deviation gamma, g(s) = s / sqrt(s^2 + lambda)."""
    factor = source.factor(center=settings.center)
    kept = factor.leading(settings.dim)
    lambda_ = solve_lambda(settings, kept, source.rows)
    gain = gains(kept.singular_values, lambda_)
    return rescaled(factor, kept, gain, gamma=settings.gamma, lambda_=lambda_)
