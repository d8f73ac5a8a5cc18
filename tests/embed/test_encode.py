"""Texts to vectors through whole toy models, batch after batch and bucket after bucket."""

import threading
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from transformers import AutoModel

from ace_steps.embed import encode as module
from ace_steps.embed.encode import embed_texts, encode
from ace_steps.embed.encode import prefetched as made_ahead
from ace_steps.embed.models import load_encoder
from ace_steps.embed.pooling import POOLINGS, finish
from ace_steps.embed.store import VectorStore
from ace_steps.embed.tokens import tokenize
from ace_steps.errors import InputError
from tests.embed.conftest import encoder_settings

CPU = torch.device("cpu")
TEXTS = [f"item {number} " + "lorem ipsum " * (number % 7) for number in range(25)]
MODELS = ("decoder_folder", "reader_folder")


def matrix_of(encoder, settings, texts):
    tokens = tokenize(
        encoder.tokenizer, texts, prompt=settings.prompt, max_tokens=settings.max_tokens
    )
    pieces = list(encode(encoder, tokens, settings, np.zeros(len(texts), bool)))
    rows = np.concatenate([rows for rows, _ in pieces])
    assert sorted(rows) == list(range(len(texts)))
    matrix = np.concatenate([vectors for _, vectors in pieces])
    finished = finish(torch.from_numpy(matrix), truncate_dim=None, normalize=settings.normalize)
    return finished.numpy()[np.argsort(rows)], [len(rows) for rows, _ in pieces]


def plain_states(tokenizer, model, text):
    """All layers' states of one text alone, by the model's own call."""
    ids = tokenizer(text, return_tensors="pt").input_ids
    with torch.no_grad():
        return model(input_ids=ids, output_hidden_states=True).hidden_states


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize(("dtype", "least"), [("float32", 0.9999), ("bfloat16", 0.999)])
def test_a_text_has_the_same_vector_whatever_its_batch(request, model, pooling, dtype, least):
    settings = encoder_settings(pooling=pooling, dtype=dtype, batch_tokens=2000)
    encoder = load_encoder(request.getfixturevalue(model), settings, CPU)
    mixed, sizes = matrix_of(encoder, settings, TEXTS)
    assert max(sizes) > 10
    alone = np.concatenate([matrix_of(encoder, settings, [text])[0] for text in TEXTS])
    assert (mixed * alone).sum(axis=1).min() > least


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("layer", [-1, 2, 1, 0, -2, -3])
def test_the_layer_is_the_models_own(request, model, layer):
    settings = encoder_settings(layer=layer, normalize=False)
    folder = request.getfixturevalue(model)
    encoder, plain = load_encoder(folder, settings, CPU), AutoModel.from_pretrained(folder)
    found, _ = matrix_of(encoder, settings, TEXTS)
    for row, text in zip(found, TEXTS, strict=True):
        expected = plain_states(encoder.tokenizer, plain, text)[layer][0].double().mean(dim=0)
        np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-5)


@pytest.fixture
def two_cores():
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


@pytest.mark.parametrize("model", MODELS)
def test_cores_that_share_a_batch_give_the_vectors_of_one(request, model, monkeypatch, two_cores):
    settings = encoder_settings(batch_tokens=2000)
    encoder = load_encoder(request.getfixturevalue(model), settings, CPU)
    expected, sizes = matrix_of(replace(encoder, is_fused=False), settings, TEXTS)
    parts, whole = [], module._vectors
    monkeypatch.setattr(module, "_vectors", lambda *args: parts.append(args[2]) or whole(*args))
    found, same_sizes = matrix_of(replace(encoder, is_fused=True), settings, TEXTS)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert same_sizes == sizes
    assert len(parts) > len(sizes)
    assert torch.get_num_threads() == 2


def test_different_texts_have_different_vectors(decoder_folder):
    settings = encoder_settings(pooling="last")
    encoder = load_encoder(decoder_folder, settings, CPU)
    found, _ = matrix_of(encoder, settings, ["red shoe", "red show", "blue shoe"])
    assert len(np.unique(found.round(4), axis=0)) == 3


def test_the_same_call_gives_the_same_bytes(decoder_folder):
    settings = encoder_settings(dtype="bfloat16")
    encoder = load_encoder(decoder_folder, settings, CPU)
    one, other = (matrix_of(encoder, settings, TEXTS)[0] for _ in range(2))
    assert one.tobytes() == other.tobytes()


