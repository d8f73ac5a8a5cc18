"""Settings of each kind of encoder, with defaults; a dry run imports this module: no torch."""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from ace_steps.settings import Count, NonNegative, Positive, Settings

TEXT = "{text}"  # where an item's text goes in a prompt
DERIVED = ("prompt", "pooling", "max_tokens", "append_eos", "normalize")  # null: see entries
ORIGINS = ("source", "path", "hub")  # keys of which one names a model that runs here
AS_THE_MODEL = "null takes it from the registry or the model's own files"
LONGEST_API_TEXT = 8191  # tokens, of OpenAI's models

Pooling = Literal["mean", "weighted_mean", "last", "first"]


def _with_one_text(prompt: str) -> str:
    if prompt.count(TEXT) != 1:
        raise ValueError(f"expected {TEXT} exactly once, got '{prompt}'")
    return prompt


def _address_without_secrets(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"expected an address such as https://api.openai.com/v1, got '{url}'")
    if parts.username or parts.password:
        raise ValueError("a user name or password has no place in it; use key_variable for the key")
    return url.rstrip("/")


Prompt = Annotated[str, AfterValidator(_with_one_text)]
Revision = Annotated[str, Field(pattern="^[0-9a-f]{40}$")]
TruncateDim = Annotated[
    Count | None,
    Field(
        description="Leading dimensions to keep, for models trained that way (Matryoshka); null "
        "keeps all."
    ),
]
PROMPT = "What the model encodes: this text with the item's text in place of {text}, exactly once"


class HubSettings(Settings):
    """A repository of the Hugging Face hub at one commit."""

    repo: str = Field(
        pattern=r"^[\w.-]+/[\w.-]+$", description="Name of the repository, owner/model."
    )
    revision: Revision = Field(
        description="Commit, all 40 hexadecimal digits, in quotes: a branch may hold other "
        "weights tomorrow."
    )


class _ModelOrigin(Settings):
    """Where a model that runs here comes from."""

    source: str | None = Field(
        None,
        min_length=1,
        description="Name of a public model in data/encoders.yaml, fetched and checked.",
    )
    revision: Revision | None = Field(
        None,
        description="Another commit of the repository that source stands for, 40 hexadecimal "
        "digits in quotes.",
    )
    path: str | None = Field(
        None,
        min_length=1,
        description="Folder of a model that is already here: one .gguf file, or config.json with "
        ".safetensors and tokenizer files; ${NAME} is replaced from the environment.",
    )
    hub: HubSettings | None = Field(
        None, description="A repository of the Hugging Face hub at one commit, fetched."
    )


class EncoderSettings(Settings):
    """How a model that runs here turns texts into vectors.

    The keys in ``DERIVED`` may be None until ``ace_steps.embed.entries`` has filled them in.
    """

    prompt: Prompt | None = Field(
        None,
        description=f"{PROMPT}. A text that is too long loses its end, never the prompt; "
        f"{AS_THE_MODEL}.",
    )
    pooling: Pooling | None = Field(
        None,
        description="How the states of a text's tokens become one vector, in float32: mean, "
        "weighted_mean (weighted by the token's position), last token or first token ([CLS]); "
        f"{AS_THE_MODEL}.",
    )
    layer: int = Field(
        -1,
        description="Layer whose states are pooled: 0 is the model's input, 1 the first layer, -1 "
        "the last with the final norm, -2 the one before it.",
    )
    dtype: Literal["bfloat16", "float32"] = Field(
        "bfloat16",
        description="Precision of weights and states; vectors are stored in float32. A processor "
        "without bfloat16 computes in float32, and the log says so.",
    )
    max_tokens: Count | None = Field(
        None,
        description="Longest text in tokens, with prompt and special tokens; longer ones are cut "
        f"and counted; {AS_THE_MODEL}.",
    )
    append_eos: bool | None = Field(
        None,
        description="Whether the tokenizer's end token is appended to each text where the "
        f"tokenizer does not do so itself; it is never cut off; {AS_THE_MODEL}.",
    )
    batch_tokens: Count = Field(
        2048,
        description="Tokens of one batch with padding; halved where memory does not suffice. Try "
        "8192 on a GPU.",
    )
    truncate_dim: TruncateDim = None
    normalize: bool | None = Field(
        None,
        description="Whether each vector is scaled to unit length, after truncation; "
        f"{AS_THE_MODEL}.",
    )
    trust_remote_code: bool = Field(
        False, description="Whether Python code inside the folder may run; only with path."
    )

    def facts(self) -> dict:
        """What a file of vectors tells of them."""
        return {
            "pooling": self.pooling,
            "dtype": self.dtype,
            "max_tokens": self.max_tokens,
            "append_eos": self.append_eos,
            "normalized": self.normalize,
        }


class _StepSettings(Settings):
    """Settings as a step gets them.

    Attributes:
        taken_from: Where each setting that may be left out was taken from, as far as it is known
            before the step runs; the configuration states the others.
    """

    taken_from: dict[str, str] = Field({})


class EmbedItemsSettings(EncoderSettings, _StepSettings):
    """Settings of the step embed_items."""

    def plain(self) -> EncoderSettings:
        """The same without the origins."""
        return EncoderSettings(**self.model_dump(exclude={"taken_from"}))


