"""Distinct texts, their shards, and the refusals that name an item."""

import numpy as np
import polars as pl
import pytest

from ace_steps.embed.texts import (
    Shard,
    check_vectors,
    distinct_texts,
    n_buckets,
    texts_of_shard,
)
from ace_steps.errors import InputError
from ace_steps.io.files import sha256_text


def items_of(texts):
    numbers = range(1, len(texts) + 1)
    return pl.DataFrame(
        {
            "item": numbers,
            "item_id": [f"id{number}" for number in numbers],
            "text": texts,
            "text_sha256": [sha256_text(text) for text in texts],
        }
    )


def numbered_texts(n_texts):
    return distinct_texts(items_of([str(number) for number in range(n_texts)]))


def test_a_text_that_several_items_share_is_there_once_under_the_first_item():
    texts = distinct_texts(items_of(["b", "a", "b", "a", "c"]))
    items = dict(zip(texts["text"], texts["item_id"], strict=True))
    assert items == {"b": "id1", "a": "id2", "c": "id5"}
    assert texts["text_sha256"].is_sorted()


@pytest.mark.parametrize(("n_texts", "count"), [(0, 2), (4096, 2), (4097, 4), (12_067, 8)])
def test_there_are_as_many_buckets_as_the_texts_need(n_texts, count):
    assert n_buckets(n_texts) == count


@pytest.mark.parametrize("n_shards", [1, 2, 7, 100])
def test_every_bucket_is_in_exactly_one_shard_as_a_whole(n_shards, monkeypatch):
    monkeypatch.setattr("ace_steps.embed.texts.BUCKET_TEXTS", 4)
    texts = numbered_texts(60)
    assert texts["bucket"].unique().to_list() == list(range(16))
    shards = [texts_of_shard(texts, Shard(k, n_shards)) for k in range(1, n_shards + 1)]
    assert pl.concat(shards).equals(texts)
    assert sum(part["bucket"].n_unique() for part in shards) == 16


def test_a_new_item_moves_no_other_text_to_another_shard():
    few, more = numbered_texts(60), numbered_texts(61)
    for number in (1, 2, 3):
        before, after = (
            set(texts_of_shard(texts, Shard(number, 3))["text"]) for texts in (few, more)
        )
        assert after - before <= {"60"}
        assert before <= after


def test_a_shard_is_read_as_it_is_written():
    assert Shard.parse("2-of-4") == Shard(2, 4)
    assert str(Shard(2, 4)) == "2-of-4"


@pytest.mark.parametrize("text", ["5-of-4", "0-of-4", "1-of-0", "2", "1-of-4x", "-1-of-4"])
def test_a_shard_that_cannot_be_is_refused(text):
    with pytest.raises(InputError, match="expected N-of-M with 1 <= N <= M"):
        Shard.parse(text)


def test_a_useless_vector_is_refused_with_the_item_of_its_row():
    texts = distinct_texts(items_of(["x", "y", "z"]))
    rows = np.array([2, 0])
    for vector, text in (([0.0, 0.0], "is all zeros"), ([np.nan, 1.0], "holds NaN or infinity")):
        message = f"item '{texts['item_id'][0]}': the model's vector {text}"
        with pytest.raises(InputError, match=message):
            check_vectors(np.array([[1.0, 1.0], vector]), rows, texts)
