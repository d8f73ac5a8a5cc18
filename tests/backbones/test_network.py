"""The contract that every backbone of the registry keeps."""

import numpy as np
import pytest
import torch

from ace_steps.backbones.network import Packing
from ace_steps.backbones.recommender import build_recommender
from ace_steps.registry import BACKBONES
from ace_steps.sequences.batches import lay_out
from tests.training.made import TABLE, answers, random_matrix, small_settings

NETWORKS = {name: entry.implementation() for name, entry in BACKBONES.items()}
PACKS = pytest.mark.parametrize("model", [name for name in NETWORKS if NETWORKS[name].can_pack])


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


def next_queries(recommender, histories):
    length = torch.tensor([sum(item > 0 for item in history) for history in histories])
    return recommender.network.next_queries(torch.tensor(histories), length, recommender.items())


def test_padding_and_other_rows_change_nothing(recommender):
    alone = queries(recommender, [[3, 1, 2]])
    beside = queries(recommender, [[3, 1, 2, 0, 0, 0], [9, 8, 7, 6, 5, 4]])
    torch.testing.assert_close(beside[:1, :3], alone)
    short = next_queries(recommender, [[3, 1], [2, 5]])
    wide = next_queries(recommender, [[3, 1, 0, 0], [2, 5, 0, 0], [1, 2, 3, 0]])
    torch.testing.assert_close(wide[:2], short)


PACKED_ROWS = [[[3, 1, 2], [9, 8]], [[5], [6, 7, 4], [2, 2]], [[1, 1, 4, 1, 6, 2]]]


@PACKS
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
    packed = recommender.network(history, recommender.items(), Packing(position, segment))
    for row, histories in enumerate(PACKED_ROWS):
        for number, each in enumerate(histories, start=1):
            alone = queries(recommender, [each])[0]
            torch.testing.assert_close(packed[row][segment[row] == number], alone)


@PACKS
def test_the_layout_of_a_batch_packs_histories_apart(model):
    recommender = build(model)
    read = torch.tensor([[3, 1, 2, 0, 0, 0], [9, 8, 7, 4, 0, 0], [5, 6, 0, 0, 0, 0], [1] * 6])
    length = (read > 0).sum(dim=1)
    _, block = lay_out(read.numpy(), read.numpy(), length.numpy(), pack=True).blocks
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


def test_a_causal_pass_gives_at_every_position_what_its_prefix_alone_gives(causal):
    history = [3, 1, 2, 9, 4]
    whole = queries(causal, [history])[0]
    for n_read in range(1, 6):
        prefix = history[:n_read]
        torch.testing.assert_close(queries(causal, [prefix])[0, -1], whole[n_read - 1])
        torch.testing.assert_close(next_queries(causal, [prefix])[0], whole[n_read - 1])


def test_the_order_of_the_history_matters(recommender):
    one, other = next_queries(recommender, [[3, 1, 2], [1, 3, 2]])
    assert not torch.allclose(one, other)


@pytest.mark.parametrize("model", BACKBONES)
def test_the_same_seed_draws_the_same_weights_another_others_and_no_global_number(model):
    state = torch.random.get_rng_state()
    one, again, other = (dict(build(model, seed).named_parameters()) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(one[name], again[name]) for name in one)
    drawn = [n for n in one if one[n].ndim >= 2 and n != "items.table"]
    assert drawn
    assert not any(torch.equal(one[name], other[name]) for name in drawn)
