"""The texts of a catalogue, or of one shard of it, to a matrix of vectors."""

from collections.abc import Iterator
from itertools import accumulate, pairwise

import numpy as np
import polars as pl

from ace_steps.embed.embedded import Embedded, embed_new
from ace_steps.embed.encode import encode
from ace_steps.embed.finishing import finished
from ace_steps.embed.models import Encoder
from ace_steps.embed.settings import EncoderSettings
from ace_steps.embed.store import VectorStore
from ace_steps.embed.texts import check_tokens
from ace_steps.embed.tokens import Tokens, tokenise
from ace_steps.errors import InputError


def embed_texts(
    texts: pl.DataFrame, encoder: Encoder, settings: EncoderSettings, store: VectorStore
) -> Embedded:
    """One vector per text, out of the store or the model.

    The texts of a bucket share batches with each other alone: their vectors do not depend on which
    other buckets are embedded here.

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
    found = embed_new(
        texts,
        tokens.lengths,
        tokens.is_truncated,
        width=encoder.width,
        store=store,
        batches=lambda is_known: _batches(texts["bucket"], tokens, encoder, settings, is_known),
    )
    return finished(found, texts, settings)


def _batches(
    bucket: pl.Series,
    tokens: Tokens,
    encoder: Encoder,
    settings: EncoderSettings,
    is_known: np.ndarray,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(rows, pooled vectors) of the texts not known yet, bucket after bucket."""
    n_texts = bucket.rle().struct.field("len").to_list()
    for start, stop in pairwise(accumulate(n_texts, initial=0)):
        if is_known[start:stop].all():
            continue
        some = tokens.part(start, stop)
        for rows, vectors in encode(encoder, some, settings, is_known[start:stop]):
            yield start + rows, vectors


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
