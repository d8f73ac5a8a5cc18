"""Texts to vectors through whole toy models, batch after batch and bucket after bucket."""

import threading
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from torch.nn import functional
from transformers import AutoModel

from ace_steps.embed import encode as module
from ace_steps.embed.encode import POOLINGS, embed_texts, encode, prefetched
from ace_steps.embed.models import load_encoder
from ace_steps.embed.store import VectorStore
from ace_steps.embed.tokens import tokenize
from ace_steps.errors import InputError
from tests.embed.conftest import encoder_settings

CPU = torch.device("cpu")
TEXTS = [f"item {number} " + "lorem ipsum " * (number % 7) for number in range(25)]
MODELS = ("decoder_folder", "reader_folder")


def matrix_of(encoder, settings, texts):
    """Vectors of the texts in their order, and how many shared each batch."""
    tokens = tokenize(encoder.tokenizer, texts, prompt="{text}", max_tokens=256)
    batches = list(encode(encoder, tokens, settings, np.zeros(len(texts), bool)))
    rows = np.concatenate([rows for rows, _ in batches])
    assert sorted(rows) == list(range(len(texts)))
    matrix = np.concatenate([vectors for _, vectors in batches])
    return matrix[np.argsort(rows)], [len(rows) for rows, _ in batches]


STATES = torch.tensor([[[1.0, 10.0], [2.0, 20.0], [6.0, 60.0]]])
BY_HAND = {  # with the last token as padding, then with the first
    "mean": ([1.5, 15.0], [4.0, 40.0]),
    "weighted_mean": ([5 / 3, 50 / 3], [14 / 3, 140 / 3]),
    "last": ([2.0, 20.0], [6.0, 60.0]),
    "first": ([1.0, 10.0], [2.0, 20.0]),
}


@pytest.mark.parametrize("name", POOLINGS)
def test_a_pooling_leaves_padding_out_on_either_side(name):
    mask = torch.tensor([[True, True, False], [False, True, True]])
    pooled = POOLINGS[name](STATES.expand(2, -1, -1), mask)
    torch.testing.assert_close(pooled, torch.tensor(BY_HAND[name]))


def test_half_precision_states_are_summed_in_float32():
    states = torch.ones(1, 1000, 1, dtype=torch.bfloat16)
    states[0, 0, 0] = 512.0  # bfloat16 has steps of 4 here: its own sum would stay at 512
    pooled = POOLINGS["mean"](states, torch.ones(1, 1000, dtype=torch.bool))
    assert pooled.dtype == torch.float32
    assert pooled.item() == pytest.approx((512 + 999) / 1000, rel=1e-6)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_text_has_the_same_vector_whatever_its_batch(request, model, pooling):
    settings = encoder_settings(pooling=pooling, batch_tokens=2000)
    encoder = load_encoder(request.getfixturevalue(model), settings, CPU)
    mixed, sizes = matrix_of(encoder, settings, TEXTS)
    assert max(sizes) > 10
    alone = np.concatenate([matrix_of(encoder, settings, [text])[0] for text in TEXTS])
    np.testing.assert_allclose(mixed, alone, atol=1e-4)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("layer", [-1, 1, -3])
def test_the_layer_is_the_models_own(request, model, layer):
    settings = encoder_settings(layer=layer)
    folder = request.getfixturevalue(model)
    encoder, plain = load_encoder(folder, settings, CPU), AutoModel.from_pretrained(folder)
    matrix, _ = matrix_of(encoder, settings, TEXTS)
    for row, text in zip(matrix, TEXTS, strict=True):
        ids = encoder.tokenizer(text, return_tensors="pt").input_ids
        with torch.no_grad():
            states = plain(input_ids=ids, output_hidden_states=True).hidden_states[layer]
        np.testing.assert_allclose(row, states[0].double().mean(dim=0), rtol=1e-4, atol=1e-5)


@pytest.fixture
def two_cores():
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.usefixtures("two_cores")
def test_cores_that_share_a_batch_give_the_vectors_of_one(request, model, monkeypatch):
    settings = encoder_settings(batch_tokens=2000)
    encoder = load_encoder(request.getfixturevalue(model), settings, CPU)
    expected, sizes = matrix_of(replace(encoder, is_fused=False), settings, TEXTS)
    parts, whole = [], module._vectors
    monkeypatch.setattr(module, "_vectors", lambda *args: parts.append(args[2]) or whole(*args))
    matrix, same_sizes = matrix_of(replace(encoder, is_fused=True), settings, TEXTS)
    np.testing.assert_allclose(matrix, expected, atol=1e-5)
    assert same_sizes == sizes
    assert len(parts) > len(sizes)
    assert torch.get_num_threads() == 2


