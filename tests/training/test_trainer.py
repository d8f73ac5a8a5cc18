"""One step of training: its loss, its gradients, on every device."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ace_steps.backbones.recommender import build_recommender
from ace_steps.io.tables import PADDING
from ace_steps.registry import BACKBONES
from ace_steps.training.loop import Trainer
from ace_steps.training.objectives import NegativeSampler, sampled_softmax
from ace_steps.training.tasks import build_task
from tests.training.made import (
    MLP,
    N_ITEMS,
    TABLE,
    OneARow,
    random_histories,
    random_matrix,
    small_settings,
)

pytestmark = pytest.mark.usefixtures("bfloat16_everywhere")


@pytest.mark.parametrize("model", BACKBONES)
def test_the_loss_of_a_step_is_that_of_a_plain_oracle(model):
    """One window at a time and without padding, every logit at once in float64; dropout off."""
    settings, histories = small_settings(model, batch_size=64), random_histories()
    recommender = build_recommender(random_matrix(), TABLE, settings, 0).eval()
    network, items = recommender.network, recommender.items()
    scored = network.scored_items(items)[1:].double()
    task, plain = (build_task(histories, settings, each, N_ITEMS) for each in (network, OneARow()))
    batch, alone = (next(each.batches(np.random.default_rng(0))) for each in (task, plain))
    losses, targets = [], iter(alone.targets)
    for block in alone.blocks:
        for row, place in (divmod(int(at), block.history.shape[1]) for at in block.trained):
            history = block.history[row][block.history[row] != PADDING]
            logits = scored @ network(history[None], items, None)[0, place].double()
            losses.append(F.cross_entropy(logits, next(targets) - 1).item())
    assert any(block.packing is not None for block in batch.blocks) == network.can_pack
    found = Trainer(recommender, task, settings.training, 0).step(batch)
    assert found == pytest.approx(np.mean(losses), rel=1e-5)


@pytest.mark.parametrize("items", [TABLE, MLP], ids=["table", "mlp"])
@pytest.mark.parametrize("model", BACKBONES)
def test_a_sampled_step_encodes_few_items_and_changes_nothing_else(model, items):
    settings = small_settings(model, dropout=0.0, batch_size=1)
    histories = random_histories()
    recommender = build_recommender(random_matrix(), items, settings, 0).eval()
    task = build_task(histories, settings, recommender.network, N_ITEMS)
    batch, counts = next(task.batches(np.random.default_rng(0))), histories.train_counts(N_ITEMS)
    own = Trainer(recommender, task, settings.training, 0)
    negatives = NegativeSampler(counts, 5, seed=3).draw(own.device)
    wanted = sampled_softmax(*own.queries(batch), batch.targets, negatives)
    gradients = torch.autograd.grad(wanted, list(recommender.parameters()))
    encoded = []
    recommender.items.register_forward_hook(lambda _, __, vectors: encoded.append(len(vectors)))
    found = own.step(batch, NegativeSampler(counts, 5, seed=3))
    assert encoded[0] <= N_ITEMS
    assert found == pytest.approx(wanted.item(), rel=1e-5)
    for parameter, gradient in zip(recommender.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("model", BACKBONES)
def test_a_step_on_a_gpu_has_nearly_the_loss_of_one_on_the_cpu(model, precision):
    settings, histories, losses = small_settings(model, precision=precision), random_histories(), []
    for device in ("cpu", "cuda"):
        recommender = build_recommender(random_matrix(), TABLE, settings, 0).eval().to(device)
        task = build_task(histories, settings, recommender.network, N_ITEMS)
        batch = next(task.batches(np.random.default_rng(0))).to(torch.device(device))
        losses.append(Trainer(recommender, task, settings.training, 0).step(batch))
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