class LocalEncoderSettings(EncoderSettings, _ModelOrigin):
    """A language model that runs here: exactly one of source, path and hub names it."""

    @model_validator(mode="after")
    def _one_origin(self) -> "LocalEncoderSettings":
        given = [key for key in ORIGINS if getattr(self, key) is not None]
        if len(given) != 1:
            names = " and ".join(given) or "none of them"
            raise ValueError(
                f"expected exactly one of source, path, hub, api and vectors, got {names}"
            )
        if self.revision is not None and self.source is None:
            raise ValueError("revision belongs to source; hub has a revision of its own")
        if self.trust_remote_code and self.path is None:
            raise ValueError(
                "trust_remote_code: true is only for a model's folder, path; no code is fetched "
                "with source or hub"
            )
        return self


class ApiConnection(Settings):
    """An OpenAI-compatible API and how it is used; never the key itself."""

    base_url: Annotated[str, AfterValidator(_address_without_secrets)] = Field(
        description="Address up to and without /embeddings, e.g. https://api.openai.com/v1."
    )
    model: str = Field(min_length=1, description="The model's name there.")
    key_variable: str | None = Field(
        None,
        pattern="^[A-Za-z_][A-Za-z0-9_]*$",
        description="Name of the environment variable that holds the key; null sends none.",
    )
    dim: Count = Field(
        description="Dimension of a vector; an answer with another dimension is refused."
    )
    send_dimensions: bool = Field(
        False,
        description="Whether the server is asked for vectors of this dimension (the request's "
        "dimensions); not all servers know it.",
    )
    encoding_format: Literal["base64", "float"] = Field(
        "base64",
        description="How vectors travel: base64 is exact and a fifth of the size, float is JSON.",
    )
    max_inputs: Count = Field(2048, description="Texts of one request, at most (OpenAI: 2048).")
    max_request_tokens: Count = Field(
        300_000, description="Tokens of one request, at most (OpenAI: 300,000)."
    )
    concurrency: Count = Field(4, description="Requests of one shard under way at once.")
    timeout_s: Positive = Field(120.0, description="Longest time of one request, in seconds.")
    attempts: Count = Field(
        6,
        description="How often a request is sent before the step gives up: after 408, 409, 425, "
        "429, 5xx, a broken connection, a timeout or an unusable answer.",
    )
    tokenizer: str | None = Field(
        None,
        min_length=1,
        description="A tokenizer.json, or a folder that holds one, to count and cut with; null "
        "counts characters; ${NAME} is replaced from the environment.",
    )
    chars_per_token: Positive = Field(
        4.0, description="Characters counted as one token without a tokenizer (English: about 4)."
    )
    price: NonNegative | None = Field(
        None, description="US dollars for a million tokens, for the estimate; null where unknown."
    )


class ApiEncoderSettings(Settings):
    """A language model behind an OpenAI-compatible API, and what it encodes."""

    api: ApiConnection = Field(
        description="The API (OpenAI, vLLM, TEI, llama.cpp); its key is read from the environment "
        "and written nowhere."
    )
    prompt: Prompt = Field(
        TEXT, description=f"{PROMPT}. A text that is too long loses its end, never the prompt."
    )
    max_tokens: Count = Field(
        LONGEST_API_TEXT,
        description="Longest text in tokens, with prompt, as tokenizer or chars_per_token count "
        "them; longer ones are cut and counted.",
    )
    truncate_dim: TruncateDim = None
    normalize: bool = Field(
        True, description="Whether each vector is scaled to unit length, after truncation."
    )

    def facts(self) -> dict:
        """What a file of vectors tells of them."""
        return {
            "model": self.api.model,
            "revision": None,  # an API names none
            "max_tokens": self.max_tokens,
            "normalized": self.normalize,
        }


class RequestVectorsSettings(ApiEncoderSettings, _StepSettings):
    """Settings of the steps request_vectors and estimate_requests."""

    def plain(self) -> ApiEncoderSettings:
        """The same without the origins."""
        return ApiEncoderSettings(**self.model_dump(exclude={"taken_from"}))


class PrecomputedSettings(Settings):
    """Precomputed embeddings: a file of vectors, joined to the items by their raw ids."""

    vectors: str = Field(
        pattern=r"\.(parquet|npy|safetensors)$",
        description="A .parquet file with a column of ids and one of vectors, or an .npy or "
        ".safetensors matrix; ${NAME} is replaced from the environment.",
    )
    ids: str | None = Field(
        None,
        pattern=r"\.(txt|json|npy)$",
        description="Ids of a matrix's rows, in order: a .txt file (one a line), .json (a list) or "
        ".npy; not for Parquet. A safetensors file may hold whole-number ids itself, as ids.",
    )
    id_column: str = Field(
        "item_id", min_length=1, description="Column of a Parquet file with the ids."
    )
    vector_column: str = Field(
        "vector",
        min_length=1,
        description="Column of a Parquet file, or array of a safetensors file, with the vectors.",
    )
    missing_items: Literal["error", "zero"] = Field(
        "error",
        description="What happens to an item without a vector: error, or zero, a vector of zeros, "
        "which stays zero unless a refinement centers.",
    )

    def files(self) -> list[Path]:
        """The caller's files."""
        return [Path(path) for path in (self.vectors, self.ids) if path]


EntrySettings = LocalEncoderSettings | ApiEncoderSettings | PrecomputedSettings


def entry_class(entry: dict) -> type[EntrySettings]:
    """The settings class of an entry of ``encoders``, by the keys that it has."""
    if "api" in entry:
        return ApiEncoderSettings
    return PrecomputedSettings if "vectors" in entry else LocalEncoderSettings
