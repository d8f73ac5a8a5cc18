"""Tables of items, whole and damaged."""

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ace_steps.io.files import sha256_text
from ace_steps.io.parquet import write_table
from ace_steps.io.provenance import Provenance
from ace_steps.io.tables import ITEMS

EMBED_TEXTS = ["red shoe", "blue shoe", "red shoe", "a green hat", "y" * 100_000]


def write_items(path, texts):
    columns = {
        "item": pl.Series(range(1, len(texts) + 1), dtype=pl.Int32),
        "item_id": [f"id{number}" for number in range(1, len(texts) + 1)],
        "text": texts,
        "text_sha256": [sha256_text(text) for text in texts],
        "train_count": pl.Series([1] * len(texts), dtype=pl.Int32),
    }
    write_table(pl.DataFrame(columns), ITEMS, path, Provenance(step="test"))
    return path


def write_damaged_items(path):
    """A table whose second text is no UTF-8, as no writer of ours makes one."""
    table = pq.read_table(write_items(path, ["red shoe", "a hat"]))
    place = table.schema.get_field_index("text")
    damaged = pa.array([b"red shoe", b"a h\xe9t"], pa.binary()).view(pa.string())
    pq.write_table(table.set_column(place, table.schema.field(place), damaged), path)
