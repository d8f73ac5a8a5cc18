"""Texts end to end: the model's own states, and no packing where these would differ."""

import copy
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch.nn import functional
from transformers import (
    AutoModel,
    BertConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GptOssConfig,
    LlamaConfig,
    MistralConfig,
    Qwen3Config,
    RobertaConfig,
)

from ace_steps.embed import packed
from ace_steps.embed.models import load_encoder, load_model
from ace_steps.embed.packed import NAME, packing, packs
from ace_steps.embed.pooling import POOLINGS
from tests.embed.conftest import encoder_settings
from tests.embed.test_encode import TEXTS, matrix_of

CPU = torch.device("cpu")
READER = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 300,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
DECODER = {**READER, "num_key_value_heads": 2, "head_dim": 8}
WINDOW = {"sliding_window": 4}
KNOWN = {
    "llama": LlamaConfig(**DECODER),
    "qwen3": Qwen3Config(**DECODER),
    "mistral, a window": MistralConfig(**DECODER, **WINDOW),
    "gemma 3, windows and whole": Gemma3TextConfig(
        **DECODER, **WINDOW, layer_types=["sliding_attention", "full_attention"]
    ),
    "gemma 3, both ways": Gemma3TextConfig(**DECODER, **WINDOW, use_bidirectional_attention=True),
    "bert": BertConfig(**READER),
}
OTHERS = {
    "roberta counts positions from 2": (RobertaConfig(**READER), "its states differ"),
    "gemma 2 caps scores": (Gemma2Config(**DECODER), "capped"),
    "gpt-oss has sinks": (
        GptOssConfig(**DECODER, num_local_experts=2, num_experts_per_tok=1),
        "sink",
    ),
}


def plain_varlen(q, k, v, starts, _, longest, __, *, scale, window_size, enable_gqa):
    """What torch's kernel of that name says it computes, text by text."""
    assert longest == starts.diff().max()
    found, (left, right) = torch.empty_like(q), window_size
    for start, stop in pairwise(starts):
        places = torch.arange(stop - start)
        back = places[:, None] - places
        is_seen = torch.ones_like(back, dtype=torch.bool)
        if left >= 0:
            is_seen &= back <= left
        if right >= 0:
            is_seen &= -back <= right
        parts = [part[start:stop].transpose(0, 1)[None] for part in (q, k, v)]
        read = functional.scaled_dot_product_attention(
            *parts, attn_mask=is_seen, scale=scale, enable_gqa=enable_gqa
        )
        found[start:stop] = read[0].transpose(0, 1)
    return found


@pytest.fixture
def kernel(monkeypatch):
    """A stand-in for the GPU's kernel, on this processor and in float32."""
    monkeypatch.setattr(packed, "has_kernel", lambda *_: True)
    monkeypatch.setattr(packed, "varlen_attn", plain_varlen)


def model_of(shape):
    torch.manual_seed(0)
    model = AutoModel.from_config(copy.deepcopy(shape)).eval()
    for weight in model.parameters():
        if weight.dim() == 2:
            torch.nn.init.normal_(weight, std=0.3)  # far from zero, so that tokens differ
    model.config.use_cache = False
    return model


@pytest.mark.parametrize("shape", KNOWN.values(), ids=KNOWN)
def test_packed_texts_have_the_states_they_have_alone(shape, kernel):
    model, lengths = model_of(shape), [9, 1, 20]
    ids = torch.randint(3, 300, (sum(lengths),), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        alone = [
            model(input_ids=text[None], output_hidden_states=True).hidden_states
            for text in ids.split(lengths)
        ]
        assert packs(model)
        found = model(input_ids=ids[None], output_hidden_states=True, **packing(lengths, CPU))
    for layer, states in enumerate(found.hidden_states):
        expected = torch.cat([text[layer][0] for text in alone])
        torch.testing.assert_close(states[0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("shape", "reason"), OTHERS.values(), ids=OTHERS)
def test_a_model_that_would_compute_something_else_is_left_as_it_was(shape, reason, kernel, caplog):
    caplog.set_level("INFO")
    model = model_of(shape)
    usual = model.config._attn_implementation
    assert not packs(model)
    assert model.config._attn_implementation == usual != NAME
    assert "texts are padded, not packed" in caplog.text
    assert reason in caplog.text


def test_a_kernel_that_refuses_the_shape_leaves_the_model_as_it_was(kernel, monkeypatch, caplog):
    def refuse(*_, **__):
        raise NotImplementedError("head dimension over 256")

    caplog.set_level("INFO")
    monkeypatch.setattr(packed, "varlen_attn", refuse)
    model = model_of(KNOWN["qwen3"])
    assert not packs(model)
    assert "head dimension over 256" in caplog.text
    model(input_ids=torch.tensor([[5, 6]]))


def test_nothing_is_packed_on_a_processor(decoder_folder, caplog):
    caplog.set_level("INFO")
    assert not load_encoder(decoder_folder, encoder_settings(dtype="bfloat16"), CPU).is_packed
    assert "padded" not in caplog.text


@pytest.mark.parametrize("folder", ["decoder_folder", "reader_folder"])
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("layer", [-1, 1])
def test_packed_vectors_are_the_padded_ones(request, folder, pooling, layer, kernel):
    settings = encoder_settings(pooling=pooling, layer=layer, batch_tokens=700)
    folder = request.getfixturevalue(folder)
    model = load_model(folder, settings)
    own = load_encoder(folder, settings, CPU)  # packed too where its layers were not fused
    padded = replace(own, model=model, is_fused=False, is_packed=False)
    expected, sizes = matrix_of(padded, settings, TEXTS)
    assert packs(model)
    found, same_sizes = matrix_of(replace(padded, is_packed=True), settings, TEXTS)
    assert same_sizes == sizes
    assert max(sizes) > 1
    assert (found * expected).sum(axis=1).min() > 0.99999


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")
@pytest.mark.parametrize("folder", ["decoder_folder", "reader_folder"])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_gpu_packs_and_gives_the_vectors_of_a_processor(request, folder, pooling):
    settings = encoder_settings(pooling=pooling, dtype="bfloat16", batch_tokens=700)
    folder = request.getfixturevalue(folder)
    encoder = load_encoder(folder, settings, torch.device("cuda"))
    assert encoder.is_packed
    found, _ = matrix_of(encoder, settings, TEXTS)
    expected, _ = matrix_of(load_encoder(folder, settings, CPU), settings, TEXTS)
    assert (found * expected).sum(axis=1).min() > 0.999
