"""Training at the size of real work, on two threads: the same bytes, time after time."""

import json

import numpy as np
import pytest
import torch

from ace_steps.backbones.recommender import build_recommender
from ace_steps.backbones.registry import parse_backbone
from ace_steps.training.loop import Trainer
from ace_steps.training.optimizers import weights_as_arrays
from ace_steps.training.tasks import build_task
from tests.training.made import N_ITEMS, TABLE, random_histories, random_matrix, settings_json

WIDE = {"dim": 128, "max_length": 20}  # torch splits a sum among threads from 32,768 entries on
ALPHAFUSE = {"kind": "partly_trainable", "parts": [128], "width": 128}
ALPHAFUSE |= {"trainable_last": 64, "std": 1.0}
MLP = {"kind": "mlp", "parts": [128], "hidden": 256, "width": 128, "activation": "leaky_relu"}


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def trained(model, items, negatives):
    """The weights after a few steps of 128 histories."""
    asked = json.loads(settings_json(model, num_negatives=negatives, batch_size=128))
    settings = parse_backbone(json.dumps(asked | WIDE), "settings")
    histories = random_histories(n_users=384)
    recommender = build_recommender(random_matrix(128), items, settings, 0)
    task = build_task(histories, settings, recommender.network, N_ITEMS)
    trainer = Trainer(recommender, task, settings.training, 0)
    sampler = trainer.sampler(1)
    torch.manual_seed(0)
    for batch in task.batches(np.random.default_rng(0)):
        trainer.step(batch, sampler)
    return weights_as_arrays(recommender)


@pytest.mark.parametrize("negatives", [0, 512], ids=["full", "sampled"])
@pytest.mark.parametrize("items", [TABLE, ALPHAFUSE, MLP], ids=["table", "alphafuse", "mlp"])
@pytest.mark.parametrize("model", ["sasrec", "bert4rec", "gru4rec"])
def test_two_threads_give_the_same_bytes_every_time(model, items, negatives):
    first = trained(model, items, negatives)
    for _ in range(3):
        again = trained(model, items, negatives)
        assert all(np.array_equal(first[name], again[name]) for name in first)
