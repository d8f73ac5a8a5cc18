"""The texts of a catalogue, or of one shard of it, to a matrix of vectors."""

import numpy as np
import polars as pl

from ace_steps.embed.encode import encode
from ace_steps.embed.models import Encoder
from ace_steps.embed.progress import shown
from ace_steps.embed.settings import EncoderSettings
from ace_steps.embed.texts import check_tokens, check_vectors
from ace_steps.embed.tokens import Tokens, tokenise
from ace_steps.errors import InputError


def embed_texts(
    texts: pl.DataFrame, encoder: Encoder, settings: EncoderSettings
) -> tuple[np.ndarray, Tokens]:
    """One vector per text.

    Args:
        texts: As ``distinct_texts`` gives them.
        encoder: The loaded model.
        settings: What is read and what is kept.

    Returns:
        (texts, width) float32 in the order of ``texts``, and the tokens that were read.

    Raises:
        InputError: a text has no token, or its vector is zero or not finite.

    Cost:
        ``texts * width * 4`` bytes beside the model.
    """
    limits = {"prompt": settings.prompt, "max_tokens": settings.max_tokens}
    tokens = tokenise(encoder.tokenizer, texts["text"].to_list(), **limits)
    check_tokens(tokens.lengths, texts)
    highest = int(tokens.ids.max(initial=0))
    if highest >= encoder.n_ids:
        raise InputError(
            f"the tokenizer gives the id {highest}, but the model knows {encoder.n_ids} ids; "
            "they do not belong together."
        )
    matrix = np.empty((len(texts), settings.truncate_dim or encoder.width), np.float32)
    for rows, vectors in shown(encode(encoder, tokens, settings), tokens.lengths):
        check_vectors(vectors, rows, texts)
        matrix[rows] = vectors
    return matrix, tokens
