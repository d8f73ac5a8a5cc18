import copy
import json
import math
from itertools import chain

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ace_steps.backbones.recommender import build_recommender
from ace_steps.backbones.settings import parse_backbone
from ace_steps.errors import InputError
from ace_steps.evaluation.metrics import mean_metric
from ace_steps.evaluation.ranking import rank_targets
from ace_steps.io.provenance import Provenance
from ace_steps.io.tables import PADDING
from ace_steps.registry import BACKBONES
from ace_steps.sequences.histories import held_out, read_histories
from ace_steps.training import loop
from ace_steps.training.checkpoints import TrainingState, read_state, write_state
from ace_steps.training.loop import Trainer, train
from ace_steps.training.objectives import NegativeSampler, sampled_softmax
from ace_steps.training.optimizers import load_weights, rate_of_step, weights_as_arrays
from ace_steps.training.tasks import build_task
from tests.training.made import (
    MLP,
    N_ITEMS,
    PARTLY,
    TABLE,
    OneARow,
    interactions_of,
    random_histories,
    random_matrix,
    settings_json,
    small_settings,
)

pytestmark = pytest.mark.usefixtures("bfloat16_everywhere")


def built(model="sasrec", *, seed=0, items=TABLE, **settings):
    """Settings, histories, a small recommender and its task."""
    settings, histories = small_settings(model, **settings), random_histories()
    recommender = build_recommender(random_matrix(), items, settings, seed)
    task = build_task(histories, settings, recommender.network, N_ITEMS)
    return settings, histories, recommender, task


def run(model="sasrec", *, seed=0, state=None, keep=lambda state: None, **changes):
    """Train a small recommender; its final state and itself."""
    settings, histories, recommender, task = built(model, seed=seed, **changes)
    options = {"settings": settings, "seed": seed, "state": state or TrainingState(), "keep": keep}
    return train(recommender, histories, task, **options), recommender


def validation_ranks(recommender):
    recommender.eval()
    histories = random_histories()
    targets = held_out(histories, "valid")
    return rank_targets(
        recommender, histories, targets, tie_policy="expected", mask_seen=False
    ).rank


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


LEARNED = {  # settings, and the recall@5 that guessing among 30 items does not reach
    "sasrec": ("sasrec", {}, 0.5),
    "sasrec, sampled": ("sasrec", {"num_negatives": 20}, 0.5),
    "sasrec, bfloat16": ("sasrec", {"precision": "bfloat16"}, 0.5),
    "gru4rec": ("gru4rec", {}, 0.5),
    "bert4rec": ("bert4rec", {"lr": 0.01, "epochs": 20}, 0.2),  # trains a fifth of the targets
}


@pytest.mark.parametrize(("model", "settings", "recall"), LEARNED.values(), ids=LEARNED)
def test_training_lowers_the_loss_and_finds_the_pattern(model, settings, recall):
    options = {"lr": 0.02, "epochs": 3, "patience": 20, "dropout": 0.1} | settings
    state, recommender = run(model, **options)
    assert state.curve[-1]["loss"] < 0.9 * state.curve[0]["loss"]
    assert mean_metric(validation_ranks(recommender), "recall", 5) > recall


@pytest.mark.parametrize("model", BACKBONES)
def test_every_parameter_moves_as_the_seed_says_and_the_padding_stays_zero(model):
    (one, recommender), (again, _), (other, _) = (run(model, seed=s, epochs=1) for s in (0, 0, 1))
    before = weights_as_arrays(build_recommender(random_matrix(), TABLE, small_settings(model), 0))
    assert all(not np.array_equal(before[name], one.weights[name]) for name in before)
    assert (recommender.items()[0] == 0).all()
    assert same(one.weights, again.weights)
    assert not same(one.weights, other.weights)


RESUMED = {
    "sasrec": ("sasrec", TABLE, {}),
    "sasrec, sampled": ("sasrec", PARTLY, {"num_negatives": 20}),
    "gru4rec": ("gru4rec", MLP, {}),
    "bert4rec, bfloat16": ("bert4rec", PARTLY, {"precision": "bfloat16"}),
}


