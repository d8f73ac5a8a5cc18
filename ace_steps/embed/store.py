"""Vectors that were made before, by the hash of their text: no text is embedded twice.

A store is a folder of ``text_vectors`` files for one way of making vectors. Every batch becomes a
file as soon as it is made, so that a job that was killed loses one batch; a job that ends gathers
its files into one. Vectors are kept as pooled, whole and unscaled, whatever is made of them later.

The last digits of a vector may depend on the texts that shared its batch: where another data set or
another number of shards filled the store first, they may differ from those of an empty store.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import polars as pl

from ace_steps.embed.settings import ApiEncoderSettings, EncoderSettings
from ace_steps.embed.texts import check_vectors
from ace_steps.errors import InputError
from ace_steps.io.code_digest import code_digest
from ace_steps.io.files import sha256_text
from ace_steps.io.parquet import open_parquet
from ace_steps.io.provenance import Provenance
from ace_steps.io.vectors import iter_vectors, vector_writer
from ace_steps.progress import counted

log = logging.getLogger(__name__)

Batch = tuple[np.ndarray, np.ndarray]  # rows (batch,), vectors (batch, dim)
CODE = (  # what decides what a vector is
    "ace_steps.embed.encode:encode",
    "ace_steps.embed.models:load_encoder",
    "ace_steps.embed.tokens:tokenize",
)
WITHOUT = (  # what the key has by its values, and what refuses a folder before anything is made
    "ace_steps.embed.settings",
    "ace_steps.embed.model_files",
)
NAME_DIGITS = 32
KEY = "text_sha256"
DECIDING = (  # settings that a pooled vector depends on
    *("prompt", "pooling", "layer", "dtype", "max_tokens", "append_eos"),
    "batch_tokens",  # which texts share a batch, and so the last digits
)


def store_key(model_sha256: str, settings: EncoderSettings, device: str) -> str:
    """A folder name for everything a pooled vector depends on but its text and its batch.

    Args:
        model_sha256: Digest of the model's files.
        settings: Resolved: the key is the same whether its values were stated or derived.
        device: Its type, e.g. ``cpu``: another kind of device rounds in another way.
    """
    parts = {name: getattr(settings, name) for name in DECIDING}
    parts |= {name: version(name) for name in ("torch", "transformers")}
    parts |= {"code": code_digest(*CODE, without=WITHOUT), "model": model_sha256, "device": device}
    return folder_name(parts)


def folder_name(parts: dict) -> str:
    """The name of the folder of one way of making vectors."""
    return sha256_text(json.dumps(parts, sort_keys=True))[:NAME_DIGITS]


class VectorStore:
    """A folder of vectors made in one way; several jobs may use it at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._added: list[Path] = []

    def load(self, hashes: pl.Series, matrix: np.ndarray) -> np.ndarray:
        """Fill in the rows of ``matrix`` (n, dim) float32 that are known.

        Args:
            hashes: (n,) text_sha256, each once.
            matrix: Changed in place.

        Returns:
            (n,) bool, True where a row was filled.

        Raises:
            InputError: a file of the store is damaged.
        """
        is_known = np.zeros(len(hashes), bool)
        texts = pl.DataFrame({KEY: hashes}).with_row_index("row")
        for path in sorted(self._folder.glob("*.parquet")):
            try:
                with open_parquet(path) as file:
                    keys = pl.from_arrow(file.read(columns=[KEY]))
                if keys.join(texts, on=KEY, how="semi").is_empty():
                    continue
                for piece in iter_vectors(path, id_column=KEY):
                    kept = pl.DataFrame({KEY: piece.ids}).with_row_index("kept_row")
                    both = kept.join(texts, on=KEY)
                    rows = both["row"].to_numpy()
                    matrix[rows] = piece.matrix[both["kept_row"].to_numpy()]
                    is_known[rows] = True
            except InputError:
                if path.exists():  # else another job has gathered its files meanwhile
                    raise
        return is_known

    def add(self, hashes: pl.Series, vectors: np.ndarray) -> None:
        """Keep vectors (batch, dim) from now on."""
        name = sha256_text("".join(hashes))[:NAME_DIGITS]
        path = self._folder / f"{name}.parquet"
        note = Provenance(step="embed_items")
        with vector_writer(path, "text_vectors", vectors.shape[1], np.float32, note) as writer:
            writer.write({KEY: hashes.to_arrow()}, vectors)
        self._added.append(path)

    def gather(self) -> None:
        """Put the files of this job into one, so that the folder does not fill with small ones."""
        if len(self._added) < 2:
            return
        pieces = [piece for path in self._added for piece in iter_vectors(path, id_column=KEY)]
        hashes = pl.concat([piece.ids for piece in pieces])
        small, self._added = self._added, []
        self.add(hashes, np.concatenate([piece.matrix for piece in pieces]))
        for path in small:
            path.unlink()


@dataclass(frozen=True)
class Embedded:
    """Vectors (texts, dim) float32, in the order of the texts, and what they took.

    ``new_tokens`` and ``seconds`` are of the ``n_new`` texts that were not in the store.
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
    lengths: np.ndarray,
    is_truncated: np.ndarray,
    *,
    dim: int,
    store: VectorStore,
    batches: Callable[[np.ndarray], Iterator[Batch]],
) -> Embedded:
    """One vector per text, out of the store, or new and then added to the store.

    Args:
        texts: As ``distinct_texts`` gives them.
        lengths: (texts,) tokens of each; ``batches`` may fill them in.
        is_truncated: (texts,) bool, likewise.
        dim: Entries of a vector.
        store: Vectors made in this way before; every new batch is added to it.
        batches: From what is known, (texts,) bool, to (rows, vectors) of the rest.

    Raises:
        InputError: a vector is zero or not finite.
    """
    matrix = np.empty((len(texts), dim), np.float32)
    is_known = store.load(texts[KEY], matrix)
    n_characters = texts["text"].str.len_chars().to_numpy()
    started = time.monotonic()
    new = counted(
        batches(is_known),
        lambda batch: int(n_characters[batch[0]].sum()),
        int(n_characters[~is_known].sum()),
        "characters",
        log,
    )
    for rows, vectors in new:
        check_vectors(vectors, rows, texts)
        store.add(texts[KEY].gather(rows), vectors)
        matrix[rows] = vectors
    return Embedded(
        matrix=matrix,
        n_tokens=int(lengths.sum()),
        n_truncated=int(is_truncated.sum()),
        n_tokens_longest=int(lengths.max(initial=0)),
        n_new=int((~is_known).sum()),
        new_tokens=int(lengths[~is_known].sum()),
        seconds=time.monotonic() - started,
    )


def finished(
    embedded: Embedded, texts: pl.DataFrame, settings: EncoderSettings | ApiEncoderSettings
) -> Embedded:
    """The vectors cut to ``truncate_dim``, then scaled to unit length if the settings say so.

    Raises:
        InputError: a vector is zero or not finite then.
    """
    import torch  # not needed by an estimate

    vectors = torch.from_numpy(embedded.matrix)[:, : settings.truncate_dim]
    if settings.normalize:  # a zero row stays zero, so that it is refused
        least = torch.finfo(vectors.dtype).tiny
        vectors = torch.nn.functional.normalize(vectors, dim=1, eps=least)
    matrix = vectors.numpy()
    check_vectors(matrix, np.arange(len(texts)), texts)
    return replace(embedded, matrix=matrix)
