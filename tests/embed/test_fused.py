"""Fast paths on a CPU: fused layers, a share per core, the shared prefix; against transformers."""

import copy
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers
from torch.nn import functional
from transformers import AutoModel

from ace_steps.embed import fused
from ace_steps.embed.encode import encode
from ace_steps.embed.fused import (
    LEAST_PREFIX,
    SHARE_TOKENS,
    Cores,
    can_fuse,
    common_tokens,
    encode_prefix,
    fuse_layers,
)
from ace_steps.embed.models import load_encoder
from ace_steps.embed.pooling import POOLINGS
from ace_steps.embed.tokens import Tokens, tokenize
from tests.embed.conftest import encoder_settings

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


ROWS = np.array([7, 3, 9, 0, 4])
ENOUGH = 2 * SHARE_TOKENS


@pytest.fixture(autouse=True)
def one_thread_again():
    yield
    torch.set_num_threads(1)


def as_vectors(rows):
    return rows[:, None] * np.ones(3, np.float32)


def shares_of(n_cores, rows, n_tokens):
    """The shares that were computed, and whether each was on a thread of its own kind."""
    seen, here = [], threading.get_ident()

    def vectors_of(share):
        seen.append((share.tolist(), threading.get_ident() != here, torch.get_num_threads()))
        return as_vectors(share)

    with Cores(n_cores) as cores:
        found = cores.compute(vectors_of, rows, n_tokens)
    np.testing.assert_array_equal(found, as_vectors(rows))
    return sorted(seen, reverse=True)


def test_neighbours_in_length_go_to_the_same_core_which_computes_with_one_thread():
    assert shares_of(2, ROWS, ENOUGH) == [([7, 3, 9], True, 1), ([0, 4], True, 1)]


@pytest.mark.parametrize(
    ("n_cores", "n_rows", "n_tokens"),
    [(1, 5, ENOUGH), (2, 5, ENOUGH - 1), (2, 1, ENOUGH), (4, 5, ENOUGH)],
    ids=["one_core", "few_tokens", "one_text", "few_tokens_a_core"],
)
def test_what_is_too_small_to_share_is_computed_in_one_piece(n_cores, n_rows, n_tokens):
    torch.set_num_threads(n_cores)
    rows = ROWS[:n_rows]
    assert shares_of(n_cores, rows, n_tokens) == [(rows.tolist(), False, n_cores)]


def test_afterwards_torch_has_its_threads_back_on_every_later_thread():
    torch.set_num_threads(2)
    shares_of(2, ROWS, ENOUGH)
    found = []
    later = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert (found, torch.get_num_threads()) == ([2], 2)


def test_a_failure_of_one_core_is_raised_when_all_have_ended():
    ended = []

    def vectors_of(share):
        if 7 in share:
            raise torch.OutOfMemoryError("no memory")
        ended.append(share.tolist())
        return as_vectors(share)

    with Cores(2) as cores, pytest.raises(torch.OutOfMemoryError, match="no memory"):
        cores.compute(vectors_of, ROWS, ENOUGH)
    assert ended == [[0, 4]]


CPU = torch.device("cpu")
SAME = "The item is called "  # the toy tokenizer makes a token of each byte
PREFIXED = [SAME + rest for rest in ("a", "a lipstick", "red", "a long brush for the hair", "Red")]
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
    found = vectors_of(encoder, PREFIXED, settings)
    for row, text in zip(found, PREFIXED, strict=True):
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
    vectors_of(encoder, PREFIXED, settings)
    n_tokens = [len(text.encode()) - len(SAME) for text in PREFIXED]
    assert shapes[0] == (1, len(SAME))
    assert max(tokens for _, tokens in shapes[1:]) == max(n_tokens)
    assert sum(texts for texts, _ in shapes[1:]) == len(PREFIXED)


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
    vectors_of(replace(encoder, is_fused=is_fused), PREFIXED, settings)
