"""New items in a trained recommender: known ones score as before, new ones by their own vectors."""

import numpy as np
import pytest
import torch

from ace_steps.backbones.settings import parse_backbone
from ace_steps.io.tensors import read_tensors
from ace_steps.sequences.inputs import read_inputs
from ace_steps.serving.model import extended
from tests.serving.made import KINDS, settings_of, write_trained
from tests.training.made import N_ITEMS, answers


@pytest.fixture(scope="module", params=KINDS)
def parts(request, tmp_path_factory):
    """Inputs, settings and trained weights of one kind."""
    folder = tmp_path_factory.mktemp("trained")
    write_trained(folder, request.param)
    names = ("interactions", "items", "vectors")
    inputs = read_inputs(*(folder / f"{name}.parquet" for name in names))
    settings = parse_backbone(settings_of(request.param), "settings")
    return inputs, settings, read_tensors(folder / "best.safetensors")[0]


def scores(recommender):
    with torch.inference_mode():
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
    kind = inputs.item_encoder["kind"]
    with torch.inference_mode():
        vectors = recommender.items()
        scored = recommender.network.scored_items(vectors)
    if kind == "mlp":  # nothing is trained for single items, so twins are equal
        torch.testing.assert_close(vectors[-1], vectors[5])
    else:  # a trained or added table: the start itself, untrained
        torch.testing.assert_close(vectors[-1], inputs.matrix[5])
        assert not torch.equal(vectors[-1], vectors[5])
    if settings.model == "bert4rec":  # no event, no bias
        assert scored[-1, -1] == 0 != scored[5, -1]
