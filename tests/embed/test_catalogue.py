"""Buckets, one after the other, and what is known of their texts in the end."""

import threading

import numpy as np
import polars as pl
import pytest
import torch

from ace_steps.embed import encode as catalogue
from ace_steps.embed.encode import embed_texts
from ace_steps.embed.encode import prefetched as made_ahead
from ace_steps.embed.models import load_encoder
from ace_steps.embed.store import VectorStore
from ace_steps.errors import InputError
from tests.embed.conftest import encoder_settings
from tests.embed.test_encode import limited

CPU = torch.device("cpu")


def texts_of(*buckets):
    """Texts of made-up buckets; the toy tokenizer makes a token of each byte."""
    rows = [(text, number) for number, texts in enumerate(buckets) for text in texts]
    return pl.DataFrame(
        {
            "text_sha256": [f"{row:064x}" for row in range(len(rows))],
            "text": [text for text, _ in rows],
            "item_id": [f"i{row}" for row in range(len(rows))],
            "bucket": [bucket for _, bucket in rows],
        }
    )


def test_the_next_piece_is_made_while_the_last_is_in_use():
    is_made = [threading.Event() for _ in range(4)]

    def pieces():
        for number, made in enumerate(is_made):
            made.set()
            yield number

    found = []
    for piece in made_ahead(pieces()):
        if piece + 1 < len(is_made):
            assert is_made[piece + 1].wait(60)
        assert piece + 2 >= len(is_made) or not is_made[piece + 2].is_set()
        found.append(piece)
    assert found == [0, 1, 2, 3]


def test_what_fails_ahead_is_raised_after_the_pieces_before_it():
    def pieces():
        yield 1
        yield 2
        raise InputError("no third")

    found = []
    with pytest.raises(InputError, match="no third"):
        found.extend(made_ahead(pieces()))
    assert found == [1, 2]
    assert threading.active_count() == 1 or all(
        not thread.name.startswith("ahead") for thread in threading.enumerate()
    )


def test_sizes_are_those_of_all_texts_known_or_not(decoder_folder, tmp_path):
    settings = encoder_settings(max_tokens=20)
    encoder = load_encoder(decoder_folder, settings, CPU)
    texts = texts_of(["a", "b" * 30], ["ccc"], ["dd", "e" * 20, "f" * 21])
    n_tokens = [1, 20, 3, 2, 20, 20]
    first = embed_texts(texts, encoder, settings, VectorStore(tmp_path / "store"))
    again = embed_texts(texts, encoder, settings, VectorStore(tmp_path / "store"))
    for found, n_new in ((first, 6), (again, 0)):
        assert found.counts() == {
            "dim": encoder.dim,
            "n_texts": 6,
            "n_tokens": sum(n_tokens),
            "n_truncated": 2,
            "n_tokens_longest": 20,
        }
        assert found.n_new == n_new
        assert found.new_tokens == (sum(n_tokens) if n_new else 0)
    np.testing.assert_array_equal(first.matrix, again.matrix)


def test_a_bucket_whose_texts_are_all_known_is_not_read(decoder_folder, tmp_path, monkeypatch):
    settings, read = encoder_settings(), []
    encoder = load_encoder(decoder_folder, settings, CPU)
    whole = texts_of(["a", "bb"], ["ccc", "dd"])
    store = VectorStore(tmp_path / "store")
    embed_texts(whole.filter(pl.col("bucket") == 0), encoder, settings, store)
    usual = catalogue.encode
    monkeypatch.setattr(
        catalogue, "encode", lambda *given: read.append(len(given[1].lengths)) or usual(*given)
    )
    found = embed_texts(whole, encoder, settings, VectorStore(tmp_path / "store"))
    assert read == [2]
    assert found.n_new == 2


def test_what_a_later_bucket_cannot_keep_the_earlier_one_has_kept(decoder_folder, tmp_path):
    settings = encoder_settings()
    encoder = load_encoder(decoder_folder, settings, CPU)
    texts = texts_of(["a", "bb"], ["ccc", ""])
    with pytest.raises(InputError, match=r"item 'i3': its text '' has no token"):
        embed_texts(texts, encoder, settings, VectorStore(tmp_path / "store"))
    matrix = np.empty((4, encoder.dim), np.float32)
    is_known = VectorStore(tmp_path / "store").load(texts["text_sha256"], matrix)
    np.testing.assert_array_equal(is_known, [True, True, False, False])


def test_a_budget_that_was_too_large_for_one_bucket_is_not_tried_on_the_next(
    decoder_folder, tmp_path, monkeypatch, caplog
):
    settings = encoder_settings(batch_tokens=400)
    encoder = load_encoder(decoder_folder, settings, CPU)
    words = ["lorem ipsum " * 8] * 6
    texts = texts_of(
        *[[f"{bucket} {row} {text}" for row, text in enumerate(words)] for bucket in "abc"]
    )
    expected = embed_texts(texts, encoder, settings, VectorStore(tmp_path / "one")).matrix
    limited(monkeypatch, 250)
    found = embed_texts(texts, encoder, settings, VectorStore(tmp_path / "other")).matrix
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert caplog.text.count("out of memory") == 1
