"""Settings of each kind of encoder; described in config.schema.yaml under ``$defs``."""

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from ace_steps.config.base import Settings

TEXT = "{text}"  # where an item's text goes in a prompt


class _Reading(Settings):
    """What a language model reads, and what becomes of its vector, wherever it runs."""

    prompt: str
    max_tokens: int = Field(gt=0)
    truncate_dim: int | None = Field(gt=0)
    normalise: bool

    @field_validator("prompt")
    @classmethod
    def _has_one_place_for_the_text(cls, prompt: str) -> str:
        if prompt.count(TEXT) != 1:
            raise ValueError(f"{TEXT} is wanted exactly once")
        return prompt


class EncoderSettings(_Reading):
    """A model that runs here: what it reads and what is kept of its states."""

    pooling: Literal["mean", "weighted_mean", "last", "first"]
    layer: int
    dtype: Literal["bfloat16", "float32"]
    batch_tokens: int = Field(gt=0)
    trust_remote_code: bool

    def facts(self) -> dict:
        """What a file of vectors should tell of them."""
        return {
            **{name: getattr(self, name) for name in ("pooling", "dtype", "max_tokens")},
            "normalised": self.normalise,
        }


class ApiConnection(Settings):
    """An OpenAI-compatible API and how it is used; never the key itself."""

    base_url: str
    model: str = Field(min_length=1)
    key_variable: str | None
    width: int = Field(gt=0)
    send_dimensions: bool
    encoding_format: Literal["base64", "float"]
    max_inputs: int = Field(gt=0)
    max_request_tokens: int = Field(gt=0)
    concurrency: int = Field(gt=0)
    timeout_s: float = Field(gt=0)
    attempts: int = Field(gt=0)
    tokenizer: str | None
    chars_per_token: float = Field(gt=0)
    price: float | None = Field(ge=0)

    @field_validator("base_url")
    @classmethod
    def _is_an_address_without_secrets(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise ValueError("an address such as https://api.openai.com/v1 is wanted")
        if parts.username or parts.password:
            raise ValueError("a name or password has no place in it; key_variable is for the key")
        return url.rstrip("/")


class ApiSettings(_Reading):
    """A model behind an API, what it reads and what is kept of its vectors."""

    api: ApiConnection

    def facts(self) -> dict:
        """What a file of vectors should tell of them."""
        return {
            "model": self.api.model,
            "revision": None,  # an API names none
            "max_tokens": self.max_tokens,
            "normalised": self.normalise,
        }


class OwnVectorsSettings(Settings):
    """A file of vectors that were made elsewhere.

    Attributes:
        vectors: Its path.
        ids: Path of the ids of a matrix's rows; None where the file holds them itself.
        id_column: Column of the ids, in Parquet.
        vector_column: Column (Parquet) or array (safetensors) of the vectors.
        missing_items: What happens to items without a vector.
    """

    vectors: str
    ids: str | None = None
    id_column: str = "item_id"
    vector_column: str = "vector"
    missing_items: Literal["error", "zero"] = "error"

    def files(self) -> list[Path]:
        """The caller's files."""
        return [Path(path) for path in (self.vectors, self.ids) if path]
