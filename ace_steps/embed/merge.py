"""Shards of text vectors joined to the items, in bounded memory."""

import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from ace_steps.embed.texts import Shard, distinct_texts
from ace_steps.errors import InputError
from ace_steps.io.parquet import read_provenance
from ace_steps.io.vectors import Vectors, iter_vectors

CHUNK_ROWS = 16_384
JOINED = {  # counts of the shards to that of the whole
    "n_texts": sum,
    "n_tokens": sum,
    "n_truncated": sum,
    "n_tokens_longest": max,
}
OF_ONE_SHARD = (*JOINED, "shard", "device")
CANNOT_RESERVE = (errno.EINVAL, errno.EOPNOTSUPP)  # what some file systems answer


def merged_facts(shards: list[Path]) -> tuple[dict, dict]:
    """Settings and facts of the whole, counts summed, from shards that were made alike.

    Raises:
        InputError: a shard is missing or given twice, or two shards were made differently.
    """
    notes = [read_provenance(path) for path in shards]
    for path, note in zip(shards, notes, strict=True):
        if "shard" not in note.facts:
            raise InputError(f"{path}: no shard of text vectors; embed_items writes one.")
    given = [note.facts["shard"] for note in notes]
    count = Shard.parse(given[0]).count
    if sorted(given) != sorted(str(Shard(number, count)) for number in range(1, count + 1)):
        raise InputError(
            f"--shards: expected each shard from 1-of-{count} to {count}-of-{count} once, "
            f"got {', '.join(given)}"
        )
    shared = [{k: v for k, v in note.facts.items() if k not in OF_ONE_SHARD} for note in notes]
    first = {**notes[0].settings, **shared[0]}
    for path, note, facts in zip(shards, notes, shared, strict=True):
        other = {**note.settings, **facts}
        unlike = [key for key in sorted(first | other) if first.get(key) != other.get(key)]
        if unlike:
            raise InputError(
                f"{path}: made with {unlike[0]} = {other.get(unlike[0])!r}, but {shards[0]} with "
                f"{first.get(unlike[0])!r}; delete the older one and embed it again."
            )
    counts = {name: join(note.facts[name] for note in notes) for name, join in JOINED.items()}
    devices = sorted({note.facts["device"] for note in notes})
    return notes[0].settings, {**shared[0], **counts, "device": ", ".join(devices)}


def vectors_of_items(
    items: pl.DataFrame, shards: list[Path], dim: int, *, scratch_folder: Path
) -> Iterator[Vectors]:
    """Every item's vector in the order of the items, in chunks.

    Memory of one chunk; the distinct vectors lie once in a temporary file.

    Args:
        items: The table items.
        shards: Files of text vectors that together hold each distinct text once.
        dim: Entries of a vector.
        scratch_folder: Where the temporary file goes.

    Raises:
        InputError: a text has no vector or several, or a vector no item.
        OSError: the disk is full.
    """
    items = items.sort("item")
    texts = distinct_texts(items).with_row_index("row")
    matrix = scratch_matrix(len(texts), dim, scratch_folder)
    counts = np.zeros(len(texts), np.int64)
    for path in shards:
        for piece in iter_vectors(path, id_column="text_sha256"):
            rows = _rows_of(pl.DataFrame({"text_sha256": piece.ids}), texts)
            if rows.null_count():
                raise InputError(
                    f"{path}: holds {rows.null_count()} vectors of texts that no item has; it was "
                    "made from other items, delete it and embed again."
                )
            matrix[rows.to_numpy()] = piece.matrix
            np.add.at(counts, rows.to_numpy(), 1)
    unlike = texts.filter(pl.Series(counts != 1))["item_id"]
    if len(unlike):
        raise InputError(
            f"expected one vector of each of {len(texts)} texts, but {len(unlike)} have none or "
            f"several in the shards, e.g. that of item '{unlike[0]}'; embed them again."
        )
    for start in range(0, len(items), CHUNK_ROWS):
        chunk = items[start : start + CHUNK_ROWS]
        rows = _rows_of(chunk, texts).to_numpy()
        yield Vectors(chunk["item"].to_numpy(), chunk["item_id"], matrix[rows])


def scratch_matrix(n_rows: int, dim: int, folder: Path) -> np.ndarray:
    """Zeros (rows, dim) float32 in a file without a name, which vanishes with the array.

    Raises:
        OSError: the disk is full: its space is taken now, as in a sparse file that would crash.
    """
    folder.mkdir(parents=True, exist_ok=True)
    n_bytes = max(1, n_rows * dim * 4)
    with tempfile.TemporaryFile(dir=folder) as file:
        if hasattr(os, "posix_fallocate"):  # not on macOS
            try:
                os.posix_fallocate(file.fileno(), 0, n_bytes)
            except OSError as refusal:
                if refusal.errno not in CANNOT_RESERVE:
                    raise OSError(refusal.errno, refusal.strerror, str(folder)) from None
        file.truncate(n_bytes)
        return np.memmap(file, np.float32, "r+", shape=(n_rows, dim))


def _rows_of(keys: pl.DataFrame, texts: pl.DataFrame) -> pl.Series:
    return keys.join(texts, on="text_sha256", how="left", maintain_order="left")["row"]
