"""The vectors of a catalogue's texts, from the store or new, whatever kind of encoder made them."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from ace_steps.embed.store import VectorStore
from ace_steps.embed.texts import check_vectors
from ace_steps.progress import counted

log = logging.getLogger(__name__)

Batches = Iterator[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Sizes:
    """What is known of each text's tokens; complete once the last batch has been given.

    Attributes:
        lengths: (texts,) tokens of each.
        is_truncated: (texts,) bool, True for a text that lost its end.
    """

    lengths: np.ndarray
    is_truncated: np.ndarray

    @classmethod
    def unknown(cls, n_texts: int) -> "Sizes":
        """To be filled in as the texts are read."""
        return cls(np.zeros(n_texts, np.int64), np.zeros(n_texts, bool))


@dataclass(frozen=True)
class Embedded:
    """Vectors and what they took.

    Attributes:
        matrix: (texts, dim) float32, in the order of the texts.
        n_tokens: Tokens of all texts.
        n_truncated: Texts that lost their end.
        n_tokens_longest: Tokens of the longest text, 0 where there is none.
        n_new: Texts that were not in the store.
        new_tokens: Their tokens.
        seconds: Time that the new ones took.
    """

    matrix: np.ndarray
    n_tokens: int
    n_truncated: int
    n_tokens_longest: int
    n_new: int
    new_tokens: int
    seconds: float

    def counts(self) -> dict:
        """What the file should tell; the same whether or not the vectors were in the store."""
        return {
            "dim": self.matrix.shape[1],
            "n_texts": len(self.matrix),
            "n_tokens": self.n_tokens,
            "n_truncated": self.n_truncated,
            "n_tokens_longest": self.n_tokens_longest,
        }

    def __str__(self) -> str:
        rate = self.new_tokens / self.seconds if self.seconds else 0.0
        return (
            f"{len(self.matrix)} texts of {self.n_tokens} tokens, {self.n_truncated} truncated; "
            f"{self.n_new} new: {self.new_tokens} tokens in {self.seconds:.1f} s, "
            f"{rate:.0f} tokens/s"
        )


def embed_new(
    texts: pl.DataFrame,
    sizes: Sizes,
    *,
    dim: int,
    store: VectorStore,
    batches: Callable[[np.ndarray], Batches],
) -> Embedded:
    """One vector per text as its maker gives it: out of the store, or new and then in the store.

    Args:
        texts: As ``distinct_texts`` gives them.
        sizes: Of the texts; ``batches`` may fill them in.
        dim: Entries of a vector.
        store: Vectors made in this way before; every new batch is added to it.
        batches: From what is known, (texts,) bool, to (rows, vectors) of the rest.

    Raises:
        InputError: a vector is zero or not finite.

    Cost:
        ``texts * dim * 4`` bytes.
    """
    matrix = np.empty((len(texts), dim), np.float32)
    is_known = store.load(texts["text_sha256"], matrix)
    n_characters = texts["text"].str.len_chars().to_numpy()
    begun = time.monotonic()
    new = counted(
        batches(is_known),
        lambda it: int(n_characters[it[0]].sum()),
        int(n_characters[~is_known].sum()),
        "characters",
        log,
    )
    for rows, vectors in new:
        check_vectors(vectors, rows, texts)
        store.add(texts["text_sha256"].gather(rows), vectors)
        matrix[rows] = vectors
    return Embedded(
        matrix=matrix,
        n_tokens=int(sizes.lengths.sum()),
        n_truncated=int(sizes.is_truncated.sum()),
        n_tokens_longest=int(sizes.lengths.max(initial=0)),
        n_new=int((~is_known).sum()),
        new_tokens=int(sizes.lengths[~is_known].sum()),
        seconds=time.monotonic() - begun,
    )
