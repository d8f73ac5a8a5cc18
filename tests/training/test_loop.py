import copy
import logging
import math

import numpy as np
import pytest
import torch

from ace_steps.backbones.recommender import build_recommender
from ace_steps.errors import InputError
from ace_steps.evaluation.metrics import mean_metric
from ace_steps.evaluation.ranking import rank_targets
from ace_steps.io.provenance import Provenance
from ace_steps.registry import BACKBONES
from ace_steps.sequences.histories import held_out, read_histories
from ace_steps.training import loop
from ace_steps.training.checkpoints import TrainingState, read_state, write_state
from ace_steps.training.loop import Trainer, train
from ace_steps.training.optimizers import (
    load_weights,
    rate_of_step,
    weights_as_arrays,
)
from ace_steps.training.tasks import build_task
from tests.training.made import (
    MLP,
    N_ITEMS,
    PARTLY,
    TABLE,
    interactions_of,
    random_histories,
    random_matrix,
    small_settings,
)

pytestmark = pytest.mark.usefixtures("bfloat16_everywhere")


def run(model="sasrec", *, seed=0, state=None, keep=lambda state: None, items=TABLE, **training):
    """Train a small recommender; its final state and itself."""
    settings, histories = small_settings(model, **training), random_histories()
    recommender = build_recommender(random_matrix(), items, settings, seed)
    task = build_task(histories, settings, recommender.network, N_ITEMS)
    state = train(
        recommender,
        histories,
        task,
        settings=settings,
        seed=seed,
        state=state or TrainingState(),
        keep=keep,
    )
    return state, recommender


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize("model", BACKBONES)
def test_training_lowers_the_loss_and_finds_the_pattern(model):
    # BERT4Rec trains a fifth of the targets in an epoch
    n_epochs = 25 if BACKBONES[model].implementation().is_causal else 60
    state, recommender = run(model, dropout=0.1, epochs=n_epochs, patience=n_epochs)
    assert state.curve[-1]["loss"] < 0.9 * state.curve[0]["loss"]
    histories = random_histories()
    recommender.eval()
    ranks = rank_targets(
        recommender,
        histories,
        held_out(histories, "valid"),
        tie_policy="expected",
        mask_seen=False,
    ).rank
    assert mean_metric(ranks, "recall", 5) > 2 * 5 / 30  # twice what guessing reaches


@pytest.mark.parametrize("model", BACKBONES)
def test_the_same_seed_trains_the_same_bytes_and_another_seed_others(model):
    one, again, other = (run(model, seed=seed, epochs=2)[0] for seed in (0, 0, 1))
    assert same(one.weights, again.weights)
    assert same(one.best_weights, again.best_weights)
    assert not same(one.weights, other.weights)


@pytest.mark.parametrize("model", BACKBONES)
@pytest.mark.parametrize("items", [TABLE, MLP, PARTLY], ids=["table", "mlp", "partly"])
@pytest.mark.parametrize("n_done", [1, 3])
def test_a_training_resumed_from_its_file_ends_with_the_bytes_of_an_unbroken_one(
    model, items, n_done, tmp_path
):
    note = Provenance(step="test", settings={"model": model})

    def keep(state):
        write_state(tmp_path / str(len(state.curve)), state, note)

    unbroken, _ = run(model, items=items, keep=keep)
    resumed, _ = run(model, items=items, state=read_state(tmp_path / str(n_done), note))
    assert len(unbroken.curve) > n_done
    assert same(resumed.weights, unbroken.weights)
    assert same(resumed.optimizer, unbroken.optimizer)
    assert same(resumed.best_weights, unbroken.best_weights)
    for name in ("loss", "value", "valid_recall_20"):
        assert [row[name] for row in resumed.curve] == [row[name] for row in unbroken.curve]


@pytest.mark.parametrize("model", BACKBONES)
def test_gradients_reach_every_parameter_and_the_padding_stays_zero(model):
    state, recommender = run(model, epochs=1)
    before = weights_as_arrays(build_recommender(random_matrix(), TABLE, small_settings(model), 0))
    assert all(not np.array_equal(before[name], state.weights[name]) for name in before)
    assert (recommender.items()[0] == 0).all()


@pytest.mark.parametrize("changed", [{"num_negatives": 20}, {"precision": "bfloat16"}])
def test_other_objectives_find_the_pattern_too_and_resume(changed):
    kept = []
    state, _ = run(epochs=12, patience=12, **changed, keep=lambda s: kept.append(copy.deepcopy(s)))
    assert state.curve[-1]["loss"] < 0.9 * state.curve[0]["loss"]
    resumed, _ = run(epochs=12, patience=12, **changed, state=kept[7])
    assert same(resumed.weights, state.weights)


@pytest.mark.parametrize("items", [TABLE, MLP], ids=["table", "mlp"])
@pytest.mark.parametrize("model", BACKBONES)
def test_bfloat16_trains_every_backbone_to_nearly_the_same_loss(model, items):
    half, whole = (
        run(model, items=items, dropout=0.0, precision=precision, epochs=2)[0].curve[-1]["loss"]
        for precision in ("bfloat16", "float32")
    )
    assert half != whole
    assert half == pytest.approx(whole, rel=0.05)  # attention dropout is drawn alike in both


def test_training_stops_when_the_metric_no_longer_improves(monkeypatch):
    values = iter([0.1, 0.3, 0.3, 0.2, 0.25, 0.9])
    monkeypatch.setattr(loop, "_validate", lambda *_: {"value": next(values)})
    state, _ = run(epochs=10, patience=3)
    assert (len(state.curve), state.best_epoch) == (5, 2)  # an equal value is no improvement