@pytest.mark.parametrize(("model", "items", "settings"), RESUMED.values(), ids=RESUMED)
def test_a_training_resumed_from_its_file_ends_with_the_bytes_of_an_unbroken_one(
    model, items, settings, tmp_path
):
    note = Provenance(step="test", settings={"model": model})

    def keep(state):
        if len(state.curve) == 2:
            write_state(tmp_path, state, note)

    unbroken, _ = run(model, items=items, keep=keep, **settings)
    resumed, _ = run(model, items=items, state=read_state(tmp_path, note), **settings)
    assert len(unbroken.curve) == len(resumed.curve) > 2
    for part in ("weights", "optimizer", "best_weights"):
        assert same(getattr(resumed, part), getattr(unbroken, part)), part
    for name in ("loss", "value", "valid_recall_20"):
        assert [row[name] for row in resumed.curve] == [row[name] for row in unbroken.curve]


@pytest.mark.parametrize(
    ("model", "items"), [("sasrec", MLP), ("gru4rec", TABLE), ("bert4rec", PARTLY)]
)
def test_bfloat16_trains_every_backbone_to_nearly_the_same_loss(model, items):
    half, whole = (
        run(model, items=items, dropout=0.0, precision=precision, epochs=2)[0].curve[-1]["loss"]
        for precision in ("bfloat16", "float32")
    )
    assert half != whole
    assert half == pytest.approx(whole, rel=0.05)  # attention dropout is drawn alike in both


def test_training_stops_when_the_metric_stands_still_and_keeps_the_best_weights(
    monkeypatch, caplog
):
    values, kept = iter([0.1, 0.3, 0.3, 0.2, 0.25, 0.9]), []
    monkeypatch.setattr(loop, "_validate", lambda *_: {"value": next(values)})
    with caplog.at_level("INFO"):
        state, _ = run(epochs=10, patience=3, keep=lambda s: kept.append(copy.deepcopy(s.weights)))
    assert (len(state.curve), state.best_epoch) == (5, 2)  # an equal value is no improvement
    assert same(state.best_weights, kept[1])
    assert not same(state.best_weights, state.weights)
    assert "ndcg@10 0.2000 (best 0.3000 in epoch 2)" in caplog.messages[3]


def test_an_epochs_log_says_how_long_the_training_takes_at_most_unless_it_improves(caplog):
    row = {"loss": 2.5, "value": 0.3, "seconds": 10.0, "targets_per_s": 1234.4}
    state = TrainingState(curve=[row, row | {"value": 0.1}])
    with caplog.at_level("INFO"):
        loop._log_epoch(state, small_settings(epochs=9, patience=3).training, 11.0)
    assert "22 s left" in caplog.text  # of the patience two epochs are left


def test_a_loss_that_is_not_finite_stops_at_once_and_names_the_epoch_and_the_step(monkeypatch):
    calls, kept = iter(range(100)), []
    honest = loop.full_softmax

    def breaks(queries, items, targets):
        factor = math.nan if next(calls) == 14 else 1.0  # an epoch has 12 steps
        return honest(queries, items, targets) * factor

    monkeypatch.setattr(loop, "full_softmax", breaks)
    with pytest.raises(InputError, match=r"epoch 2: step 3 of 12: the loss is nan.* 1 is kept\.$"):
        run(keep=lambda state: kept.append(len(state.curve)))
    assert kept == [1]  # the state of the last good epoch


def test_a_loss_that_is_not_finite_changes_no_weight(monkeypatch):
    monkeypatch.setattr(loop, "full_softmax", lambda queries, *_: queries.sum() * math.nan)
    settings, _, recommender, task = built()
    before = weights_as_arrays(recommender)
    batch = next(task.batches(np.random.default_rng(0)))
    assert math.isnan(Trainer(recommender, task, settings.training, 0).step(batch))
    assert same(weights_as_arrays(recommender), before)


