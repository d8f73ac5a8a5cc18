"""Distinct texts, their shards, and the refusals that name an item."""

import numpy as np
import polars as pl
import pytest

from ace_steps.embed.texts import (
    Shard,
    check_tokens,
    check_vectors,
    distinct_texts,
    n_buckets,
    texts_of_shard,
)
from ace_steps.errors import InputError
from ace_steps.io.files import sha256_text


def items_of(texts):
    return pl.DataFrame(
        {
            "item": range(1, len(texts) + 1),
            "item_id": [f"id{number}" for number in range(1, len(texts) + 1)],
            "text": texts,
            "text_sha256": [sha256_text(text) for text in texts],
        }
    )


def test_a_text_that_several_items_share_is_there_once_under_the_first_item():
    texts = distinct_texts(items_of(["b", "a", "b", "a", "c"]))
    assert dict(zip(texts["text"], texts["item_id"], strict=True)) == {
        "b": "id1",
        "a": "id2",
        "c": "id5",
    }
    assert texts["text_sha256"].is_sorted()


@pytest.mark.parametrize("n_shards", [1, 2, 7, 100])
def test_every_text_is_in_exactly_one_shard(n_shards):
    texts = distinct_texts(items_of([str(number) for number in range(60)]))
    shards = [texts_of_shard(texts, Shard(k, n_shards)) for k in range(1, n_shards + 1)]
    assert pl.concat(shards).equals(texts)


@pytest.mark.parametrize(("n_texts", "wanted"), [(0, 2), (4096, 2), (4097, 4), (12_067, 8)])
def test_there_are_as_many_buckets_as_the_texts_need(n_texts, wanted):
    assert n_buckets(n_texts) == wanted


@pytest.mark.parametrize("n_shards", [1, 2, 3, 5])
def test_a_bucket_is_in_one_shard_as_a_whole(n_shards, monkeypatch):
    monkeypatch.setattr("ace_steps.embed.texts.BUCKET_TEXTS", 4)
    texts = distinct_texts(items_of([str(number) for number in range(60)]))
    assert texts["bucket"].unique().to_list() == list(range(16))
    shards = [texts_of_shard(texts, Shard(k, n_shards)) for k in range(1, n_shards + 1)]
    assert pl.concat(shards).equals(texts)
    assert sum(part["bucket"].n_unique() for part in shards) == 16


def test_a_new_item_moves_no_other_text_to_another_shard():
    few = distinct_texts(items_of([str(number) for number in range(60)]))
    more = distinct_texts(items_of([str(number) for number in range(61)]))
    for number in (1, 2, 3):
        before = set(texts_of_shard(few, Shard(number, 3))["text"])
        after = set(texts_of_shard(more, Shard(number, 3))["text"])
        assert after - before <= {"60"}
        assert not before - after


@pytest.mark.parametrize(
    "text", ["5-of-4", "0-of-4", "1-of-0", "2", "1-of-4x", "a-of-b", "-1-of-4"]
)
def test_a_shard_that_cannot_be_is_refused(text):
    with pytest.raises(InputError, match="expected N-of-M with 1 <= N <= M"):
        Shard.parse(text)


def test_a_shard_is_written_as_it_is_read():
    assert str(Shard.parse("2-of-4")) == "2-of-4"


def test_a_text_without_tokens_is_refused_with_its_item():
    texts = distinct_texts(items_of([""]))
    with pytest.raises(InputError, match="item 'id1': its text '' has no token, nor have 0 others"):
        check_tokens(np.array([0]), texts)


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ([0.0, 0.0], "is all zeros"),
        ([np.nan, 1.0], "holds NaN or infinity"),
        ([np.inf, 1.0], "holds NaN or infinity"),
    ],
)
def test_a_useless_vector_is_refused_with_its_item(row, what):
    texts = distinct_texts(items_of(["x", "y", "z"]))
    rows = np.array([2, 0])
    with pytest.raises(
        InputError, match=f"item '{texts['item_id'][0]}': the model's vector {what}"
    ):
        check_vectors(np.array([[1.0, 1.0], row]), rows, texts)