def limited(monkeypatch, most_tokens):
    """A memory in which only ``most_tokens`` tokens fit."""
    whole = module._vectors

    def vectors(encoder, tokens, rows, *rest):
        if tokens.lengths[rows].max() * len(rows) > most_tokens:
            raise torch.OutOfMemoryError("out of memory")
        return whole(encoder, tokens, rows, *rest)

    monkeypatch.setattr(module, "_vectors", vectors)


@pytest.mark.parametrize("is_fused", [False, True], ids=["whole batches", "a core's share"])
@pytest.mark.usefixtures("two_cores")
def test_out_of_memory_halves_the_budget_and_goes_on(decoder_folder, monkeypatch, caplog, is_fused):
    settings = encoder_settings(batch_tokens=2000)
    encoder = replace(load_encoder(decoder_folder, settings, CPU), is_fused=is_fused)
    expected, sizes = matrix_of(encoder, settings, TEXTS)
    limited(monkeypatch, 300)
    matrix, smaller = matrix_of(encoder, settings, TEXTS)
    np.testing.assert_allclose(matrix, expected, atol=1e-5)
    assert len(smaller) > len(sizes)
    assert "out of memory with batch_tokens = 2000, going on with" in caplog.text


def test_a_text_that_does_not_fit_alone_is_refused(decoder_folder, monkeypatch):
    encoder = load_encoder(decoder_folder, encoder_settings(), CPU)
    limited(monkeypatch, 30)
    with pytest.raises(InputError, match=r"a text of \d+ tokens alone does not fit into memory"):
        matrix_of(encoder, encoder_settings(), TEXTS)


def test_any_other_failure_is_not_taken_for_a_lack_of_memory(decoder_folder, monkeypatch):
    def vectors(*_):
        raise RuntimeError("shapes differ")

    encoder = load_encoder(decoder_folder, encoder_settings(), CPU)
    monkeypatch.setattr(module, "_vectors", vectors)
    with pytest.raises(RuntimeError, match="shapes differ"):
        matrix_of(encoder, encoder_settings(), TEXTS)


def test_batches_are_those_of_all_texts_less_the_known_ones(decoder_folder):
    settings = encoder_settings()
    encoder = load_encoder(decoder_folder, settings, CPU)
    tokens = tokenize(encoder.tokenizer, TEXTS, prompt="{text}", max_tokens=256)
    whole = list(encode(encoder, tokens, settings, np.zeros(len(TEXTS), bool)))
    assert tokens.lengths[whole[0][0]].max() == tokens.lengths.max()  # a lack of memory shows first
    is_known = np.zeros(len(TEXTS), bool)
    is_known[whole[0][0]] = True
    rest = list(encode(encoder, tokens, settings, is_known))
    for (rows, vectors), (same_rows, same_vectors) in zip(whole[1:], rest, strict=True):
        np.testing.assert_array_equal(rows, same_rows)
        assert vectors.tobytes() == same_vectors.tobytes()


