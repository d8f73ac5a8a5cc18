"""Vectors that were made before, by the hash of their text: no text is embedded twice.

A store is a folder of ``text_vectors`` files for one way of making vectors. Every batch becomes a
file as soon as it is done, so that a job that was killed loses one batch; a job that ends gathers
its files into one. Vectors are kept as pooled, whole and unscaled, whatever is made of them later.

The last digits of a vector may depend on the texts that shared its batch: where another data set or
another number of shards filled the store first, they may differ from those of an empty store.
"""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import polars as pl

from ace_steps.embed.api_texts import counter_for
from ace_steps.embed.settings import ApiEncoderSettings, EncoderSettings
from ace_steps.errors import InputError
from ace_steps.io.code_digest import code_digest
from ace_steps.io.files import sha256_text
from ace_steps.io.parquet import open_parquet
from ace_steps.io.provenance import Provenance
from ace_steps.io.vectors import iter_vectors, vector_writer

CODE = (  # what decides what a vector is
    "ace_steps.embed.encode:encode",
    "ace_steps.embed.models:load_encoder",
    "ace_steps.embed.tokens:tokenize",
)
VALUES = ("ace_steps.embed.settings",)  # not their code: the key has the values that it gives
NAME_DIGITS = 32
KEY = "text_sha256"
LIBRARIES = ("torch", "transformers")  # that compute it
READ_BY = (  # settings that a pooled vector depends on
    *("prompt", "pooling", "layer", "dtype", "max_tokens", "append_eos"),
    "batch_tokens",  # which texts share a batch, and so the last digits
)


def store_key(model_sha256: str, settings: EncoderSettings, device: str) -> str:
    """A folder name for everything a pooled vector depends on but its text and its batch.

    Args:
        model_sha256: Digest of the model's files.
        settings: Of the encoder, resolved: the key is the same whether its values were stated or
            derived.
        device: Its type, e.g. ``cpu``: another kind of device rounds in another way.
    """
    parts = {name: getattr(settings, name) for name in READ_BY}
    parts |= {name: version(name) for name in LIBRARIES}
    parts |= {"code": code_digest(*CODE, without=VALUES)}
    parts |= {"model": model_sha256, "device": device}
    return sha256_text(json.dumps(parts, sort_keys=True))[:NAME_DIGITS]


API_FORMAT = 1  # raised when an API is sent something else for the same text and settings


def api_store_key(settings: ApiEncoderSettings) -> str:
    """A folder name for everything an API's vector depends on but its text.

    No digest of our code is in it: an edit that changes nothing of what is sent would have every
    text paid for again.
    """
    api = settings.api
    # "width" is what the key's name was when the first vectors were paid for.
    parts = {"base_url": api.base_url, "model": api.model, "width": api.dim}
    parts |= {"send_dimensions": api.send_dimensions, "counter": counter_for(settings).name}
    parts |= {"prompt": settings.prompt, "max_tokens": settings.max_tokens, "api": API_FORMAT}
    return sha256_text(json.dumps(parts, sort_keys=True))[:NAME_DIGITS]


class VectorStore:
    """A folder of vectors made in one way; several jobs may use it at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._added: list[Path] = []

    def load(self, hashes: pl.Series, matrix: np.ndarray) -> np.ndarray:
        """Fill in the rows of ``matrix`` that are known.

        Args:
            hashes: (n,) text_sha256, each once.
            matrix: (n, dim) float32, changed in place.

        Returns:
            (n,) bool, True where a row was filled.

        Raises:
            InputError: a file of the store is damaged.
        """
        is_known = np.zeros(len(hashes), bool)
        wanted = pl.DataFrame({KEY: hashes}).with_row_index("row")
        for path in sorted(self._folder.glob("*.parquet")):
            try:
                self._load_file(path, wanted, matrix, is_known)
            except InputError:
                if path.exists():  # else another job has gathered its files meanwhile
                    raise
        return is_known

    def add(self, hashes: pl.Series, vectors: np.ndarray) -> None:
        """Keep vectors (batch, dim) from now on."""
        order = hashes.arg_sort()
        keys = hashes.gather(order)
        name = hashlib.sha256("".join(keys).encode()).hexdigest()[:NAME_DIGITS]
        path = self._folder / f"{name}.parquet"
        note = Provenance(step="embed_items")
        with vector_writer(path, "text_vectors", vectors.shape[1], np.float32, note) as writer:
            writer.write({KEY: keys.to_arrow()}, vectors[order.to_numpy()])
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

    def _load_file(
        self, path: Path, wanted: pl.DataFrame, matrix: np.ndarray, is_known: np.ndarray
    ) -> None:
        with open_parquet(path) as file:
            here = pl.from_arrow(file.read(columns=[KEY]))
        if here.join(wanted, on=KEY, how="semi").is_empty():
            return
        for piece in iter_vectors(path, id_column=KEY):
            found = pl.DataFrame({KEY: piece.ids}).with_row_index("place")
            both = found.join(wanted, on=KEY)
            rows = both["row"].to_numpy()
            matrix[rows] = piece.matrix[both["place"].to_numpy()]
            is_known[rows] = True
