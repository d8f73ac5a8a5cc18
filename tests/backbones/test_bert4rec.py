"""The faults that implementations of BERT4Rec are known for, each shown to be absent."""

import numpy as np
import pytest
import torch

from ace_steps.backbones.network import MASK
from ace_steps.backbones.recommender import build_recommender
from ace_steps.training.tasks import build_task
from tests.training.made import (
    N_ITEMS,
    TABLE,
    OneARow,
    random_histories,
    random_matrix,
    small_settings,
)

SETTINGS = small_settings("bert4rec")
HISTORIES = random_histories()
LAST = HISTORIES.items[HISTORIES.offsets[:-1] + HISTORIES.n_train - 1][HISTORIES.n_train > 1]


@pytest.fixture
def network():
    recommender = build_recommender(random_matrix(), TABLE, SETTINGS, 0).eval()
    with torch.no_grad():
        recommender.network.hidden_item.normal_(generator=torch.Generator().manual_seed(2))
    return recommender.network


def task_of(**training):
    return build_task(HISTORIES, small_settings("bert4rec", **training), OneARow(), N_ITEMS)


def windows(task, seed=0):
    """(history with masked items, {position: item}) of every window of an epoch."""
    for batch in task.batches(np.random.default_rng(seed)):
        targets = iter(batch.targets.tolist())
        for block in batch.blocks:
            masked = [{} for _ in block.history]
            for flat in block.trained.tolist():
                row, position = divmod(flat, block.history.shape[1])
                masked[row][position] = next(targets)
            yield from zip(block.history.tolist(), masked, strict=True)


def n_events(history):
    return sum(item != 0 for item in history)


def test_a_masked_item_is_not_encoded_at_its_position_and_the_first_may_be_one():
    seen = list(windows(task_of()))
    for history, masked in seen:
        assert masked
        assert all(history[position] == MASK for position in masked)
        assert history.count(MASK) == len(masked)
    assert any(0 in masked for _, masked in seen)


def test_the_last_train_event_of_every_user_is_a_target():
    only_last = [
        item for _, masked in windows(task_of(train_targets="last")) for item in masked.values()
    ]
    assert sorted(only_last) == sorted(LAST)
    last, task = set(), task_of()
    for seed in range(20):  # an epoch masks a share of the events
        for history, masked in windows(task, seed):
            last.add(masked.get(n_events(history) - 1))
    assert set(LAST.tolist()) <= last


def test_no_held_out_event_is_encoded_or_masked():
    n_train = HISTORIES.n_train[HISTORIES.n_train > 1]
    longest, stride = SETTINGS.max_length, 3  # half of it
    n_more = np.maximum(0, -(-(n_train - longest) // stride))
    expected = (np.minimum(n_train, longest) + n_more * longest).sum()
    assert sum(n_events(history) for history, _ in windows(task_of())) == expected


def test_the_shares_of_masked_events_are_those_of_the_settings():
    n = 20_000
    is_masked = task_of()._mask(np.zeros(n, np.int64), np.full(n, 50), 50, np.random.default_rng(0))
    is_only_last = is_masked[:, -1] & (is_masked.sum(axis=1) == 1)
    assert is_only_last.mean() == pytest.approx(SETTINGS.mask_last_ratio, abs=0.02)
    assert is_masked[~is_only_last].mean() == pytest.approx(SETTINGS.mask_ratio, abs=0.01)
    assert is_masked.any(axis=1).all()


@pytest.mark.parametrize("ratios", [(0.2, 0.5), (0.05, 0.0), (0.6, 0.1)])
def test_an_epoch_masks_as_many_events_as_it_states(ratios):
    mask_ratio, last_ratio = ratios
    settings = SETTINGS.model_copy(update={"mask_ratio": mask_ratio, "mask_last_ratio": last_ratio})
    task = build_task(random_histories(n_users=400), settings, OneARow(), N_ITEMS)
    epochs = [list(task.batches(np.random.default_rng(seed))) for seed in range(8)]
    assert {len(batches) for batches in epochs} == {task.n_steps}
    counts = [sum(len(batch.targets) for batch in batches) for batches in epochs]
    assert np.mean(counts) == pytest.approx(task.n_targets, rel=0.01)


def test_the_first_item_of_a_short_history_is_encoded_at_its_own_position(network):
    items, length = random_matrix(), torch.tensor([2])
    query = network.next_queries(torch.tensor([[3, 1]]), length, items)
    written_out = network(torch.tensor([[3, 1, MASK]]), items, None)[:, 2]
    torch.testing.assert_close(query, written_out)
    other = network.next_queries(torch.tensor([[4, 1]]), length, items)
    assert not torch.allclose(query, other)


def test_a_prediction_encodes_one_event_less_than_the_longest_window(network):
    assert network.longest_history == SETTINGS.max_length - 1
    history = torch.arange(1, SETTINGS.max_length)[None]
    query = network.next_queries(history, torch.tensor([len(history[0])]), random_matrix())
    assert query.shape == (1, 9)


def test_masked_positions_see_both_sides(network):
    rows = ([3, MASK, 2], [4, MASK, 2], [3, MASK, 5])
    one, left, right = network(torch.tensor(rows), random_matrix(), None)[:, 1]
    assert not torch.allclose(one, left)
    assert not torch.allclose(one, right)


def test_an_items_bias_is_added_to_its_score(network):
    items, some = random_matrix(), torch.tensor([0, 5, 9])
    query = network(torch.tensor([[3, MASK]]), items, None)[0, 1]
    before = network.scored_items(items) @ query
    with torch.no_grad():
        network.item_bias[5] += 2.5
    after = network.scored_items(items) @ query
    torch.testing.assert_close(after - before, 2.5 * (torch.arange(31) == 5).float())
    torch.testing.assert_close(network.scored_items(items[some], some) @ query, after[some])