def limited(monkeypatch, most_tokens):
    """A memory in which only ``most_tokens`` tokens fit."""
    whole = module._vectors

    def vectors(encoder, tokens, rows, *rest):
        if tokens.lengths[rows].max() * len(rows) > most_tokens:
            raise torch.OutOfMemoryError("out of memory")
        return whole(encoder, tokens, rows, *rest)

    monkeypatch.setattr(module, "_vectors", vectors)


def test_out_of_memory_on_one_core_of_two_is_met_in_the_same_way(
    decoder_folder, monkeypatch, two_cores
):
    settings = encoder_settings(batch_tokens=2000)
    encoder = replace(load_encoder(decoder_folder, settings, CPU), is_fused=True)
    expected, sizes = matrix_of(encoder, settings, TEXTS)
    limited(monkeypatch, 300)
    found, smaller = matrix_of(encoder, settings, TEXTS)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert len(smaller) > len(sizes)


def test_out_of_memory_halves_the_budget_and_goes_on(decoder_folder, monkeypatch, caplog):
    settings = encoder_settings(batch_tokens=2000)
    encoder = load_encoder(decoder_folder, settings, CPU)
    expected, _ = matrix_of(encoder, settings, TEXTS)
    limited(monkeypatch, 300)
    found, sizes = matrix_of(encoder, settings, TEXTS)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert len(sizes) > 4
    assert "out of memory with batch_tokens = 2000, going on with" in caplog.text


def test_a_text_that_does_not_fit_alone_is_refused(decoder_folder, monkeypatch):
    settings = encoder_settings()
    encoder = load_encoder(decoder_folder, settings, CPU)
    limited(monkeypatch, 30)
    with pytest.raises(InputError, match=r"a text of \d+ tokens alone does not fit into memory"):
        matrix_of(encoder, settings, TEXTS)


def test_any_other_failure_is_not_taken_for_a_lack_of_memory(decoder_folder, monkeypatch):
    def vectors(*_):
        raise RuntimeError("shapes differ")

    settings = encoder_settings()
    encoder = load_encoder(decoder_folder, settings, CPU)
    monkeypatch.setattr(module, "_vectors", vectors)
    with pytest.raises(RuntimeError, match="shapes differ"):
        matrix_of(encoder, settings, TEXTS)


def test_batches_are_those_of_all_texts_less_the_known_ones(decoder_folder):
    settings = encoder_settings()
    encoder = load_encoder(decoder_folder, settings, CPU)
    tokens = tokenize(encoder.tokenizer, TEXTS, prompt="{text}", max_tokens=256)
    whole = list(encode(encoder, tokens, settings, np.zeros(len(TEXTS), bool)))
    is_known = np.zeros(len(TEXTS), bool)
    is_known[whole[0][0]] = True
    rest = list(encode(encoder, tokens, settings, is_known))
    assert len(rest) == len(whole) - 1
    for (rows, vectors), (same_rows, same_vectors) in zip(whole[1:], rest, strict=True):
        np.testing.assert_array_equal(rows, same_rows)
        assert vectors.tobytes() == same_vectors.tobytes()


def test_a_batch_is_fetched_once_the_next_is_under_way_and_none_is_lost():
    """What a GPU's batches go through, with tensors of the CPU."""
    seen = []

    def batches():
        for number in range(3):
            seen.append(f"sent {number}")
            yield np.array([number]), torch.full((1, 2), float(number))

    for rows, vectors in module._fetched_late(batches()):
        seen.append(f"fetched {rows[0]}")
        np.testing.assert_array_equal(vectors, np.full((1, 2), float(rows[0])))
    wanted = ["sent 0", "sent 1", "fetched 0", "sent 2", "fetched 1", "fetched 2"]
    assert seen == wanted
    assert list(module._fetched_late(iter([]))) == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
def test_a_gpu_gives_the_vectors_of_the_cpu(decoder_folder):
    settings = encoder_settings()
    found, wanted = (
        matrix_of(load_encoder(decoder_folder, settings, torch.device(name)), settings, TEXTS)[0]
        for name in ("cuda", "cpu")
    )
    assert (found * wanted).sum(axis=1).min() > 0.9999


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
    usual = module.encode
    monkeypatch.setattr(
        module, "encode", lambda *given: read.append(len(given[1].lengths)) or usual(*given)
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
