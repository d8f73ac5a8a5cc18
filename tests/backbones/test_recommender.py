"""Item encoders: what is frozen, what is trained, and the descriptions that are refused."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ace_steps.backbones import recommender as recommender_module
from ace_steps.backbones.recommender import build_item_encoder, build_recommender
from ace_steps.errors import InputError
from ace_steps.registry import BACKBONES, REFINEMENTS
from ace_steps.training.loop import Trainer
from ace_steps.training.optimizers import weights_as_arrays
from ace_steps.training.tasks import build_task
from tests.refine.builders import ROWS, prepared, refined_rows
from tests.training.made import N_ITEMS, WIDTH, random_histories, random_matrix, small_settings

MLP = {"kind": "mlp", "parts": [12], "hidden": 6, "width": WIDTH}
FUSE = {"kind": "partly_trainable", "parts": [8], "width": 8, "trainable_last": 4, "std": 1.0}
LAYERS = {"to_hidden.weight", "to_hidden.bias", "to_width.weight", "to_width.bias"}
# What the refinements write: name, description, dim of the vectors, what is trained.
KINDS = {
    "table": ({"kind": "table"}, WIDTH, {"table"}),
    "drawn_table": ({"kind": "drawn_table", "std": 0.02}, WIDTH, {"table"}),
    "alpharec": (MLP | {"activation": "leaky_relu"}, 12, LAYERS),
    "whitenrec_plus": (MLP | {"parts": [12, 12], "activation": "relu"}, 24, LAYERS),
    "llmemb": (MLP | {"activation": "identity"}, 12, LAYERS),
    "alphafuse": (FUSE, WIDTH, {"trained"}),
}


def build(name):
    description, dim, _ = KINDS[name]
    generator = torch.Generator().manual_seed(0)
    return build_item_encoder(random_matrix(dim), description, WIDTH, generator)


@pytest.mark.parametrize("method", REFINEMENTS)
def test_what_a_refinement_asks_for_can_be_built_of_its_vectors(method):
    matrix = F.pad(torch.from_numpy(refined_rows(method)).float(), (0, 0, 1, 0))
    description = json.loads(json.dumps(prepared(method).item_encoder))
    recommender = build_recommender(matrix, description, small_settings("sasrec"), 0)
    assert recommender.items().shape == (len(ROWS) + 1, WIDTH)
    assert torch.isfinite(recommender.items()).all()


@pytest.mark.parametrize("name", KINDS)
def test_some_rows_are_those_of_all_and_get_the_same_gradient(name):
    encoder, rows = build(name), torch.tensor([0, 3, 4, 17, 30])
    assert encoder().shape == (N_ITEMS + 1, WIDTH)
    weight = torch.randn(len(rows), WIDTH, generator=torch.Generator().manual_seed(2))
    weight[0] = 0  # nothing reads the padding
    torch.testing.assert_close(encoder(rows), encoder()[rows])
    result, expected = (
        torch.autograd.grad((some * weight).sum(), list(encoder.parameters()))
        for some in (encoder(rows), encoder()[rows])
    )
    torch.testing.assert_close(result, expected)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("model", BACKBONES)
def test_every_kind_trains_under_every_backbone_and_only_what_it_trains_moves(name, model):
    description, dim, trained = KINDS[name]
    settings, histories = small_settings(model), random_histories()
    recommender = build_recommender(random_matrix(dim), description, settings, 0)
    frozen = {k: v.clone() for k, v in recommender.named_buffers()}
    task = build_task(histories, settings, recommender.network, N_ITEMS)
    before = weights_as_arrays(recommender)
    own = {key.removeprefix("items.") for key in before if key.startswith("items.")}
    assert own == trained
    trainer = Trainer(recommender, task, settings.training, 0)
    for batch in task.batches(np.random.default_rng(0)):
        assert np.isfinite(trainer.step(batch))
    after = weights_as_arrays(recommender)
    assert all(not np.array_equal(before[key], after[key]) for key in before)
    assert all(torch.equal(value, frozen[key]) for key, value in recommender.named_buffers())
    assert (recommender.items()[0] == 0).all()


def test_a_table_starts_as_the_vectors_and_leaves_them_alone():
    matrix = random_matrix()
    encoder = build_item_encoder(matrix, {"kind": "table"}, WIDTH, torch.Generator())
    with torch.no_grad():
        encoder.table += 1
    torch.testing.assert_close(encoder(), matrix + 1)
    torch.testing.assert_close(matrix, random_matrix(), rtol=0, atol=0)


def test_a_drawn_table_is_normal_follows_the_seed_and_not_the_vectors():
    kind, settings = {"kind": "drawn_table", "std": 0.02}, small_settings("sasrec")
    wide = torch.zeros(4001, WIDTH)
    one, other = (build_recommender(wide, kind, settings, seed).items() for seed in (1, 2))
    assert (one[1:] != other[1:]).all()
    assert one[1:].std().item() == pytest.approx(0.02, rel=0.02)
    assert one[1:].mean().item() == pytest.approx(0.0, abs=0.0005)
    assert torch.equal(one, build_recommender(wide + 7, kind, settings, 1).items())


@pytest.mark.parametrize("name", ["alpharec", "whitenrec_plus", "llmemb"])
def test_a_shared_network_sums_what_it_makes_of_each_part(name):
    encoder, matrix = build(name), random_matrix(KINDS[name][1])
    for layer in (encoder.to_hidden, encoder.to_width):
        torch.nn.init.normal_(layer.bias, generator=torch.Generator().manual_seed(3))
    activation = {"alpharec": F.leaky_relu, "whitenrec_plus": F.relu, "llmemb": lambda x: x}[name]
    expected = torch.zeros(N_ITEMS, WIDTH)
    for part in matrix[1:].split(12, dim=1):
        hidden = activation(part @ encoder.to_hidden.weight.T + encoder.to_hidden.bias)
        expected = expected + hidden @ encoder.to_width.weight.T + encoder.to_width.bias
    torch.testing.assert_close(encoder()[1:], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["whitenrec_plus", "llmemb"])
def test_without_gradients_frozen_layers_hold_some_rows_at_a_time(name, monkeypatch):
    monkeypatch.setattr(recommender_module, "ROWS_AT_ONCE", 7)
    encoder, n_rows = build(name), []
    mapped = encoder._mapped
    monkeypatch.setattr(encoder, "_mapped", lambda part: n_rows.append(len(part)) or mapped(part))
    expected = encoder()
    assert set(n_rows) == {N_ITEMS}
    n_rows.clear()
    with torch.inference_mode():
        torch.testing.assert_close(encoder(), expected.detach())
    assert max(n_rows) <= 7


def test_the_trained_part_stands_on_the_last_columns_alone():
    encoder, matrix = build("alphafuse"), random_matrix()
    added = encoder() - matrix
    assert (added[:, :4] == 0).all()
    torch.testing.assert_close(added[:, 4:], encoder.trained)
    assert encoder.trained[1:].std().item() == pytest.approx(1.0, abs=0.2)


RELU = MLP | {"activation": "relu"}


@pytest.mark.parametrize(
    ("description", "dim", "message"),
    [
        ({"kind": "tabel"}, WIDTH, "item_encoder: .*'tabel'.*'drawn_table'"),
        ({}, WIDTH, "item_encoder: .*'kind'"),
        ({"kind": "table", "hidden": 3}, WIDTH, r"item_encoder\.table\.hidden: "),
        (RELU | {"activation": "tanh"}, 12, r"item_encoder\.mlp\.activation: "),
        (RELU, 13, r"equal dims, 13 in all, got \[12\]"),
        (RELU | {"parts": [12, 4]}, 16, r"equal dims, 16 in all, got \[12, 4\]"),
        ({"kind": "table"}, 9, "dim 8, got 9"),
        (RELU | {"width": 9}, 12, "dim 8, got 9"),
    ],
)
def test_descriptions_that_do_not_fit_are_refused(description, dim, message):
    with pytest.raises(InputError, match=message):
        build_item_encoder(random_matrix(dim), description, WIDTH, torch.Generator())
