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
    facts = {**counts, "n_truncated": 1, **facts}
    facts = {"device": "cpu", "model_sha256": "m", "shard": shard, "dim": 3, **facts}
    note = Provenance(step="embed_items", settings={"pooling": "mean"}, facts=facts)
    with vector_writer(path, "text_vectors", 3, np.float32, note) as writer:
        matrix = np.array([vector_of(text) for text in texts["text"]]).reshape(-1, 3)
        writer.write({"text_sha256": texts["text_sha256"].to_arrow()}, matrix)
    return path


@pytest.fixture
def shards(items, tmp_path):
    texts = distinct_texts(items)
    return [
        write_shard(tmp_path / f"{k}.parquet", texts_of_shard(texts, Shard(k, 3)), f"{k}-of-3")
        for k in (1, 2, 3)
    ]


def merged(items, shards):
    folder = shards[0].parent
    pieces = list(vectors_of_items(items, shards, 3, scratch_folder=folder))
    ids = pl.concat([piece.ids for piece in pieces]).to_list()
    index = np.concatenate([piece.index for piece in pieces])
    return index, ids, np.concatenate([piece.matrix for piece in pieces])


@pytest.mark.parametrize("chunk_rows", [1, 7, 10_000])
def test_every_item_gets_the_vector_of_its_text_in_order(items, shards, monkeypatch, chunk_rows):
    monkeypatch.setattr(merge, "CHUNK_ROWS", chunk_rows)
    index, ids, matrix = merged(items, shards[::-1])
    assert index.tolist() == list(range(1, 51))
    assert ids == items["item_id"].to_list()
    np.testing.assert_array_equal(matrix, [vector_of(text) for text in TEXTS])


def test_counts_are_summed_and_the_rest_is_shared(shards):
    settings, facts = merged_facts(shards)
    counts = [read_provenance(path).facts["n_texts"] for path in shards]
    assert settings == {"pooling": "mean"}
    assert facts == {
        "n_texts": 40,
        "n_tokens": 80,
        "n_truncated": 3,
        "n_tokens_longest": max(counts),
        "device": "cpu",
        "model_sha256": "m",
        "dim": 3,
    }


def test_a_text_without_vector_is_refused_with_count_and_examples(items, shards):
    fewer = items.filter(pl.col("text").is_in(["text 3", "text 5"]).not_())
    with pytest.raises(InputError, match=r"holds \d vectors of texts that no item has, e\.g\. of"):
        merged(fewer, shards)
    more = items_of([*TEXTS, "text 98", "text 99"])
    with pytest.raises(InputError, match="2 of 42 texts have no vector in any shard"):
        merged(more, shards)


def test_a_text_in_two_shards_is_refused(items, shards, tmp_path):
    whole = write_shard(tmp_path / "whole.parquet", distinct_texts(items), "1-of-1")
    with pytest.raises(InputError, match="texts have a vector in several shards"):
        merged(items, [whole, shards[0]])


def test_a_shard_that_is_not_given_is_named(shards):
    with pytest.raises(InputError, match="not the 3 of a whole; look at 2-of-3"):
        merged_facts([shards[0], shards[2]])


def test_a_shard_that_is_given_twice_is_named(shards):
    with pytest.raises(InputError, match="the shard 2-of-3 is given 2 times"):
        merged_facts([*shards, shards[1]])


def test_shards_of_different_wholes_are_refused(items, shards, tmp_path):
    other = write_shard(tmp_path / "x.parquet", distinct_texts(items), "1-of-4")
    with pytest.raises(InputError, match="not the 3 of a whole; look at 1-of-4"):
        merged_facts([*shards, other])


def test_shards_that_were_made_differently_are_refused(items, shards):
    texts = texts_of_shard(distinct_texts(items), Shard(2, 3))
    write_shard(shards[1], texts, "2-of-3", model_sha256="another")
    with pytest.raises(InputError, match=r"2\.parquet: made with model_sha256 = 'another', but"):
        merged_facts(shards)


def test_another_device_is_told_and_not_refused(items, shards):
    texts = texts_of_shard(distinct_texts(items), Shard(2, 3))
    write_shard(shards[1], texts, "2-of-3", device="cuda")
    assert merged_facts(shards)[1]["device"] == "cpu, cuda"