def test_a_batch_is_fetched_once_the_next_is_under_way_and_none_is_lost():
    """What a GPU's batches go through, with tensors of the CPU."""
    events = []

    def batches():
        for number in range(3):
            events.append(f"sent {number}")
            yield np.array([number]), torch.full((1, 2), float(number))

    for rows, vectors in module._fetched_late(batches()):
        events.append(f"fetched {rows[0]}")
        np.testing.assert_array_equal(vectors, np.full((1, 2), float(rows[0])))
    assert events == ["sent 0", "sent 1", "fetched 0", "sent 2", "fetched 1", "fetched 2"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
def test_a_gpu_gives_the_vectors_of_the_cpu(decoder_folder):
    settings = encoder_settings()
    on_gpu, on_cpu = (
        matrix_of(load_encoder(decoder_folder, settings, torch.device(name)), settings, TEXTS)[0]
        for name in ("cuda", "cpu")
    )
    cosines = functional.cosine_similarity(torch.tensor(on_gpu), torch.tensor(on_cpu))
    assert cosines.min() > 0.9999


def test_the_next_piece_is_made_while_the_last_is_in_use():
    is_made = [threading.Event() for _ in range(4)]

    def pieces():
        for number, event in enumerate(is_made):
            event.set()
            yield number

    taken = []
    for piece in prefetched(pieces()):
        assert all(event.wait(60) for event in is_made[: piece + 2])
        assert not any(event.is_set() for event in is_made[piece + 2 :])
        taken.append(piece)
    assert taken == [0, 1, 2, 3]


def test_a_failure_ahead_is_raised_after_the_pieces_before_it():
    def pieces():
        yield 1
        raise InputError("no second")

    taken = prefetched(pieces())
    assert next(taken) == 1
    with pytest.raises(InputError, match="no second"):
        next(taken)


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


def test_counts_are_those_of_all_texts_known_or_not(decoder_folder, tmp_path):
    settings = encoder_settings(max_tokens=20)
    encoder = load_encoder(decoder_folder, settings, CPU)
    texts = texts_of(["a", "b" * 30], ["ccc"], ["dd", "e" * 20, "f" * 21])
    n_tokens = 1 + 20 + 3 + 2 + 20 + 20
    first, again = (
        embed_texts(texts, encoder, settings, VectorStore(tmp_path / "store")) for _ in range(2)
    )
    assert first.counts() == again.counts()
    assert first.counts() == {
        "dim": encoder.dim,
        "n_texts": 6,
        "n_tokens": n_tokens,
        "n_truncated": 2,
        "n_tokens_longest": 20,
    }
    assert (first.n_new, first.new_tokens) == (6, n_tokens)
    assert (again.n_new, again.new_tokens) == (0, 0)
    np.testing.assert_array_equal(first.matrix, again.matrix)


def test_a_bucket_whose_texts_are_all_known_is_not_encoded(decoder_folder, tmp_path, monkeypatch):
    settings, encoded = encoder_settings(), []
    encoder = load_encoder(decoder_folder, settings, CPU)
    whole = texts_of(["a", "bb"], ["ccc", "dd"])
    store = VectorStore(tmp_path / "store")
    embed_texts(whole.filter(pl.col("bucket") == 0), encoder, settings, store)

    def noted(encoder, tokens, *rest):
        encoded.append(len(tokens.lengths))
        return encode(encoder, tokens, *rest)

    monkeypatch.setattr(module, "encode", noted)
    embedded = embed_texts(whole, encoder, settings, VectorStore(tmp_path / "store"))
    assert encoded == [2]
    assert embedded.n_new == 2


def test_where_a_later_bucket_fails_the_earlier_one_is_kept(decoder_folder, tmp_path):
    encoder = load_encoder(decoder_folder, encoder_settings(), CPU)
    texts = texts_of(["a", "bb"], ["ccc", ""])
    with pytest.raises(InputError, match=r"item 'i3': its text '' has no token"):
        embed_texts(texts, encoder, encoder_settings(), VectorStore(tmp_path / "store"))
    matrix = np.empty((4, encoder.dim), np.float32)
    is_known = VectorStore(tmp_path / "store").load(texts["text_sha256"], matrix)
    np.testing.assert_array_equal(is_known, [True, True, False, False])


def test_a_tokenizer_of_another_model_is_refused(decoder_folder, tmp_path):
    encoder = load_encoder(decoder_folder, encoder_settings(), CPU)
    with pytest.raises(InputError, match="they do not belong together"):
        embed_texts(
            texts_of(["a"]), replace(encoder, n_ids=5), encoder_settings(), VectorStore(tmp_path)
        )


def test_a_budget_that_was_too_large_for_one_bucket_is_not_tried_on_the_next(
    decoder_folder, tmp_path, monkeypatch, caplog
):
    settings = encoder_settings(batch_tokens=400)
    encoder = load_encoder(decoder_folder, settings, CPU)
    texts = texts_of(*[[f"{bucket}{row}" + "x" * 90 for row in range(6)] for bucket in "abc"])
    limited(monkeypatch, 250)
    embed_texts(texts, encoder, settings, VectorStore(tmp_path / "store"))
    assert caplog.text.count("out of memory") == 1
