"""Fused layers against the same model as transformers computes it."""

import copy

import pytest
import torch
import transformers
from torch.nn import functional

from ace_steps.embed import fused
from ace_steps.embed.fused import can_fuse, fuse_layers

N_LAYERS, WIDTH, N_IDS = 3, 64, 50
SHAPE = {
    "vocab_size": N_IDS,
    "hidden_size": WIDTH,
    "intermediate_size": 96,
    "num_hidden_layers": N_LAYERS,
    "num_attention_heads": 4,
    "initializer_range": 0.3,  # far from zero, so that every part of a layer counts
}
KINDS = {
    "decoder": ("Llama", {"num_key_value_heads": 2, "hidden_act": "silu"}),
    "decoder_with_biases": ("Llama", {"attention_bias": True, "mlp_bias": True}),
    "decoder_with_wide_heads": ("Llama", {"head_dim": 32, "rms_norm_eps": 0.1}),
    "decoder_with_normed_heads": ("Qwen3", {"head_dim": 32, "num_key_value_heads": 2}),
    "reader": ("Bert", {"hidden_act": "gelu", "layer_norm_eps": 0.1}),
}
STRANGERS = {
    "another_class": ("GPT2", {"n_head": 4, "n_inner": 96}),
    "another_activation_in_a_decoder": ("Llama", {"hidden_act": "gelu"}),
    "a_decoder_with_a_window": (
        "Qwen3",
        {"num_key_value_heads": 4, "use_sliding_window": True, "sliding_window": 4},
    ),
    "another_activation_in_a_reader": ("Bert", {"hidden_act": "relu"}),
    "a_bert_that_decodes": ("Bert", {"is_decoder": True}),
}
needs_onednn = pytest.mark.skipif(not can_fuse(), reason="this processor multiplies without oneDNN")


def model_of(kind, dtype=torch.float32):
    """A model whose every weight, biases and norms included, is drawn at random."""
    name, changes = {**KINDS, **STRANGERS}[kind]
    shape = getattr(transformers, f"{name}Config")(**{**SHAPE, **changes})
    torch.manual_seed(0)
    model = getattr(transformers, f"{name}Model")(shape).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    model.config.use_cache = False
    return model.to(dtype)


def ids_of(texts, tokens):
    return torch.randint(N_IDS, (texts, tokens), generator=torch.Generator().manual_seed(1))


def states(model, ids, mask=None):
    """States of every layer, (layers + 1, texts, tokens, dim) float32."""
    with torch.inference_mode():
        found = model(input_ids=ids, attention_mask=mask, output_hidden_states=True)
    return torch.stack(found.hidden_states).float()


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@needs_onednn
@pytest.mark.parametrize("short", [512, 5], ids=["whole_attention", "attention_in_blocks"])
def test_every_layer_has_the_models_own_states_in_float32(kind, short, monkeypatch):
    monkeypatch.setattr(fused, "SHORT", short)
    own = model_of(kind)
    other = copy.deepcopy(own)
    assert fuse_layers(other) == N_LAYERS
    for ids in (ids_of(7, 13), ids_of(1, 1), ids_of(3, 40)):
        torch.testing.assert_close(states(other, ids), states(own, ids), rtol=1e-4, atol=1e-4)


@needs_onednn
def test_every_token_has_the_models_own_direction_in_bfloat16(kind):
    own = model_of(kind, torch.bfloat16)
    other = copy.deepcopy(own)
    fuse_layers(other)
    found, expected = (states(model, ids_of(7, 13)).mean(dim=2) for model in (other, own))
    assert functional.cosine_similarity(found, expected, dim=-1).min() > 0.999


@needs_onednn
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("short", [512, 5], ids=["whole_attention", "attention_in_blocks"])
def test_padding_is_not_read(kind, side, short, monkeypatch):
    monkeypatch.setattr(fused, "SHORT", short)
    own = model_of(kind)
    other = copy.deepcopy(own)
    fuse_layers(other)
    mask = torch.arange(9) < torch.tensor([[9], [4], [1]])
    mask = mask if side == "right" else mask.flip(1)
    found, expected = (states(model, ids_of(3, 9), mask.long())[:, mask] for model in (other, own))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@needs_onednn
def test_the_original_weights_are_freed(kind):
    model = model_of(kind)
    fuse_layers(model)
    matrices = [name for name, weight in model.named_parameters() if weight.dim() == 2]
    assert all("embed" in name or "pooler" in name for name in matrices)


@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_model_of_another_kind_stays_as_it_is(stranger):
    model = model_of(stranger)
    expected = states(model, ids_of(3, 9))
    assert fuse_layers(model) == 0
    assert torch.equal(states(model, ids_of(3, 9)), expected)


@pytest.mark.parametrize("lack", ["vectors", "onednn"])
def test_nothing_is_fused_where_the_processor_or_the_build_lacks_it(kind, lack, monkeypatch):
    if lack == "vectors":
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    else:
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    model = model_of(kind)
    assert fuse_layers(model) == 0
    assert states(model, ids_of(3, 9)).isfinite().all()
