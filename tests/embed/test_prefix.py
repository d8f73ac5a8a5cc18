"""What all texts begin with is read once, and changes no vector."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoModel

from ace_steps.embed import fused
from ace_steps.embed.encode import encode
from ace_steps.embed.fused import LEAST_PREFIX, can_fuse, common_tokens, encode_prefix
from ace_steps.embed.models import load_encoder
from ace_steps.embed.pooling import POOLINGS
from ace_steps.embed.tokens import Tokens, tokenize
from tests.embed.conftest import encoder_settings

CPU = torch.device("cpu")
SAME = "The item is called "  # the toy tokenizer makes a token of each byte
TEXTS = [SAME + rest for rest in ("a", "a lipstick", "red", "a long brush for the hair", "Red")]
needs_onednn = pytest.mark.skipif(not can_fuse(), reason="this processor multiplies without oneDNN")


def tokens_of(*rows):
    lengths = [len(row) for row in rows]
    ids = np.array([token for row in rows for token in row], np.int32)
    return Tokens(ids, np.cumsum([0, *lengths]), np.zeros(len(rows), bool))


@pytest.mark.parametrize(
    ("rows", "n_tokens"),
    [
        ([[5, 6, 7, 8], [5, 6, 9, 8, 4]], 2),
        ([[5, 6, 7], [5, 6, 7, 8], [5, 6, 7, 8]], 2),
        ([[5, 6], [5, 6]], 1),
        ([[5, 6], [6, 6]], 0),
        ([[5], [5, 6]], 0),
    ],
)
def test_every_text_keeps_a_token_of_its_own(rows, n_tokens):
    assert common_tokens(tokens_of(*rows)) == n_tokens


def vectors_of(encoder, texts, settings):
    tokens = tokenize(encoder.tokenizer, texts, prompt="{text}", max_tokens=256)
    found = np.empty((len(texts), encoder.dim), np.float32)
    for rows, vectors in encode(encoder, tokens, settings, np.zeros(len(texts), bool)):
        found[rows] = vectors
    return found


def expected_of(encoder, folder, text, settings):
    """The vector of a text alone, its states by transformers."""
    ids = encoder.tokenizer(text, return_tensors="pt").input_ids
    with torch.no_grad():
        found = AutoModel.from_pretrained(folder)(input_ids=ids, output_hidden_states=True)
    states = found.hidden_states[settings.layer]
    return POOLINGS[settings.pooling](states, torch.ones_like(ids, dtype=torch.bool))[0].numpy()


@needs_onednn
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("layer", [-1, 1, 0])
@pytest.mark.parametrize("short", [512, 5], ids=["whole_attention", "attention_in_blocks"])
def test_the_vectors_are_the_models_own(decoder_folder, pooling, layer, short, monkeypatch):
    monkeypatch.setattr(fused, "SHORT", short)
    settings = encoder_settings(pooling=pooling, layer=layer)
    encoder = load_encoder(decoder_folder, settings, CPU)
    found = vectors_of(encoder, TEXTS, settings)
    for row, text in zip(found, TEXTS, strict=True):
        expected = expected_of(encoder, decoder_folder, text, settings)
        np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-4)


@needs_onednn
def test_the_common_tokens_are_read_once(decoder_folder, monkeypatch):
    settings = encoder_settings(batch_tokens=60)
    encoder = load_encoder(decoder_folder, settings, CPU)
    shapes, forward = [], encoder.model.forward
    monkeypatch.setattr(
        encoder.model,
        "forward",
        lambda **given: shapes.append(tuple(given["input_ids"].shape)) or forward(**given),
    )
    vectors_of(encoder, TEXTS, settings)
    n_tokens = [len(text.encode()) - len(SAME) for text in TEXTS]
    assert shapes[0] == (1, len(SAME))
    assert max(tokens for _, tokens in shapes[1:]) == max(n_tokens)
    assert sum(texts for texts, _ in shapes[1:]) == len(TEXTS)


@pytest.mark.parametrize(
    "texts",
    [[SAME], ["abc" + rest for rest in "xyz"], ["x" + SAME, SAME]],
    ids=["one_text", "few_common_tokens", "no_common_token"],
)
def test_nothing_is_read_apart_where_that_saves_nothing(decoder_folder, texts):
    encoder = replace(load_encoder(decoder_folder, encoder_settings(), CPU), is_fused=True)
    tokens = tokenize(encoder.tokenizer, texts, prompt="{text}", max_tokens=256)
    assert len("abc") < LEAST_PREFIX
    assert encode_prefix(encoder.model, tokens, -1) is None


@pytest.mark.parametrize(
    ("model", "is_fused"), [("reader_folder", True), ("decoder_folder", False)]
)
def test_only_fused_decoders_encode_it_apart(request, model, is_fused, monkeypatch):
    settings = encoder_settings()
    encoder = load_encoder(request.getfixturevalue(model), settings, CPU)
    monkeypatch.setattr("ace_steps.embed.encode.encode_prefix", None)
    vectors_of(replace(encoder, is_fused=is_fused), TEXTS, settings)