def test_the_loss_of_an_epoch_is_the_mean_over_its_targets(monkeypatch):
    sizes = []
    monkeypatch.setattr(
        Trainer, "step", lambda _, batch, __: sizes.append(len(batch.targets)) or float(len(sizes))
    )
    settings, _, recommender, task = built()
    row = Trainer(recommender, task, settings.training, 0).train_epoch(1)
    assert row["loss"] == pytest.approx(np.average(range(1, len(sizes) + 1), weights=sizes))


def test_an_update_that_ruins_the_weights_names_its_epoch_and_the_remedy():
    # the loss before the only step is finite; the weights after it are not
    with pytest.raises(InputError, match=r"epoch 1: .*not finite.*lower lr \(now 1e\+30"):
        run(lr=1e30, batch_size=10_000)


def test_the_metric_and_cutoff_of_the_settings_decide_which_epoch_is_best():
    kept, values = [], []
    state, recommender = run(
        metric="mrr", cutoff=20, epochs=4, keep=lambda s: kept.append(copy.deepcopy(s.weights))
    )
    for weights in kept:
        load_weights(recommender, weights)
        values.append(mean_metric(validation_ranks(recommender), "mrr", 20))
    assert [row["value"] for row in state.curve] == pytest.approx(values)
    assert state.best_epoch == 1 + int(np.argmax(values))


def test_training_without_a_validation_target_is_refused():
    settings, _, recommender, task = built()
    histories = read_histories(interactions_of([[1, 2], [3, 4]]), 30)
    options = {"settings": settings, "seed": 0, "state": TrainingState(), "keep": print}
    with pytest.raises(InputError, match="no validation item, so nothing can stop the training"):
        train(recommender, histories, task, **options)


@pytest.mark.parametrize("model", ["sasrec", "bert4rec"])
def test_every_epoch_has_an_order_of_its_own_that_follows_from_seed_and_epoch(model, monkeypatch):
    steps = []
    monkeypatch.setattr(Trainer, "step", lambda _, batch, __: steps.append(batch) or 1.0)

    def windows_of(epoch, seed=0):
        """Each step's (item, target) pairs, wherever its blocks put them."""
        settings, _, recommender, task = built(model, seed=seed, train_targets="last")
        Trainer(recommender, task, settings.training, seed).train_epoch(epoch)
        order = [sorted(batch.targets.tolist()) for batch in steps]
        steps.clear()
        return order

    first, second = windows_of(1), windows_of(2)
    assert first != second
    assert sorted(chain(*first)) == sorted(chain(*second))  # one target a user in every epoch
    assert first == windows_of(1)
    assert first != windows_of(1, seed=1)


def test_every_epoch_has_dropout_of_its_own(monkeypatch):
    draws = []
    monkeypatch.setattr(Trainer, "step", lambda *_: draws.append(torch.rand(1).item()) or 1.0)
    settings, _, recommender, task = built(batch_size=10_000)  # one step an epoch
    trainer = Trainer(recommender, task, settings.training, 0)
    for epoch in (1, 2, 1):
        trainer.train_epoch(epoch)
    assert draws[0] == draws[2] != draws[1]


def test_every_epoch_draws_its_own_negatives():
    settings, _, recommender, task = built(num_negatives=9)
    trainer = Trainer(recommender, task, settings.training, 0)
    draws = [trainer.sampler(epoch).draw(trainer.device).items.tolist() for epoch in (1, 2, 1)]
    assert draws[0] == draws[2] != draws[1]


def test_training_leaves_the_global_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    run(epochs=1)
    assert torch.equal(torch.rand(1), expected)


def test_every_step_of_a_training_has_the_rate_of_its_number(monkeypatch):
    rates = []
    monkeypatch.setattr(loop, "set_rate", lambda _, rate: rates.append(rate))
    settings = {"lr": 0.4, "warmup_steps": 5, "lr_schedule": "linear", "epochs": 2, "patience": 2}
    run(**settings)
    training = small_settings(**settings).training
    assert rates == [rate_of_step(training, step, 24) for step in range(1, 25)]


