"""Settings that every backbone shares; each key is described in ``config.schema.yaml``."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from ace_steps.config.base import Settings

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Chance = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class TrainingSettings(Settings):
    """How a backbone is trained; ``$defs/training``."""

    train_targets: Literal["all", "last"]
    window_stride: Count
    negatives: Annotated[int, Field(ge=0)]
    batch_sequences: Count
    optimiser: Literal["adam", "adamw"]
    lr: Positive
    weight_decay: NotNegative
    warmup_steps: Annotated[int, Field(ge=0)]
    lr_decay: Literal["none", "linear"]
    precision: Literal["float32", "bfloat16"]
    epochs: Count
    patience: Count
    metric: Literal["recall", "ndcg", "mrr"]
    cutoff: Literal[1, 5, 10, 20, 50]


class RankingSettings(Settings):
    """How held-out targets are ranked; ``$defs/ranking``."""

    tie_policy: Literal["expected", "optimistic", "pessimistic"]
    mask_seen: bool


class BackboneSettings(Settings):
    """Base of a backbone's settings: what the shared loop and the ranking need."""

    model: str
    width: Count
    max_length: Count
    dropout: Share
    training: TrainingSettings
    ranking: RankingSettings


class TransformerSettings(BackboneSettings):
    """Base of the settings of a backbone built from attention layers."""

    layers: Count
    heads: Count
    inner: Count
    attention_dropout: Share

    @field_validator("heads")
    @classmethod
    def _divides_width(cls, heads: int, info: ValidationInfo) -> int:
        width = info.data.get("width", 0)
        if width % heads:
            raise PydanticCustomError(
                "divides_width", "must divide the width, {width}", {"width": width}
            )
        return heads
