import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ace_steps.backbones import item_encoders
from ace_steps.backbones.item_encoders import build_item_encoder
from ace_steps.backbones.recommender import build_recommender
from ace_steps.errors import InputError
from ace_steps.registry import BACKBONES
from ace_steps.training.loop import Trainer
from ace_steps.training.optimizers import weights_as_arrays
from ace_steps.training.tasks import build_task
from tests.training.made import N_ITEMS, WIDTH, random_histories, random_matrix, small_settings

MLP = {"kind": "mlp", "parts": [12], "hidden": 6, "width": WIDTH}
# What the refinements write: name, description, width of the vectors, what is trained.
KINDS = {
    "table": ({"kind": "table"}, WIDTH, {"table"}),
    "drawn_table": ({"kind": "drawn_table", "std": 0.02}, WIDTH, {"table"}),
    "alpharec": (MLP | {"activation": "leaky_relu"}, 12, "layers"),
    "whitenrec_plus": (MLP | {"parts": [12, 12], "activation": "relu"}, 24, "layers"),
    "llmemb": (MLP | {"activation": "identity"}, 12, "layers"),
    "alphafuse": (
        {"kind": "partly_trainable", "parts": [8], "width": 8, "trainable_last": 4, "std": 1.0},
        WIDTH,
        {"trained"},
    ),
}
LAYERS = {"to_hidden.weight", "to_hidden.bias", "to_width.weight", "to_width.bias"}


def build(name):
    description, width, _ = KINDS[name]
    generator = torch.Generator().manual_seed(0)
    return build_item_encoder(random_matrix(width), description, WIDTH, generator)


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_gives_vectors_of_the_backbones_width_and_a_zero_padding(name):
    vectors = build(name)()
    assert vectors.shape == (N_ITEMS + 1, WIDTH)
    assert (vectors[0] == 0).all()
    assert (vectors[1:] != 0).any(dim=1).all()


@pytest.mark.parametrize("name", KINDS)
def test_some_rows_are_those_of_all_and_get_the_same_gradient(name):
    encoder, rows = build(name), torch.tensor([0, 3, 4, 17, 30])
    weight = torch.randn(len(rows), WIDTH, generator=torch.Generator().manual_seed(2))
    weight[0] = 0  # nothing reads the padding
    torch.testing.assert_close(encoder(rows), encoder()[rows])
    found, wanted = (
        torch.autograd.grad((some * weight).sum(), list(encoder.parameters()))
        for some in (encoder(rows), encoder()[rows])
    )
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("model", BACKBONES)
def test_every_kind_trains_under_every_backbone_and_only_what_it_trains_moves(name, model):
    description, width, trained = KINDS[name]
    settings, histories = small_settings(model), random_histories()
    recommender = build_recommender(random_matrix(width), description, settings, 0)
    frozen = {k: v.clone() for k, v in recommender.named_buffers()}
    task = build_task(histories, settings, recommender.network, N_ITEMS)
    before = weights_as_arrays(recommender)
    own = {key.removeprefix("items.") for key in before if key.startswith("items.")}
    assert own == (LAYERS if trained == "layers" else trained)
    trainer = Trainer(recommender, task, settings.training, 0)
    for batch in task.batches(np.random.default_rng(0)):
        assert np.isfinite(trainer.step(batch))
    after = weights_as_arrays(recommender)
    assert all(not np.array_equal(before[key], after[key]) for key in before)
    assert all(torch.equal(value, frozen[key]) for key, value in recommender.named_buffers())
    assert (recommender.items()[0] == 0).all()


def test_a_shared_network_sums_what_it_makes_of_each_part():
    encoder, matrix = build("whitenrec_plus"), random_matrix(24)
    weights = {k: v.detach().double() for k, v in encoder.named_parameters()}
    total = torch.zeros(N_ITEMS, WIDTH, dtype=torch.double)
    for part in (matrix[1:, :12].double(), matrix[1:, 12:].double()):
        hidden = F.relu(part @ weights["to_hidden.weight"].T + weights["to_hidden.bias"])
        total += hidden @ weights["to_width.weight"].T + weights["to_width.bias"]
    torch.testing.assert_close(encoder()[1:].double(), total, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["alpharec", "whitenrec_plus", "llmemb"])
