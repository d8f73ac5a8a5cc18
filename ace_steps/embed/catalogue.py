"""The texts of a catalogue, or of one shard of it, to a matrix of vectors."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate, pairwise
from typing import TypeVar

import numpy as np
import polars as pl

from ace_steps.embed.embedded import Embedded, Sizes, embed_new
from ace_steps.embed.encode import Budget, encode
from ace_steps.embed.finishing import finished
from ace_steps.embed.models import Encoder
from ace_steps.embed.settings import EncoderSettings
from ace_steps.embed.store import VectorStore
from ace_steps.embed.texts import check_tokens
from ace_steps.embed.tokens import Tokens, tokenize
from ace_steps.errors import InputError

Piece = TypeVar("Piece")


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
        ``texts * dim * 4`` bytes beside the model, twice while they are finished.
    """
    sizes = Sizes.unknown(len(texts))
    found = embed_new(
        texts,
        sizes,
        dim=encoder.dim,
        store=store,
        batches=lambda is_known: _batches(texts, encoder, settings, is_known, sizes),
    )
    return finished(found, texts, settings)


def _batches(
    texts: pl.DataFrame,
    encoder: Encoder,
    settings: EncoderSettings,
    is_known: np.ndarray,
    sizes: Sizes,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(rows, pooled vectors) of the texts not known yet, bucket after bucket.

    While the model reads one bucket, the next is turned into tokens; ``sizes`` are filled in.
    """
    n_texts = texts["bucket"].rle().struct.field("len").to_list()
    spans = list(pairwise(accumulate(n_texts, initial=0)))
    buckets = (_checked_tokens(texts[slice(*span)], encoder, settings) for span in spans)
    budget = Budget(settings.batch_tokens)
    for (start, stop), tokens in zip(spans, made_ahead(buckets), strict=True):
        sizes.lengths[start:stop], sizes.is_truncated[start:stop] = (
            tokens.lengths,
            tokens.is_truncated,
        )
        if is_known[start:stop].all():
            continue
        for rows, vectors in encode(encoder, tokens, settings, is_known[start:stop], budget):
            yield start + rows, vectors


def made_ahead(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """The pieces in their order; a thread makes the next one while the last is in use."""
    with ThreadPoolExecutor(1, "ahead") as thread:
        coming = thread.submit(next, pieces, None)
        while (piece := coming.result()) is not None:
            coming = thread.submit(next, pieces, None)
            yield piece


def _checked_tokens(texts: pl.DataFrame, encoder: Encoder, settings: EncoderSettings) -> Tokens:
    """Token ids of every text, all of which the model can read."""
    tokens = tokenize(
        encoder.tokenizer,
        texts["text"].to_list(),
        prompt=settings.prompt,
        max_tokens=settings.max_tokens,
        append_eos=settings.append_eos,
    )
    check_tokens(tokens.lengths, texts)
    highest = int(tokens.ids.max(initial=0))
    if highest >= encoder.n_ids:
        raise InputError(
            f"the tokenizer gives the id {highest}, but the model knows {encoder.n_ids} ids; "
            "they do not belong together."
        )
    return tokens
