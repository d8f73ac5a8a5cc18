"""The networks against the paper's, written out again: torch's own layers, or plain formulas."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ace_steps.backbones.network import MASK
from ace_steps.backbones.recommender import build_recommender
from tests.training.made import SMALL, TABLE, WIDTH, answers, random_matrix, small_settings

HISTORY = [3, 1, 2, 9]


def drawn(model):
    """A backbone whose every weight is drawn: as they start, biases and norms would hide faults."""
    recommender = build_recommender(random_matrix(), TABLE, small_settings(model), 0)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in recommender.network.parameters():
            parameter.normal_(0, 0.5, generator=generator)
    return recommender.eval()


def torchs_layer(layer):
    """torch's encoder layer with the weights of one of ours: post-norm, GELU, eps 1e-12."""
    expected = nn.TransformerEncoderLayer(
        d_model=WIDTH,
        nhead=small_settings().num_heads,
        dim_feedforward=small_settings().inner_dim,
        activation="gelu",
        layer_norm_eps=1e-12,
        batch_first=True,
        norm_first=False,
    )
    names = {
        "self_attn.in_proj_": layer.to_heads,
        "self_attn.out_proj.": layer.from_heads,
        "linear1.": layer.to_inner,
        "linear2.": layer.from_inner,
        "norm1.": layer.attention_norm,
        "norm2.": layer.inner_norm,
    }
    expected.load_state_dict(
        {
            name + key: value
            for name, part in names.items()
            for key, value in part.state_dict().items()
        }
    )
    return expected.eval()


def norm(states, layer):
    """Layer norm with eps 1e-12, by its formula."""
    centered = states - states.mean(dim=-1, keepdim=True)
    scale = (centered.square().mean(dim=-1, keepdim=True) + 1e-12).sqrt()
    return centered / scale * layer.weight + layer.bias


def encoded(network, entries, mask=None):
    """Item vectors plus positions, normed, through torch's layers."""
    states = norm(entries + network.positions[: len(entries)], network.input_norm)[None]
    for layer in network.layers:
        states = torchs_layer(layer)(states, src_mask=mask)
    return states[0]


def test_sasrec_is_the_papers():
    recommender = drawn("sasrec")
    queries, _ = answers(recommender, [HISTORY])
    causal = nn.Transformer.generate_square_subsequent_mask(len(HISTORY))
    expected = encoded(recommender.network, random_matrix()[HISTORY], causal)
    torch.testing.assert_close(queries[0], expected, rtol=1e-4, atol=1e-5)


def test_bert4rec_is_the_papers():
    recommender = drawn("bert4rec")
    network, masked = recommender.network, 2
    history = [MASK if i == masked else item for i, item in enumerate(HISTORY)]
    queries, items = answers(recommender, [history])
    entries = random_matrix()[HISTORY].clone()
    entries[masked] = network.hidden_item
    states = encoded(network, entries) @ network.to_query.weight.T + network.to_query.bias
    states = norm(states * 0.5 * (1 + torch.erf(states / math.sqrt(2))), network.query_norm)
    expected = states @ random_matrix().T + network.item_bias
    torch.testing.assert_close((queries @ items.T)[0], expected, rtol=1e-4, atol=1e-5)


def test_gru4rec_is_the_papers():
    recommender = drawn("gru4rec")
    gru, last = recommender.network.gru, recommender.network.to_width
    state, expected = torch.zeros(small_settings("gru4rec").hidden_dim), []
    for entry in random_matrix()[HISTORY]:
        read = gru.weight_ih_l0 @ entry + gru.bias_ih_l0
        held = gru.weight_hh_l0 @ state + gru.bias_hh_l0
        (reset, update, new), (held_reset, held_update, held_new) = read.chunk(3), held.chunk(3)
        reset, update = torch.sigmoid(reset + held_reset), torch.sigmoid(update + held_update)
        new = torch.tanh(new + reset * held_new)
        state = (1 - update) * new + update * state
        expected.append(last.weight @ state + last.bias)
    queries, _ = answers(recommender, [HISTORY])
    torch.testing.assert_close(queries[0], torch.stack(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("model", SMALL)
def test_weights_start_as_in_the_paper(model):
    """N(0, 0.02^2) for what attends, Glorot's uniform for the recurrent network; biases 0."""
    wide = {"dim": 64} | ({"hidden_dim": 64} if model == "gru4rec" else {"inner_dim": 128})
    settings = small_settings(model).model_copy(update=wide)
    network = build_recommender(random_matrix(64), TABLE, settings, 0).network
    for name, parameter in network.named_parameters():
        if name.endswith("norm.weight"):
            assert (parameter == 1).all()
        elif parameter.ndim < 2:
            assert (parameter == 0).all()
        elif model == "gru4rec":
            bound = math.sqrt(6 / sum(parameter.shape))
            assert 0.95 * bound < parameter.abs().max() <= bound
            assert parameter.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1)
        else:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.15)


@pytest.mark.parametrize("model", SMALL)
def test_dropout_meets_what_the_paper_drops(model, monkeypatch):
    """The input, and each layer's two branches before they are added; weights of attention."""
    dropped, attention = [], []
    drop, attend = F.dropout, F.scaled_dot_product_attention

    def watched(states, p=0.5, training=True, inplace=False):
        dropped.append(p if training else 0)
        return drop(states, p, training, inplace)

    def watched_attention(*states, dropout_p, **options):
        attention.append(dropout_p)
        return attend(*states, dropout_p=dropout_p, **options)

    monkeypatch.setattr(F, "dropout", watched)
    monkeypatch.setattr(F, "scaled_dot_product_attention", watched_attention)
    settings = small_settings(model, dropout=0.4)
    recommender = build_recommender(random_matrix(), TABLE, settings, 0).train()
    n_layers = 0 if model == "gru4rec" else settings.num_layers
    answers(recommender, [HISTORY])
    assert dropped == [0.4] * (1 + 2 * n_layers)
    assert attention == [0.3] * n_layers
    answers(recommender.eval(), [HISTORY])
    assert dropped[len(dropped) // 2 :] == [0] * (1 + 2 * n_layers)
    assert attention[n_layers:] == [0] * n_layers
