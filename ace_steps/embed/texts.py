"""The distinct texts of a catalog, and how they are shared out over shards."""

import re
from dataclasses import dataclass

import numpy as np
import polars as pl

from ace_steps.errors import InputError

HASH_DIGITS = 8  # leading digits of the text's SHA-256 that choose its bucket: 32 bits
BUCKET_TEXTS = 2048  # at most, on average: enough to find neighbors in length


@dataclass(frozen=True)
class Shard:
    """One of several jobs; ``number`` counts from 1."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """The shard that ``2-of-4`` names.

        Raises:
            InputError: not of that form, or beyond the count.
        """
        match = re.fullmatch(r"([0-9]+)-of-([0-9]+)", text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise InputError(f"shard '{text}'; expected N-of-M with 1 <= N <= M, e.g. 2-of-4.")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.number}-of-{self.count}"


def distinct_texts(items: pl.DataFrame) -> pl.DataFrame:
    """Each text once, in two or more buckets that are embedded apart from each other.

    Returns:
        text_sha256 (sorted), text, item_id of the first item that has it, and bucket (ascending),
        chosen by the hash alone: a new item moves no other text unless the buckets double.

    Raises:
        InputError: a text is not UTF-8; its item is named.
    """
    _check_utf8(items)
    texts = (
        items.sort("item")
        .unique("text_sha256", keep="first")
        .select("text_sha256", "text", "item_id")
        .sort("text_sha256")
    )
    prefix = pl.col("text_sha256").str.slice(0, HASH_DIGITS).str.to_integer(base=16)
    bucket = prefix.cast(pl.Int64) * n_buckets(len(texts)) // 16**HASH_DIGITS
    return texts.with_columns(bucket=bucket)


def n_buckets(n_texts: int) -> int:
    """The least power of two from 2 with which a bucket has ``BUCKET_TEXTS`` on average or less."""
    return max(2, 1 << ((n_texts - 1) // BUCKET_TEXTS).bit_length())


def texts_of_shard(texts: pl.DataFrame, shard: Shard) -> pl.DataFrame:
    """The texts of the shard, none or those of whole buckets, in the order of ``texts``.

    Whole, so that no text's vector depends on the number of shards.
    """
    owner = pl.col("bucket") * shard.count // n_buckets(len(texts))
    return texts.filter(owner == shard.number - 1)


def check_vectors(vectors: np.ndarray, rows: np.ndarray, texts: pl.DataFrame) -> None:
    """Raise an InputError that names the item of the first vector that is zero or not finite.

    Args:
        vectors: (batch, dim).
        rows: (batch,) each vector's row in ``texts``.
        texts: As ``distinct_texts`` gives them.
    """
    defect = first_defect(vectors)
    if defect is None:
        return
    row = int(rows[defect[0]])
    text = texts["text"][row]
    raise InputError(
        f"item '{texts['item_id'][row]}': the model's vector {defect[1]} (text of {len(text)} "
        f"characters, {text[:60]!r}); no table is written, but what was embedded before is kept."
    )


def first_defect(vectors: np.ndarray) -> tuple[int, str] | None:
    """The first row that is zero or not finite, and which of the two in words."""
    is_finite = np.isfinite(vectors).all(axis=1)
    is_usable = is_finite & vectors.any(axis=1)
    if is_usable.all():
        return None
    row = int(np.argmin(is_usable))
    return row, "is all zeros" if is_finite[row] else "holds NaN or infinity"


def _check_utf8(items: pl.DataFrame) -> None:
    """Parquet says that a column is UTF-8, but nothing on the way here has looked."""
    for item, text in zip(items["item_id"], items["text"].cast(pl.Binary), strict=True):
        try:
            text.decode("utf-8")
        except UnicodeDecodeError as fault:
            raise InputError(f"item '{item}': its text is not UTF-8 ({fault})") from None