def test_without_gradients_frozen_layers_hold_some_rows_at_a_time(name, monkeypatch):
    monkeypatch.setattr(item_encoders, "ROWS_AT_ONCE", 7)
    encoder, n_rows = build(name), []
    mapped = encoder._mapped
    monkeypatch.setattr(encoder, "_mapped", lambda part: n_rows.append(len(part)) or mapped(part))
    wanted = encoder()
    assert set(n_rows) == {N_ITEMS}
    n_rows.clear()
    with torch.inference_mode():
        found = encoder()
    torch.testing.assert_close(found, wanted.detach())
    assert max(n_rows) <= 7


def test_the_identity_gives_what_one_layer_after_the_other_gives_and_the_same_gradients():
    encoder, matrix = build("llmemb"), random_matrix(12)[1:]
    for layer in (encoder.to_hidden, encoder.to_width):
        torch.nn.init.normal_(layer.bias, generator=torch.Generator().manual_seed(3))
    found, wanted = encoder()[1:], encoder.to_width(encoder.to_hidden(matrix))
    torch.testing.assert_close(found, wanted)
    weight = torch.randn(found.shape, generator=torch.Generator().manual_seed(4))
    gradients = (
        torch.autograd.grad((vectors * weight).sum(), list(encoder.parameters()))
        for vectors in (found, wanted)
    )
    torch.testing.assert_close(*gradients)


def test_the_trained_part_stands_on_the_last_columns_alone():
    encoder, matrix = build("alphafuse"), random_matrix()
    added = encoder() - matrix
    assert (added[:, :4] == 0).all()
    torch.testing.assert_close(added[:, 4:], encoder.trained)
    assert encoder.trained[1:].std().item() == pytest.approx(1.0, abs=0.2)


REFUSED = {
    "an unknown kind": ({"kind": "tabel"}, WIDTH, "unknown item encoder 'tabel'; did you mean"),
    "no kind": ({}, WIDTH, "unknown item encoder 'None'"),
    "a key too many": ({"kind": "table", "hidden": 3}, WIDTH, "item encoder 'table': hidden"),
    "parts that do not fill the vectors": (
        MLP | {"activation": "relu"},
        13,
        "dim 12.*got 13",
    ),
    "parts of different widths": (
        MLP | {"parts": [12, 4], "activation": "relu"},
        16,
        r"parts of different widths \[12, 4\] share no MLP",
    ),
    "an unknown activation": (MLP | {"activation": "tanh"}, 12, "item encoder 'mlp': activation"),
    "another width than the backbone's": ({"kind": "table"}, 9, "dim 8, got 9"),
    "more trained columns than there are": (
        KINDS["alphafuse"][0] | {"trainable_last": 9},
        WIDTH,
        "9 trainable columns of 8",
    ),
}


@pytest.mark.parametrize(("description", "width", "message"), REFUSED.values(), ids=REFUSED)
def test_descriptions_that_do_not_fit_are_refused(description, width, message):
    with pytest.raises(InputError, match=message):
        build_item_encoder(random_matrix(width), description, WIDTH, torch.Generator())


def test_a_drawn_table_is_normal_follows_the_seed_and_not_the_vectors():
    kind, settings = {"kind": "drawn_table", "std": 0.02}, small_settings("sasrec")
    wide = torch.zeros(4001, WIDTH)
    one, other = (build_recommender(wide, kind, settings, seed).items() for seed in (1, 2))
    assert (one[1:] != other[1:]).all()
    assert one[1:].std().item() == pytest.approx(0.02, rel=0.02)
    assert one[1:].mean().item() == pytest.approx(0.0, abs=0.0005)
    again = build_recommender(wide + 7, kind, settings, 1).items()
    assert torch.equal(one, again)
