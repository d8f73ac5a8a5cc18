"""Shards of text vectors joined to the items, in bounded memory."""

import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl

from ace_steps.embed.texts import Shard, distinct_texts
from ace_steps.errors import InputError
from ace_steps.io.parquet import read_provenance
from ace_steps.io.provenance import Provenance
from ace_steps.io.vectors import Vectors, iter_vectors

CHUNK_ROWS = 16_384
JOINED = {  # counts of the shards to that of the whole
    "n_texts": sum,
    "n_tokens": sum,
    "n_truncated": sum,
    "n_tokens_longest": max,
}
CANNOT_RESERVE = (errno.EINVAL, errno.EOPNOTSUPP)  # what some file systems answer
OF_ONE_SHARD = (*JOINED, "shard", "device")


def merged_facts(shards: list[Path]) -> tuple[dict, dict]:
    """Settings and facts of the whole, from shards that were made alike.

    Returns:
        The settings, and the facts with counts summed.

    Raises:
        InputError: a shard is missing or given twice, or two shards were made differently.
    """
    notes = [read_provenance(path) for path in shards]
    _check_complete(shards, notes)
    settings, facts = notes[0].settings, _shared(notes[0])
    for path, note in zip(shards, notes, strict=True):
        ours, theirs = {**settings, **facts}, {**note.settings, **_shared(note)}
        unlike = [key for key in sorted(ours | theirs) if ours.get(key) != theirs.get(key)]
        if unlike:
            raise InputError(
                f"{path}: made with {unlike[0]} = {theirs.get(unlike[0])!r}, but {shards[0]} with "
                f"{ours.get(unlike[0])!r}; delete the older one and embed it again."
            )
    counts = {name: join(note.facts[name] for note in notes) for name, join in JOINED.items()}
    devices = sorted({note.facts["device"] for note in notes})
    return settings, {**facts, **counts, "device": ", ".join(devices)}


def vectors_of_items(
    items: pl.DataFrame, shards: list[Path], dim: int, *, scratch_folder: Path
) -> Iterator[Vectors]:
    """Every item's vector in the order of the items, in chunks.

    Args:
        items: The table items.
        shards: Files of text vectors that together hold each distinct text once.
        dim: Entries of a vector.
        scratch_folder: Where the temporary file goes.

    Raises:
        InputError: a text has no vector, or a vector no item.
        OSError: the disk is full.

    Cost:
        Memory of one chunk; the distinct vectors lie once in a temporary file without a name,
        ``n_texts * dim * 4`` bytes.
    """
    items = items.sort("item")
    texts = distinct_texts(items).with_row_index("row")
    with tempfile.TemporaryFile(dir=scratch_folder) as scratch:
        reserve(scratch, max(1, len(texts) * dim * 4), scratch_folder)
        matrix = np.memmap(scratch, np.float32, "r+", shape=(len(texts), dim))
        _fill(matrix, texts, shards)
        for start in range(0, len(items), CHUNK_ROWS):
            chunk = items[start : start + CHUNK_ROWS]
            rows = chunk.join(texts, on="text_sha256", how="left", maintain_order="left")["row"]
            yield Vectors(chunk["item"].to_numpy(), chunk["item_id"], matrix[rows.to_numpy()])


def reserve(file: BinaryIO, n_bytes: int, folder: Path) -> None:
    """Give a file its size on disk: in a sparse one, mapped, a full disk would be a crash."""
    if hasattr(os, "posix_fallocate"):  # not on macOS
        try:
            os.posix_fallocate(file.fileno(), 0, n_bytes)
        except OSError as refusal:
            if refusal.errno not in CANNOT_RESERVE:
                raise OSError(refusal.errno, refusal.strerror, str(folder)) from None
    file.truncate(n_bytes)


def _fill(matrix: np.ndarray, texts: pl.DataFrame, shards: list[Path]) -> None:
    """Put each text's vector into its row, and check that every row was filled exactly once."""
    n_found = np.zeros(len(texts), np.int64)
    for path in shards:
        for piece in iter_vectors(path, id_column="text_sha256"):
            found = pl.DataFrame({"text_sha256": piece.ids})
            rows = found.join(texts, on="text_sha256", how="left", maintain_order="left")["row"]
            if rows.null_count():
                raise InputError(
                    f"{path}: holds {rows.null_count()} vectors of texts that no item has, e.g. of "
                    f"the text with SHA-256 {piece.ids.filter(rows.is_null())[0]}; it was made "
                    "from other items, delete it and embed again."
                )
            matrix[rows.to_numpy()] = piece.matrix
            np.add.at(n_found, rows.to_numpy(), 1)
    _check_each_once(n_found, texts)


def _check_each_once(n_found: np.ndarray, texts: pl.DataFrame) -> None:
    missing = texts.filter(pl.Series(n_found == 0))
    if len(missing):
        examples = ", ".join(f"'{item}'" for item in missing["item_id"][:3])
        raise InputError(
            f"{len(missing)} of {len(texts)} texts have no vector in any shard, e.g. those of the "
            f"items {examples}; embed them again."
        )
    if (n_found > 1).any():
        double = texts.filter(pl.Series(n_found > 1))
        raise InputError(
            f"{len(double)} texts have a vector in several shards, e.g. that of the item "
            f"'{double['item_id'][0]}'."
        )


def _check_complete(shards: list[Path], notes: list[Provenance]) -> None:
    strange = [path for path, note in zip(shards, notes, strict=True) if "shard" not in note.facts]
    if strange:
        raise InputError(f"{strange[0]}: no shard of text vectors; embed_items writes one.")
    found = [Shard.parse(note.facts["shard"]) for note in notes]
    wanted = {Shard(number, found[0].count) for number in range(1, found[0].count + 1)}
    if len(set(found)) != len(found):
        double = next(shard for shard in found if found.count(shard) > 1)
        raise InputError(f"the shard {double} is given {found.count(double)} times.")
    if set(found) != wanted:
        missing = sorted(str(shard) for shard in wanted.symmetric_difference(found))
        raise InputError(
            f"{len(found)} shards given ({', '.join(map(str, found))}), which are not the "
            f"{found[0].count} of a whole; look at {', '.join(missing[:5])}."
        )


def _shared(note: Provenance) -> dict:
    return {name: value for name, value in note.facts.items() if name not in OF_ONE_SHARD}
