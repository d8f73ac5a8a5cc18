"""Settings of an encoder; described in config.schema.yaml under ``$defs/encoder``."""

from typing import Literal

from pydantic import Field, field_validator

from ace_steps.settings import Settings

TEXT = "{text}"  # where an item's text goes in a prompt


class EncoderSettings(Settings):
    """What the language model reads and what is kept of its states."""

    prompt: str
    pooling: Literal["mean", "weighted_mean", "last", "first"]
    layer: int
    dtype: Literal["bfloat16", "float32"]
    max_tokens: int = Field(gt=0)
    batch_tokens: int = Field(gt=0)
    truncate_dim: int | None = Field(gt=0)
    normalise: bool
    trust_remote_code: bool

    @field_validator("prompt")
    @classmethod
    def _has_one_place_for_the_text(cls, prompt: str) -> str:
        if prompt.count(TEXT) != 1:
            raise ValueError(f"{TEXT} is wanted exactly once")
        return prompt