@pytest.mark.parametrize("model", BACKBONES)
def test_the_loss_of_a_step_is_that_of_a_plain_oracle(model):
    """One window at a time and without padding, every logit at once in float64; dropout off."""
    settings, histories, recommender, task = built(model, batch_size=64)
    recommender.eval()
    network, items = recommender.network, recommender.items()
    scored = network.scored_items(items)[1:].double()
    plain = build_task(histories, settings, OneARow(), N_ITEMS)
    batch, alone = (next(each.batches(np.random.default_rng(0))) for each in (task, plain))
    losses, targets = [], iter(alone.targets)
    for block in alone.blocks:
        for row, position in (divmod(int(at), block.history.shape[1]) for at in block.trained):
            history = block.history[row][block.history[row] != PADDING]
            logits = scored @ network(history[None], items, None)[0, position].double()
            losses.append(F.cross_entropy(logits, next(targets) - 1).item())
    assert any(block.packing is not None for block in batch.blocks) == network.can_pack
    loss = Trainer(recommender, task, settings.training, 0).step(batch)
    assert loss == pytest.approx(np.mean(losses), rel=1e-5)


@pytest.mark.parametrize(
    ("model", "items"), [("sasrec", MLP), ("gru4rec", TABLE), ("bert4rec", TABLE)]
)
def test_a_sampled_step_encodes_few_items_and_changes_nothing_else(model, items):
    settings, histories, recommender, task = built(model, items=items, dropout=0.0, batch_size=1)
    recommender.eval()
    batch, counts = next(task.batches(np.random.default_rng(0))), histories.train_counts(N_ITEMS)
    trainer = Trainer(recommender, task, settings.training, 0)
    negatives = NegativeSampler(counts, 5, seed=3).draw(trainer.device)
    expected = sampled_softmax(*trainer.queries(batch), batch.targets, negatives)
    gradients = torch.autograd.grad(expected, list(recommender.parameters()))
    encoded = []
    recommender.items.register_forward_hook(lambda _, __, vectors: encoded.append(len(vectors)))
    loss = trainer.step(batch, NegativeSampler(counts, 5, seed=3))
    assert encoded[0] <= N_ITEMS
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    for parameter, gradient in zip(recommender.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("model", BACKBONES)
def test_a_step_on_a_gpu_has_nearly_the_loss_of_one_on_the_cpu(model, precision):
    losses = []
    for device in ("cpu", "cuda"):
        settings, _, recommender, task = built(model, precision=precision)
        recommender.eval().to(device)
        batch = next(task.batches(np.random.default_rng(0))).to(torch.device(device))
        losses.append(Trainer(recommender, task, settings.training, 0).step(batch))
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


WIDE = {"dim": 128, "max_length": 20}  # torch splits a sum among threads from 32,768 entries on
ALPHAFUSE = {"kind": "partly_trainable", "parts": [128], "width": 128}
ALPHAFUSE |= {"trainable_last": 64, "std": 1.0}
WIDE_MLP = {"kind": "mlp", "parts": [128], "hidden": 256, "width": 128, "activation": "leaky_relu"}


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def weights_of(model, items, negatives):
    """The weights after a few steps of 128 histories."""
    options = json.loads(settings_json(model, num_negatives=negatives, batch_size=128))
    settings = parse_backbone(json.dumps(options | WIDE), "settings")
    histories = random_histories(n_users=384)
    recommender = build_recommender(random_matrix(128), items, settings, 0)
    task = build_task(histories, settings, recommender.network, N_ITEMS)
    trainer = Trainer(recommender, task, settings.training, 0)
    sampler = trainer.sampler(1)
    torch.manual_seed(0)
    for batch in task.batches(np.random.default_rng(0)):
        trainer.step(batch, sampler)
    return weights_as_arrays(recommender)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(
    ("model", "items", "negatives"),
    [
        ("sasrec", TABLE, 0),
        ("sasrec", ALPHAFUSE, 512),
        ("gru4rec", ALPHAFUSE, 0),
        ("bert4rec", WIDE_MLP, 512),
    ],
)
def test_two_threads_give_the_same_bytes_every_time(model, items, negatives):
    first = weights_of(model, items, negatives)
    assert all(same(weights_of(model, items, negatives), first) for _ in range(2))
