"""Texts to vectors through whole toy models."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoModel

from ace_steps.embed import encode as module
from ace_steps.embed.encode import encode
from ace_steps.embed.models import load_encoder
from ace_steps.embed.pooling import POOLINGS, finish
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
