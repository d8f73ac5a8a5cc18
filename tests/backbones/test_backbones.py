"""The contract that every backbone of the registry keeps."""

import numpy as np
import pytest
import torch

from ace_steps.backbones.item_encoders import TrainableTable
from ace_steps.backbones.recommender import build_recommender
from ace_steps.backbones.registry import BACKBONES, parse_backbone
from ace_steps.errors import InputError
from ace_steps.training.batches import lay_out
from tests.training.made import (
    N_ITEMS,
    TABLE,
    answers,
    random_matrix,
    settings_json,
    small_settings,
)


def build(model, seed=0):
    return build_recommender(random_matrix(), TABLE, small_settings(model), seed).eval()


@pytest.fixture(params=BACKBONES)
def recommender(request):
    return build(request.param)


@pytest.fixture(params=[name for name, kind in BACKBONES.items() if kind.is_causal])
def causal(request):
    return build(request.param)


def queries(recommender, rows):
    return answers(recommender, rows)[0]


def test_padding_on_the_right_changes_nothing(recommender):
    short, padded = queries(recommender, [[3, 1, 2]]), queries(recommender, [[3, 1, 2, 0, 0, 0]])
    torch.testing.assert_close(padded[:, :3], short)


def test_padding_changes_no_prediction(recommender):
    items, length = recommender.items(), torch.tensor([2, 2])
    short = recommender.network.next_queries(torch.tensor([[3, 1], [2, 5]]), length, items)
    wide = torch.tensor([[3, 1, 0, 0], [2, 5, 0, 0]])
    torch.testing.assert_close(recommender.network.next_queries(wide, length, items), short)


def test_other_rows_of_the_batch_change_nothing(recommender):
    both, alone = queries(recommender, [[3, 1, 2], [9, 8, 7]]), queries(recommender, [[3, 1, 2]])
    torch.testing.assert_close(both[:1], alone)


@pytest.mark.parametrize("model", [n for n, kind in BACKBONES.items() if kind.network.can_pack])
def test_packed_histories_do_not_see_each_other(model):
    recommender = build(model)
    read = torch.tensor([[3, 1, 2, 0, 0], [9, 8, 7, 4, 0], [5, 6, 0, 0, 0], [1, 1, 1, 1, 1]])
    length = (read > 0).sum(dim=1)
    _, block = lay_out(read.numpy(), read.numpy(), length.numpy(), pack=True).blocks
    packed = recommender.network(block.history, recommender.items(), block.packing)
    for row, n_real in zip(read[:3], length[:3], strict=True):
        here = (block.history == row[0]).nonzero()[0]
        found = packed[here[0], here[1] : here[1] + n_real]
        torch.testing.assert_close(found[None], queries(recommender, [row[:n_real].tolist()]))


def test_a_recurrent_network_refuses_rows_of_several_histories():
    recommender, read = build("gru4rec"), np.array([[3, 1, 5], [2, 4, 0]])
    _, block = lay_out(read, read, np.array([3, 2]), pack=True).blocks
    with pytest.raises(ValueError, match="reads one history a row"):
        recommender.network(block.history, recommender.items(), block.packing)


def test_later_items_do_not_reach_earlier_positions(causal):
    one, other = queries(causal, [[3, 1, 2]]), queries(causal, [[3, 1, 7]])
    torch.testing.assert_close(one[:, :2], other[:, :2], rtol=0, atol=0)
    assert not torch.equal(one[:, 2], other[:, 2])


def test_a_prefix_gives_what_the_pass_over_the_whole_history_gave(causal):
    history = [3, 1, 2, 9, 4]
    whole = queries(causal, [history])[0]
    for n_read in range(1, 6):
        torch.testing.assert_close(queries(causal, [history[:n_read]])[0, -1], whole[n_read - 1])


def test_the_order_of_the_history_matters(recommender):
    items, length = recommender.items(), torch.tensor([3, 3])
    found = recommender.network.next_queries(torch.tensor([[3, 1, 2], [1, 3, 2]]), length, items)
    assert not torch.allclose(found[0], found[1])


@pytest.mark.parametrize("model", BACKBONES)
def test_the_same_seed_draws_the_same_weights_and_another_seed_others(model):
    one, again, other = (dict(build(model, seed).named_parameters()) for seed in (0, 0, 1))
    assert all(torch.equal(one[name], again[name]) for name in one)
    drawn = [n for n in one if one[n].ndim >= 2 and n != "items.table" and one[n].abs().sum() > 0]
    assert drawn
    assert not any(torch.equal(one[name], other[name]) for name in drawn)


def test_building_leaves_the_global_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    build("sasrec")
    assert torch.equal(torch.rand(1), expected)


def test_the_table_starts_as_the_refined_vectors(recommender):
    assert isinstance(recommender.items, TrainableTable)
    torch.testing.assert_close(recommender.items(), random_matrix(), rtol=0, atol=0)


def test_scores_cover_the_catalogue(recommender):
    found, scored = answers(recommender, [[3, 1, 2]])
    assert (found @ scored.T).shape == (1, 3, N_ITEMS + 1)


def test_an_unknown_model_is_refused_with_the_nearest_name():
    text = settings_json().replace('"sasrec"', '"sasrek"')
    with pytest.raises(InputError, match="unknown backbone model 'sasrek'; did you mean 'sasrec'"):
        parse_backbone(text, "--settings")


REFUSED = {
    "no JSON": ("{", "--settings: not JSON"),
    "no model": ("{}", "--settings: key 'model' is missing"),
    "heads that do not divide": (
        settings_json().replace('"heads": 2', '"heads": 3'),
        "key 'heads': must divide the width, 8, found 3",
    ),
    "a mistyped key": (
        settings_json().replace('"inner"', '"iner"'),
        "unknown key 'iner'; did you mean 'inner'",
    ),
    "a mistyped training key": (
        settings_json().replace('"lr"', '"learning_rate"'),
        "learning_rate",
    ),
    "a dropout of 1": (
        settings_json().replace('"dropout": 0.5', '"dropout": 1.0'),
        "key 'dropout': Input should be less than 1",
    ),
    "a learning rate of 0": (settings_json(lr=0.0), "key 'training.lr'"),
    "an unknown metric": (settings_json(metric="map"), "key 'training.metric'"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_settings_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_backbone(text, "--settings")


def test_vectors_of_another_width_than_the_backbone_are_refused():
    with pytest.raises(InputError, match="width 5, but the backbone's width is 8"):
        build_recommender(random_matrix(width=5), TABLE, small_settings(), 0)