def test_the_best_weights_are_those_of_the_best_epoch(monkeypatch):
    values = iter([0.1, 0.3, 0.2])
    monkeypatch.setattr(loop, "_validate", lambda *_: {"value": next(values)})
    kept = []
    state, _ = run(epochs=3, keep=lambda state: kept.append(copy.deepcopy(state.weights)))
    assert same(state.best_weights, kept[1])
    assert not same(state.best_weights, state.weights)


def test_a_loss_that_is_not_finite_stops_at_once_and_names_the_epoch_and_the_step(monkeypatch):
    calls, kept = iter(range(100)), []
    honest = loop.full_softmax

    def breaks(queries, items, targets):
        factor = math.nan if next(calls) == 14 else 1.0  # an epoch has 12 steps
        return honest(queries, items, targets) * factor

    monkeypatch.setattr(loop, "full_softmax", breaks)
    with pytest.raises(InputError, match=r"epoch 2, step 3 of 12: the loss is nan.* 1 is kept\.$"):
        run(keep=lambda state: kept.append(len(state.curve)))
    assert kept == [1]  # the state of the last good epoch


def test_an_update_that_ruins_the_weights_names_the_last_step_of_its_epoch():
    # the loss before the only step is finite; the weights after it are not
    with pytest.raises(InputError, match="not finite") as refusal:
        run(lr=1e30, batch_size=10_000)
    assert str(refusal.value) == (
        "epoch 1, step 1 of 1: the weights give scores that are not finite; they cannot be ranked; "
        "lower lr (now 1e+30) or raise warmup_steps."
    )


def test_every_epoch_is_told_with_its_speed_and_the_time_that_is_left(monkeypatch, caplog):
    values = iter([0.3, 0.1, 0.2, 0.25])
    monkeypatch.setattr(loop, "_validate", lambda *_: {"value": next(values)})
    row = {"loss": 2.5, "seconds": 10.0, "targets_per_s": 1234.4}
    monkeypatch.setattr(Trainer, "train_epoch", lambda self, epoch: {"epoch": epoch, **row})
    with caplog.at_level(logging.INFO):
        run(epochs=9, patience=3)
    assert caplog.messages[1] == (
        "epoch 2: loss 2.5000, ndcg@10 0.1000 (best 0.3000 in epoch 1), 10.0 s, 1234 targets/s; "
        "20 s left unless it improves"
    )
    assert len(caplog.messages) == 4


@pytest.mark.parametrize(("metric", "cutoff"), [("recall", 5), ("mrr", 20), ("ndcg", 50)])
def test_the_metric_and_cutoff_of_the_settings_decide_which_epoch_is_best(metric, cutoff):
    kept = []
    state, recommender = run(
        metric=metric, cutoff=cutoff, epochs=6, keep=lambda s: kept.append(copy.deepcopy(s.weights))
    )
    histories, values = random_histories(), []
    for weights in kept:
        load_weights(recommender, weights)
        recommender.eval()
        targets = held_out(histories, "valid")
        ranks = rank_targets(
            recommender, histories, targets, tie_policy="expected", mask_seen=False
        ).rank
        values.append(mean_metric(ranks, metric, cutoff))
    assert [row["value"] for row in state.curve] == pytest.approx(values)
    assert state.best_epoch == 1 + int(np.argmax(values))


def test_training_without_a_validation_target_is_refused():
    histories = read_histories(interactions_of([[1, 2], [3, 4]]), 30)
    settings = small_settings()
    recommender = build_recommender(random_matrix(), TABLE, settings, 0)
    task = build_task(histories, settings, recommender.network, N_ITEMS)
    with pytest.raises(InputError, match="no validation item, so nothing can stop the training"):
        train(
            recommender,
            histories,
            task,
            settings=settings,
            seed=0,
            state=TrainingState(),
            keep=lambda state: None,
        )


def test_training_leaves_the_global_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    run(epochs=1)
    assert torch.equal(torch.rand(1), expected)


def test_every_step_of_a_training_has_the_rate_of_its_place(monkeypatch):
    rates = []
    monkeypatch.setattr(loop, "set_rate", lambda _, rate: rates.append(rate))
    settings = {"lr": 0.4, "warmup_steps": 5, "lr_schedule": "linear", "epochs": 3, "patience": 3}
    run(**settings)
    training = small_settings(**settings).training
    assert rates == [rate_of_step(training, step, 36) for step in range(1, 37)]


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_weight_decay_shrinks_matrices_and_spares_biases_and_norms(optimizer):
    plain, decayed = (
        run(optimizer=optimizer, weight_decay=decay, epochs=2)[0].weights for decay in (0.0, 0.3)
    )
    size = {name: np.abs(decayed[name]).sum() / np.abs(plain[name]).sum() for name in plain}
    assert size["items.table"] < 0.95
    assert size["network.input_norm.weight"] == pytest.approx(1, abs=0.1)


def test_weights_load_into_the_model_they_came_from_and_no_other():
    _, recommender = run(epochs=1)
    arrays = weights_as_arrays(recommender)
    fresh = build_recommender(random_matrix(), TABLE, small_settings(), 7)
    load_weights(fresh, arrays)
    assert same(weights_as_arrays(fresh), arrays)
    with pytest.raises(InputError, match="'another' is no parameter"):
        load_weights(fresh, {**arrays, "another": np.zeros(1)})
    with pytest.raises(InputError, match=r"'items\.table' is missing"):
        load_weights(fresh, {k: v for k, v in arrays.items() if k != "items.table"})
    with pytest.raises(InputError, match=r"'items\.table': expected shape \(31, 8\), got \(2, 2\)"):
        load_weights(fresh, {**arrays, "items.table": np.zeros((2, 2))})
