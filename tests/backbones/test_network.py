"""The contract that every backbone of the registry keeps."""

import numpy as np
import pytest
import torch

from ace_steps.backbones.recommender import build_recommender
from ace_steps.registry import BACKBONES
from ace_steps.sequences.batches import lay_out
from tests.training.made import N_ITEMS, TABLE, answers, random_matrix, small_settings

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


@PACKS
def test_packed_histories_do_not_see_each_other(model):
    """Histories of mixed lengths, several in a row, give what each gives alone."""
    recommender, length = build(model), np.array([6, 3, 2, 1, 4])
    drawn = np.random.default_rng(0).integers(1, N_ITEMS + 1, (5, 6))
    read = np.where(np.arange(6) < length[:, None], drawn, 0)
    _, block = lay_out(read, read, length, pack=True).blocks
    packed = recommender.network(block.history, recommender.items(), block.packing)
    lengths_by_row = []
    for history, segments, result in zip(block.history, block.packing.segment, packed, strict=True):
        at = [(segments == segment) & (history > 0) for segment in segments[segments > 0].unique()]
        lengths_by_row.append(sorted(int(here.sum()) for here in at))
        for here in at:
            alone = queries(recommender, [history[here].tolist()])[0]
            torch.testing.assert_close(result[here], alone)
    assert sorted(lengths_by_row) == [[1, 2], [3], [4]]


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
