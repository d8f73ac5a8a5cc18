"""Every refinement with every backbone, from its rows through a file of weights to scores."""

import json

import numpy as np
import pytest
import torch

from ace_steps.backbones.item_encoders import ITEM_ENCODERS
from ace_steps.backbones.recommender import build_recommender
from ace_steps.io.provenance import Provenance
from ace_steps.io.tensors import read_tensors, write_tensors
from ace_steps.registry import BACKBONES, REFINEMENTS
from ace_steps.training.loop import Trainer
from ace_steps.training.objectives import full_softmax
from ace_steps.training.optimizers import load_weights, weights_as_arrays
from ace_steps.training.tasks import build_task
from tests.refine.builders import item_vectors, unit
from tests.refine.test_methods import prepared, refined_rows
from tests.training.made import N_ITEMS, answers, random_histories, small_settings

ROWS = unit(item_vectors(N_ITEMS, 12))


@pytest.fixture(scope="module", params=REFINEMENTS)
def refined(request):
    """Vectors of one refinement with a padding row, and what training builds from them."""
    rows = torch.from_numpy(refined_rows(request.param, ROWS)).float()
    matrix = torch.cat([torch.zeros(1, rows.shape[1]), rows])
    return matrix, json.loads(json.dumps(prepared(request.param, ROWS).item_encoder))


def trained(refined, model, seed=0):
    """A recommender after one epoch."""
    settings, histories = small_settings(model), random_histories()
    recommender = build_recommender(*refined, settings, seed)
    task = build_task(histories, settings, recommender.network, N_ITEMS)
    trainer = Trainer(recommender, task, settings.training, seed)
    trainer.train_epoch(1)
    return recommender.eval()


def scores(recommender):
    with torch.no_grad():
        queries, items = answers(recommender, [[1, 2, 3], [5, 4, 0]])
    return (queries @ items.T).detach().numpy()


def test_every_item_encoder_is_what_some_refinement_asks_for():
    asked = {prepared(method, ROWS).item_encoder["kind"] for method in REFINEMENTS}
    assert asked == set(ITEM_ENCODERS)


@pytest.mark.parametrize("model", BACKBONES)
def test_weights_read_back_from_a_file_give_the_same_scores(refined, model, tmp_path):
    recommender = trained(refined, model)
    note = Provenance(step="test")
    write_tensors(tmp_path / "best.safetensors", weights_as_arrays(recommender), note)
    fresh = build_recommender(*refined, small_settings(model), seed=7).eval()
    assert not np.array_equal(scores(fresh), scores(recommender))
    load_weights(fresh, read_tensors(tmp_path / "best.safetensors")[0])
    np.testing.assert_array_equal(scores(fresh), scores(recommender))


@pytest.mark.parametrize("model", BACKBONES)
def test_the_same_seed_gives_the_same_scores_and_another_seed_others(refined, model):
    found, again, other = (scores(trained(refined, model, seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(found, again)
    assert not np.array_equal(found, other)


@pytest.mark.parametrize("model", BACKBONES)
def test_the_loss_of_a_step_is_the_plain_mean_over_its_targets(refined, model):
    settings, histories = small_settings(model, dropout=0.0), random_histories()
    recommender = build_recommender(*refined, settings, seed=0).eval()
    task = build_task(histories, settings, recommender.network, N_ITEMS)
    trainer = Trainer(recommender, task, settings.training, 0)
    batch = next(iter(task.batches(np.random.default_rng(0))))
    queries, items = trainer.queries(batch)
    logits = (queries.double() @ items[1:].double().T).log_softmax(dim=1)
    wanted = -logits.gather(1, (batch.targets - 1).unsqueeze(1)).mean()
    assert full_softmax(queries, items, batch.targets).item() == pytest.approx(
        wanted.item(), rel=1e-5
    )
