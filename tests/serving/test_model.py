"""New items in a trained recommender: known ones score as before, new ones by their own vectors."""

import numpy as np
import polars as pl
import pytest
import torch

from ace_steps.backbones.recommender import build_recommender
from ace_steps.sequences.inputs import Inputs
from ace_steps.serving.model import extended, moved_as_trained
from ace_steps.training.optimizers import weights_as_arrays
from tests.serving.made import KINDS
from tests.training.made import N_ITEMS, answers, random_histories, random_matrix, small_settings


@pytest.fixture(params=KINDS)
def parts(request):
    """Inputs, settings and weights of one kind; the weights are moved as a training would."""
    model, item_encoder = KINDS[request.param]
    inputs = Inputs(random_histories(), pl.DataFrame(), random_matrix(), item_encoder)
    settings = small_settings(model)
    rng, arrays = np.random.default_rng(0), {}
    initial = weights_as_arrays(build_recommender(inputs.matrix, item_encoder, settings, 1))
    for name, array in initial.items():
        arrays[name] = array + 0.1 * rng.standard_normal(array.shape).astype(np.float32)
        if len(array) == N_ITEMS + 1:
            arrays[name][0] = 0  # the padding
    return inputs, settings, arrays


@torch.inference_mode()
def scores(recommender):
    queries, items = answers(recommender, [[3, 1, 2]])
    return (queries[:, -1] @ items.T)[0, 1:]


def test_known_items_score_as_before(parts):
    inputs, settings, arrays = parts
    none = np.empty((0, inputs.matrix.shape[1]), np.float32)
    new = np.random.default_rng(0).standard_normal((4, inputs.matrix.shape[1])).astype(np.float32)
    before = scores(extended(inputs, none, settings, arrays, seed=1))
    after = scores(extended(inputs, new, settings, arrays, seed=1))
    assert (len(before), len(after)) == (N_ITEMS, N_ITEMS + 4)
    torch.testing.assert_close(after[:N_ITEMS], before)


def test_a_new_item_is_what_its_vector_makes_of_it(parts):
    inputs, settings, arrays = parts
    twin = inputs.matrix[5:6].numpy()  # the vector that item 5 started from
    recommender = extended(inputs, twin, settings, arrays, seed=1)
    with torch.inference_mode():
        vectors = recommender.items()
        scored = recommender.network.scored_items(vectors)
    if inputs.item_encoder["kind"] == "mlp":  # nothing is trained for single items: twins are equal
        torch.testing.assert_close(vectors[-1], vectors[5])
    else:  # a trained or added table: the initial vector itself, untrained
        torch.testing.assert_close(vectors[-1], inputs.matrix[5])
        assert not torch.equal(vectors[-1], vectors[5])
    if settings.model == "bert4rec":  # no event, no bias
        assert scored[-1, -1] == 0 != scored[5, -1]


def test_new_vectors_are_moved_by_the_affine_map_of_the_known_ones():
    rng = np.random.default_rng(0)
    refined, new = rng.standard_normal((40, 3)), rng.standard_normal((5, 3))
    turn, shift = rng.standard_normal((3, 3)), rng.standard_normal(3)
    moved = moved_as_trained(new, refined, refined @ turn + shift)
    np.testing.assert_allclose(moved, new @ turn + shift, rtol=0, atol=1e-5)
