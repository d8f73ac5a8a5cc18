"""Settings of the refinements; every key is described in config.schema.yaml under its method."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, model_validator

from ace_steps.config.base import Settings

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Ridge = Annotated[float, Field(ge=0, allow_inf_nan=False)]

DIALS = ("lambda", "lambda_rel", "target")


class AnyMethod(BaseModel):
    """What every refinement's settings have: the key that decides what the others are."""

    method: str


class RandomSettings(Settings):
    """A table drawn at random: the plain backbone."""

    method: Literal["random"]
    width: Count
    std: Positive
    seed: Annotated[int, Field(ge=0)]


class Llm2xSettings(Settings):
    """Centred principal components, not rescaled."""

    method: Literal["llm2x"]
    width: Count


class SvdSettings(Settings):
    """Singular vectors times singular values, rescaled: ACE at lambda = infinity."""

    method: Literal["svd"]
    width: Count
    gamma: Positive
    center: bool


class WhiteningSettings(Settings):
    """Singular vectors, rescaled: ACE at lambda = 0."""

    method: Literal["whitening"]
    width: Count
    gamma: Positive
    center: bool


class Target(Settings):
    """A geometry that lambda is solved for; exactly one of its keys."""

    effective_rank: Annotated[float, Field(gt=0, le=1)] | None = None
    mean_cosine: Annotated[float, Field(ge=-1, le=1)] | None = None

    @model_validator(mode="after")
    def _one_measure(self) -> "Target":
        if (self.effective_rank is None) == (self.mean_cosine is None):
            raise ValueError("a target takes exactly one of effective_rank, mean_cosine")
        return self


class AceSettings(Settings):
    """ACE with its dial, given in exactly one of three ways."""

    method: Literal["ace"]
    width: Count
    gamma: Positive
    center: bool
    lambda_: Ridge | None = None
    lambda_rel: Ridge | None = None
    target: Target | None = None

    @model_validator(mode="after")
    def _one_dial(self) -> "AceSettings":
        values = (self.lambda_, self.lambda_rel, self.target)
        given = [name for name, value in zip(DIALS, values, strict=True) if value is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(f"ace takes exactly one of {', '.join(DIALS)}; found {found}")
        return self


class WhitenrecPlusSettings(Settings):
    """Two frozen whitened tables through one trained network."""

    method: Literal["whitenrec_plus"]
    width: Count
    gamma: Positive | None
    groups: Count


class AlpharecSettings(Settings):
    """The frozen vectors themselves through a trained network."""

    method: Literal["alpharec"]
    width: Count
    gamma: Positive | None


class LlmembSettings(Settings):
    """Frozen principal components through two trained linear layers."""

    method: Literal["llmemb"]
    width: Count
    gamma: Positive | None
    pca_width: Count


class AlphafuseSettings(Settings):
    """Frozen whitened components, and a trained table added to the weakest of them."""

    method: Literal["alphafuse"]
    width: Count
    gamma: Positive
    trainable_last: Annotated[int, Field(ge=0)]
    std: Positive

    @model_validator(mode="after")
    def _split_within_width(self) -> "AlphafuseSettings":
        if self.trainable_last > self.width:
            raise ValueError(
                f"trainable_last is {self.trainable_last}, larger than width {self.width}"
            )
        return self
