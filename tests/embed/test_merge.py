"""Shards of text vectors joined to items: whole, in order, and made alike."""

import numpy as np
import polars as pl
import pytest

from ace_steps.embed import merge
from ace_steps.embed.merge import merged_facts, vectors_of_items
from ace_steps.embed.texts import Shard, distinct_texts, texts_of_shard
from ace_steps.errors import InputError
from ace_steps.io.parquet import read_provenance
from ace_steps.io.provenance import Provenance
from ace_steps.io.vectors import vector_writer
from tests.embed.test_texts import items_of

TEXTS = [f"text {number % 40}" for number in range(50)]  # ten texts have two items


def vector_of(text):
    """A vector that tells which text it is of."""
    return [float(text.split()[1]), 1.0, 0.5]


@pytest.fixture
def items():
    return items_of(TEXTS)


def write_shard(path, texts, shard, **facts):
    counts = {"n_texts": len(texts), "n_tokens": 2 * len(texts), "n_tokens_longest": len(texts)}
    facts = {**counts, "n_truncated": 1, "device": "cpu", "model_sha256": "m", "dim": 3, **facts}
    settings = {"pooling": "mean"}
    note = Provenance(step="embed_items", settings=settings, facts={**facts, "shard": shard})
    with vector_writer(path, "text_vectors", 3, np.float32, note) as writer:
        matrix = np.array([vector_of(text) for text in texts["text"]]).reshape(-1, 3)
        writer.write({"text_sha256": texts["text_sha256"].to_arrow()}, matrix)
    return path


def write_shards(folder, items, count):
    texts = distinct_texts(items)
    return [
        write_shard(
            folder / f"{k}.parquet", texts_of_shard(texts, Shard(k, count)), f"{k}-of-{count}"
        )
        for k in range(1, count + 1)
    ]


@pytest.fixture
def shards(items, tmp_path):
    return write_shards(tmp_path, items, 3)


def merged(items, shards):
    return list(vectors_of_items(items, shards, 3, scratch_folder=shards[0].parent))


@pytest.mark.parametrize("chunk_rows", [1, 7, 10_000])
def test_every_item_gets_the_vector_of_its_text_in_order(items, shards, monkeypatch, chunk_rows):
    monkeypatch.setattr(merge, "CHUNK_ROWS", chunk_rows)
    pieces = merged(items.reverse(), shards[::-1])
    assert np.concatenate([piece.index for piece in pieces]).tolist() == list(range(1, 51))
    assert pl.concat([piece.ids for piece in pieces]).equals(items["item_id"])
    matrix = np.concatenate([piece.matrix for piece in pieces])
    np.testing.assert_array_equal(matrix, [vector_of(text) for text in TEXTS])


def test_counts_are_summed_devices_listed_and_the_rest_is_shared(items, shards):
    part = texts_of_shard(distinct_texts(items), Shard(2, 3))
    write_shard(shards[1], part, "2-of-3", device="cuda")
    counts = [read_provenance(path).facts["n_texts"] for path in shards]
    settings, facts = merged_facts(shards)
    assert settings == {"pooling": "mean"}
    assert facts == {
        "n_texts": 40,
        "n_tokens": 80,
        "n_truncated": 3,
        "n_tokens_longest": max(counts),
        "device": "cpu, cuda",
        "model_sha256": "m",
        "dim": 3,
    }


def test_each_text_needs_exactly_one_vector_and_each_vector_a_text(items, shards):
    fewer = items.filter(~pl.col("text").is_in(["text 3", "text 5"]))
    with pytest.raises(InputError, match=r"holds \d vectors of texts that no item has"):
        merged(fewer, shards)
    with pytest.raises(InputError, match="each of 42 texts, but 2 have none or several"):
        merged(items_of([*TEXTS, "text 98", "text 99"]), shards)
    with pytest.raises(InputError, match=r"each of 40 texts, but \d+ have none or several"):
        merged(items, [*shards, shards[0]])


@pytest.mark.parametrize("chosen", [[0, 2], [0, 1, 2, 1], [0, 1, 3]])
def test_each_shard_is_needed_once(items, shards, tmp_path, chosen):
    other = write_shard(tmp_path / "x.parquet", distinct_texts(items), "3-of-4")
    with pytest.raises(InputError, match="expected each shard from 1-of-3 to 3-of-3 once, got"):
        merged_facts([[*shards, other][number] for number in chosen])


def test_shards_that_were_made_differently_are_refused(items, shards):
    part = texts_of_shard(distinct_texts(items), Shard(2, 3))
    write_shard(shards[1], part, "2-of-3", model_sha256="another")
    with pytest.raises(InputError, match=r"2\.parquet: made with model_sha256 = 'another', but"):
        merged_facts(shards)
