"""The texts of a catalogue, or of one shard of it, to a matrix of vectors."""

import time
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch

from ace_steps.embed.encode import encode
from ace_steps.embed.models import Encoder
from ace_steps.embed.pooling import finish
from ace_steps.embed.progress import shown
from ace_steps.embed.settings import EncoderSettings
from ace_steps.embed.store import VectorStore
from ace_steps.embed.texts import check_tokens, check_vectors
from ace_steps.embed.tokens import Tokens, tokenise
from ace_steps.errors import InputError


@dataclass(frozen=True)
class Embedded:
    """Vectors and what they took.

    Attributes:
        matrix: (texts, width) float32, in the order of the texts.
        n_tokens: Tokens of all texts.
        n_truncated: Texts that lost their end.
        n_new: Texts that were not in the store.
        new_tokens: Their tokens.
        seconds: Time that the new ones took in the model.
    """

    matrix: np.ndarray
    n_tokens: int
    n_truncated: int
    n_new: int
    new_tokens: int
    seconds: float

    def facts(self, settings: EncoderSettings) -> dict:
        """What the file should tell; the same whether or not the vectors were in the store."""
        return {
            **{name: getattr(settings, name) for name in ("pooling", "dtype", "max_tokens")},
            "normalised": settings.normalise,
            "width": self.matrix.shape[1],
            "n_texts": len(self.matrix),
            "n_tokens": self.n_tokens,
            "n_truncated": self.n_truncated,
        }

    def __str__(self) -> str:
        rate = self.new_tokens / self.seconds if self.seconds else 0.0
        return (
            f"{len(self.matrix)} texts of {self.n_tokens} tokens, {self.n_truncated} truncated; "
            f"{self.n_new} new: {self.new_tokens} tokens in {self.seconds:.1f} s, "
            f"{rate:.0f} tokens/s"
        )


def embed_texts(
    texts: pl.DataFrame, encoder: Encoder, settings: EncoderSettings, store: VectorStore
) -> Embedded:
    """One vector per text, out of the store or the model.

    Args:
        texts: As ``distinct_texts`` gives them.
        encoder: The loaded model.
        settings: What is read and what is kept.
        store: Vectors made in this way before; every new batch is added to it.

    Raises:
        InputError: a text has no token, or its vector is zero or not finite.

    Cost:
        ``texts * width * 4`` bytes beside the model, twice while they are finished.
    """
    tokens = _checked_tokens(texts, encoder, settings)
    pooled = np.empty((len(texts), encoder.width), np.float32)
    is_known = store.load(texts["text_sha256"], pooled)
    new_tokens = int(tokens.lengths[~is_known].sum())
    begun = time.monotonic()
    batches = encode(encoder, tokens, settings, is_known)
    for rows, vectors in shown(batches, tokens.lengths, new_tokens):
        check_vectors(vectors, rows, texts)
        store.add(texts["text_sha256"].gather(rows), vectors)
        pooled[rows] = vectors
    seconds = time.monotonic() - begun
    kept = {"truncate_dim": settings.truncate_dim, "normalise": settings.normalise}
    matrix = finish(torch.from_numpy(pooled), **kept).numpy()
    check_vectors(matrix, np.arange(len(texts)), texts)
    return Embedded(
        matrix=matrix,
        n_tokens=len(tokens.ids),
        n_truncated=int(tokens.is_truncated.sum()),
        n_new=int((~is_known).sum()),
        new_tokens=new_tokens,
        seconds=seconds,
    )


def _checked_tokens(texts: pl.DataFrame, encoder: Encoder, settings: EncoderSettings) -> Tokens:
    """Token ids of every text, all of which the model can read."""
    limits = {"prompt": settings.prompt, "max_tokens": settings.max_tokens}
    tokens = tokenise(encoder.tokenizer, texts["text"].to_list(), **limits)
    check_tokens(tokens.lengths, texts)
    highest = int(tokens.ids.max(initial=0))
    if highest >= encoder.n_ids:
        raise InputError(
            f"the tokenizer gives the id {highest}, but the model knows {encoder.n_ids} ids; "
            "they do not belong together."
        )
    return tokens
