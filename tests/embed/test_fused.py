"""Fast paths on a CPU: fused layers, a share per core, the shared prefix; against transformers."""

import copy
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers
from torch.nn import functional
from transformers import AutoModel

from ace_steps.embed import fused
from ace_steps.embed.encode import POOLINGS, encode
from ace_steps.embed.fused import (
    SHARE_TOKENS,
    Cores,
    can_fuse,
    common_tokens,
    encode_prefix,
    fuse_layers,
)
from ace_steps.embed.models import load_encoder
from ace_steps.embed.tokens import Tokens, tokenize
from tests.embed.conftest import encoder_settings

CPU = torch.device("cpu")
N_LAYERS, N_IDS = 3, 50
SHAPE = {
    "vocab_size": N_IDS,
    "hidden_size": 64,
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
WINDOW = {"num_key_value_heads": 4, "use_sliding_window": True, "sliding_window": 4}
OTHERS = {
    "another_class": ("GPT2", {"n_head": 4, "n_inner": 96}),
    "another_activation_in_a_decoder": ("Llama", {"hidden_act": "gelu"}),
    "a_decoder_with_a_window": ("Qwen3", WINDOW),
    "another_activation_in_a_reader": ("Bert", {"hidden_act": "relu"}),
    "a_bert_that_decodes": ("Bert", {"is_decoder": True}),
}
needs_bfloat16 = pytest.mark.skipif(not can_fuse(), reason="no bfloat16 on this processor")
both_attentions = pytest.mark.parametrize(
    "short", [512, 5], ids=["whole_attention", "attention_in_blocks"]
)


@pytest.fixture
def fusing(monkeypatch):
    """Layers are fused here too where that is no faster: in float32 every processor can."""
    if not torch.backends.mkldnn.is_available():
        pytest.skip("this build of torch has no oneDNN")
    monkeypatch.setattr(fused, "can_fuse", lambda: True)


def model_of(kind, dtype=torch.float32):
    """A model whose every weight, biases and norms included, is drawn at random."""
    name, changes = {**KINDS, **OTHERS}[kind]
    shape = getattr(transformers, f"{name}Config")(**{**SHAPE, **changes})
    torch.manual_seed(0)
    model = getattr(transformers, f"{name}Model")(shape).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    model.config.use_cache = False
    return model.to(dtype)


def fused_and_own(kind, dtype=torch.float32):
    own = model_of(kind, dtype)
    other = copy.deepcopy(own)
    assert fuse_layers(other) == N_LAYERS
    return other, own


def ids_of(texts, tokens):
    return torch.randint(N_IDS, (texts, tokens), generator=torch.Generator().manual_seed(1))


def states(model, ids, mask=None):
    """States of every layer, (layers + 1, texts, tokens, dim) float32."""
    with torch.inference_mode():
        output = model(input_ids=ids, attention_mask=mask, output_hidden_states=True)
    return torch.stack(output.hidden_states).float()


@both_attentions
@pytest.mark.usefixtures("fusing")
@pytest.mark.parametrize("kind", KINDS)
def test_every_layer_has_the_models_own_states_and_reads_no_padding(kind, short, monkeypatch):
    monkeypatch.setattr(fused, "SHORT", short)
    other, own = fused_and_own(kind)
    for ids in (ids_of(7, 13), ids_of(1, 1), ids_of(3, 40)):
        torch.testing.assert_close(states(other, ids), states(own, ids), rtol=1e-4, atol=1e-4)
    on_the_right = torch.arange(9) < torch.tensor([[9], [4], [1]])
    for mask in (on_the_right, on_the_right.flip(1)):
        ids = ids_of(3, 9)
        got, expected = (states(model, ids, mask.long())[:, mask] for model in (other, own))
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


@needs_bfloat16
@pytest.mark.parametrize("kind", KINDS)
def test_in_bfloat16_every_token_has_the_models_own_direction(kind):
    models = fused_and_own(kind, torch.bfloat16)
    got, expected = (states(model, ids_of(7, 13)).mean(dim=2) for model in models)
    assert functional.cosine_similarity(got, expected, dim=-1).min() > 0.999


@pytest.mark.usefixtures("fusing")
@pytest.mark.parametrize("kind", KINDS)
def test_the_original_weights_are_freed(kind):
    model, _ = fused_and_own(kind)
    matrices = [name for name, weight in model.named_parameters() if weight.dim() == 2]
    assert all("embed" in name or "pooler" in name for name in matrices)


@pytest.mark.parametrize("kind", OTHERS)
def test_a_model_of_another_kind_stays_as_it_is(kind):
    model = model_of(kind)
    expected = states(model, ids_of(3, 9))
    assert fuse_layers(model) == 0
    assert torch.equal(states(model, ids_of(3, 9)), expected)


@pytest.mark.parametrize(
    ("place", "value"),
    [("cpu.get_cpu_capability", lambda: "AVX2"), ("mkldnn.is_available", lambda: False)],
)
def test_nothing_is_fused_where_the_processor_or_the_build_lacks_it(place, value, monkeypatch):
    monkeypatch.setattr(f"torch.backends.{place}", value)
    assert fuse_layers(model_of("decoder")) == 0


ROWS = np.array([7, 3, 9, 0, 4])
ENOUGH = 2 * SHARE_TOKENS


@pytest.fixture(autouse=True)
def one_thread_again():
    yield
    torch.set_num_threads(1)


def as_vectors(rows):
    return rows[:, None] * np.ones(3, np.float32)


def shares_of(n_cores, rows, n_tokens):
    """The shares that were computed, whether each was on another thread, and its threads."""
    shares, here = [], threading.get_ident()

    def vectors_of(share):
        shares.append((share.tolist(), threading.get_ident() != here, torch.get_num_threads()))
        return as_vectors(share)

    with Cores(n_cores) as cores:
        vectors = cores.compute(vectors_of, rows, n_tokens)
    np.testing.assert_array_equal(vectors, as_vectors(rows))
    return sorted(shares, reverse=True)


def test_neighbors_in_length_go_to_the_same_core_which_computes_with_one_thread():
    torch.set_num_threads(2)
    assert shares_of(2, ROWS, ENOUGH) == [([7, 3, 9], True, 1), ([0, 4], True, 1)]
    threads = []
    later = threading.Thread(target=lambda: threads.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert (threads, torch.get_num_threads()) == ([2], 2)  # afterwards, as before


@pytest.mark.parametrize(
    ("n_cores", "n_rows", "n_tokens"),
    [(1, 5, ENOUGH), (2, 5, ENOUGH - 1), (2, 1, ENOUGH), (4, 5, ENOUGH)],
    ids=["one_core", "few_tokens", "one_text", "few_tokens_a_core"],
)
def test_what_is_too_small_to_share_is_computed_in_one_piece(n_cores, n_rows, n_tokens):
    torch.set_num_threads(n_cores)
    rows = ROWS[:n_rows]
    assert shares_of(n_cores, rows, n_tokens) == [(rows.tolist(), False, n_cores)]


def test_a_failure_of_one_core_is_raised_when_all_have_ended():
    ended = []

    def vectors_of(share):
        if 7 in share:
            raise torch.OutOfMemoryError("no memory")
        time.sleep(0.1)
        ended.append(share.tolist())
        return as_vectors(share)

    with Cores(2) as cores:
        with pytest.raises(torch.OutOfMemoryError, match="no memory"):
            cores.compute(vectors_of, ROWS, ENOUGH)
        assert ended == [[0, 4]]


SAME = "The item is called "  # the toy tokenizer makes a token of each byte
PREFIXED = [SAME + rest for rest in ("a", "a lipstick", "red", "a long brush for the hair", "Red")]


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


@pytest.mark.parametrize("rows", [[range(9)], [[1, 2, 3, n] for n in range(4)]])
def test_nothing_is_encoded_apart_where_that_saves_nothing(rows):
    assert encode_prefix(None, tokens_of(*rows), -1) is None


def vectors_of(encoder, texts, settings):
    tokens = tokenize(encoder.tokenizer, texts, prompt="{text}", max_tokens=256)
    matrix = np.empty((len(texts), encoder.dim), np.float32)
    for rows, vectors in encode(encoder, tokens, settings, np.zeros(len(texts), bool)):
        matrix[rows] = vectors
    return matrix


def expected_of(encoder, folder, text, settings):
    """The vector of a text alone, its states by transformers."""
    ids = encoder.tokenizer(text, return_tensors="pt").input_ids
    with torch.no_grad():
        output = AutoModel.from_pretrained(folder)(input_ids=ids, output_hidden_states=True)
    layer = output.hidden_states[settings.layer]
    return POOLINGS[settings.pooling](layer, torch.ones_like(ids, dtype=torch.bool))[0].numpy()


@both_attentions
@pytest.mark.usefixtures("fusing")
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("layer", [-1, 1, 0])
def test_the_vectors_are_the_models_own(decoder_folder, pooling, layer, short, monkeypatch):
    monkeypatch.setattr(fused, "SHORT", short)
    settings = encoder_settings(pooling=pooling, layer=layer)
    encoder = load_encoder(decoder_folder, settings, CPU)
    for texts in (PREFIXED, [SAME + "a", SAME + "b"]):  # of the latter one token is left
        matrix = vectors_of(encoder, texts, settings)
        expected = [expected_of(encoder, decoder_folder, text, settings) for text in texts]
        np.testing.assert_allclose(matrix, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("fusing")
def test_the_common_tokens_are_encoded_once(decoder_folder, monkeypatch):
    settings = encoder_settings(batch_tokens=60)
    encoder = load_encoder(decoder_folder, settings, CPU)
    shapes, forward = [], encoder.model.forward

    def noted(**inputs):
        shapes.append(tuple(inputs["input_ids"].shape))
        return forward(**inputs)

    monkeypatch.setattr(encoder.model, "forward", noted)
    vectors_of(encoder, PREFIXED, settings)
    n_tokens = [len(text.encode()) - len(SAME) for text in PREFIXED]
    assert shapes[0] == (1, len(SAME))
    assert max(tokens for _, tokens in shapes[1:]) == max(n_tokens)
    assert sum(texts for texts, _ in shapes[1:]) == len(PREFIXED)


@pytest.mark.parametrize(
    ("model", "is_fused"), [("reader_folder", True), ("decoder_folder", False)]
)
def test_only_fused_decoders_encode_it_apart(request, model, is_fused, monkeypatch):
    settings = encoder_settings()
    encoder = load_encoder(request.getfixturevalue(model), settings, CPU)
    monkeypatch.setattr("ace_steps.embed.encode.encode_prefix", None)
    vectors_of(replace(encoder, is_fused=is_fused), PREFIXED, settings)
