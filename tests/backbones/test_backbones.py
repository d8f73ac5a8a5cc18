"""The contract that every backbone of the registry keeps."""

import json

import numpy as np
import pytest
import torch

from ace_steps.backbones.item_encoders import TrainableTable
from ace_steps.backbones.network import Packing
from ace_steps.backbones.recommender import build_recommender
from ace_steps.backbones.registry import parse_backbone
from ace_steps.errors import InputError
from ace_steps.registry import BACKBONES
from ace_steps.sequences.batches import lay_out
from tests.training.made import (
    N_ITEMS,
    TABLE,
    answers,
    random_matrix,
    settings_json,
    small_settings,
)

NETWORKS = {name: entry.implementation() for name, entry in BACKBONES.items()}


def build(model, seed=0):
    return build_recommender(random_matrix(), TABLE, small_settings(model), seed).eval()


@pytest.fixture(params=BACKBONES)
def recommender(request):
    return build(request.param)


@pytest.fixture(params=[name for name, network in NETWORKS.items() if network.is_causal])
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


PACKED_ROWS = [[[3, 1, 2], [9, 8]], [[5], [6, 7, 4], [2, 2]], [[1, 1, 4, 1, 6, 2]]]


@pytest.mark.parametrize("model", [name for name, network in NETWORKS.items() if network.can_pack])
def test_packed_histories_do_not_see_each_other(model):
    """Several histories of mixed lengths in a row give what each gives alone."""
    recommender = build(model)
    history, position, segment = torch.zeros(3, 3, 6, dtype=torch.int64)
    for row, histories in enumerate(PACKED_ROWS):
        items = [item for each in histories for item in each]
        history[row, : len(items)] = torch.tensor(items)
        position[row, : len(items)] = torch.cat([torch.arange(len(each)) for each in histories])
        lengths = torch.tensor([len(each) for each in histories])
        segment[row, : len(items)] = torch.arange(1, len(histories) + 1).repeat_interleave(lengths)
    packing = Packing(position, segment)
    packed = recommender.network(history, recommender.items(), packing)
    for row, histories in enumerate(PACKED_ROWS):
        for number, each in enumerate(histories, start=1):
            alone = queries(recommender, [each])[0]
            torch.testing.assert_close(packed[row][segment[row] == number], alone)


@pytest.mark.parametrize("model", [name for name, network in NETWORKS.items() if network.can_pack])
def test_the_layout_of_a_batch_packs_histories_apart(model):
    recommender = build(model)
    read = torch.tensor([[3, 1, 2, 0, 0, 0], [9, 8, 7, 4, 0, 0], [5, 6, 0, 0, 0, 0], [1] * 6])
    length = (read > 0).sum(dim=1)
    blocks = lay_out(read.numpy(), read.numpy(), length.numpy(), pack=True).blocks
    block = next(one for one in blocks if one.packing is not None)
    assert block.packing.segment.unique().numel() > 1
    packed = recommender.network(block.history, recommender.items(), block.packing)
    for row, n_events in zip(read[:3], length[:3], strict=True):
        at = (block.history == row[0]).nonzero()[0]
        result = packed[at[0], at[1] : at[1] + n_events]
        torch.testing.assert_close(result[None], queries(recommender, [row[:n_events].tolist()]))


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


@pytest.mark.parametrize("model", BACKBONES)
def test_every_model_predicts_with_nothing_said_but_its_name(model):
    settings = parse_backbone(json.dumps({"model": model}), "--settings")
    recommender = build_recommender(random_matrix(width=128), TABLE, settings, 0).eval()
    found, scored = answers(recommender, [[3, 1, 2]])
    assert (found @ scored.T).shape == (1, 3, N_ITEMS + 1)
    assert torch.isfinite(found).all()


def changed(model="sasrec", **values):
    """Settings of a small backbone as JSON, keys changed or added."""
    return json.dumps(json.loads(settings_json(model)) | values)


REFUSED = {
    "no JSON": ("{", "not JSON"),
    "no model": ("{}", "model: missing.*sasrec, gru4rec, bert4rec"),
    "an unknown model": (
        settings_json().replace("sasrec", "sasrek"),
        "model: .*'sasrek'.*'sasrec'",
    ),
    "heads that do not divide": (changed(num_heads=3), r"num_heads: .*8.*3; .*1, 2, 4, 8$"),
    "one of the heads that does not divide": (changed(num_heads=[2, 5]), "num_heads: .*8.*5"),
    "a mistyped key": (changed(iner_dim=16), "iner_dim: .*'inner_dim'"),
    "a key of another model": (changed("gru4rec", num_heads=2), "num_heads: unknown key"),
    "a mistyped training key": (
        settings_json(learn_rate=0.1),
        r"training\.learn_rate: unknown key",
    ),
    "a dropout of 1": (changed(dropout=1.0), "dropout: .*< 1.*1"),
    "a learning rate of 0": (settings_json(lr=0.0), r"training\.lr: .*> 0.*0"),
    "an unknown metric": (
        settings_json(metric="map"),
        r"training\.metric: .*recall, ndcg, mrr.*map",
    ),
    "a cutoff that is not measured": (
        settings_json(cutoff=7),
        r"training\.cutoff: .*10, 20, 50.*7",
    ),
    "a stride beyond the history": (
        settings_json(window_stride=7),
        r"training\.window_stride: .*6.*7",
    ),
    "a history of one event for BERT4Rec": (
        changed("bert4rec", max_length=1),
        "max_length: .*2.*1",
    ),
    "a list where one value is expected": (changed(num_layers=[1, 2]), r"num_layers: .*\[1, 2\]"),
    "a list of one": (changed(num_layers=[1]), r"num_layers: .*\[1\]"),
    "a list of training values": (settings_json(lr=[0.1, 0.2]), r"training\.lr: .*\[0\.1, 0\.2\]"),
    "a list of dropouts": (changed(dropout=[0.1, 0.5]), "dropout: "),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_settings_are_refused(text, message):
    with pytest.raises(InputError, match=f"--settings: {message}"):
        parse_backbone(text, "--settings")


@pytest.mark.parametrize(("max_length", "stride"), [(50, 25), (7, 3), (1, 1)])
def test_the_windows_of_a_long_history_end_half_of_it_apart_if_nothing_is_said(max_length, stride):
    settings = parse_backbone(changed(max_length=max_length), "--settings")
    assert settings.window_stride() == stride
    said = parse_backbone(settings_json(window_stride=1), "--settings")
    assert said.window_stride() == 1


def test_vectors_of_another_dim_than_the_backbone_are_refused():
    with pytest.raises(InputError, match="dim 8, got 5"):
        build_recommender(random_matrix(width=5), TABLE, small_settings(), 0)
