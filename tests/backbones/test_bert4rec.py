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


@pytest.fixture
def network():
    recommender = build_recommender(random_matrix(), TABLE, SETTINGS, 0).eval()
    with torch.no_grad():
        recommender.network.hidden_item.normal_(generator=torch.Generator().manual_seed(2))
    return recommender.network


def epoch(**training):
    """The histories, the batches of one epoch and the task that made them."""
    histories = random_histories()
    settings = small_settings("bert4rec", **training)
    task = build_task(histories, settings, OneARow(), N_ITEMS)
    return histories, list(task.batches(np.random.default_rng(0))), task


def rows(batches):
    """(history with hidden items, {place: item}) of every window."""
    for batch in batches:
        targets = iter(batch.targets.tolist())
        for block in batch.blocks:
            hidden = [{} for _ in block.history]
            for flat in block.trained.tolist():
                row, place = divmod(flat, block.history.shape[1])
                hidden[row][place] = next(targets)
            yield from zip(block.history.tolist(), hidden, strict=True)


def test_a_hidden_item_is_not_among_what_is_read_at_its_place():
    for history, hidden in rows(epoch()[1]):
        assert hidden
        assert all(history[place] == MASK for place in hidden)
        assert history.count(MASK) == len(hidden)


def test_the_first_event_of_a_history_is_a_target_too():
    _, batches, _ = epoch()
    assert any(0 in hidden for _, hidden in rows(batches))


def test_the_last_train_event_of_every_user_is_a_target_in_time():
    histories = random_histories()
    last = histories.items[histories.offsets[:-1] + histories.n_train - 1]
    wanted = {int(item) for item in last[histories.n_train > 1]}
    _, batches, _ = epoch(train_targets="last")
    found = {item for _, hidden in rows(batches) for item in hidden.values()}
    assert found == wanted


def test_the_last_train_event_is_hidden_in_the_usual_way_of_training_too():
    histories = random_histories()
    last = histories.items[histories.offsets[:-1] + histories.n_train - 1]
    wanted = {int(item) for item in last[histories.n_train > 1]}
    found, task = set(), epoch()[2]
    for seed in range(20):  # an epoch hides a share of the events
        for history, hidden in rows(task.batches(np.random.default_rng(seed))):
            n_read = sum(1 for item in history if item)
            found |= {item for place, item in hidden.items() if place == n_read - 1}
    assert wanted <= found


def test_no_held_out_event_is_read_or_hidden():
    histories, batches, task = epoch()
    n_read = sum(sum(1 for item in history if item) for history, _ in rows(batches))
    n_train = histories.n_train[histories.n_train > 1]
    longest, stride = SETTINGS.max_length, 3  # half of it
    n_more = np.maximum(0, -(-(n_train - longest) // stride))
    assert n_read == (np.minimum(n_train, longest) + n_more * longest).sum()
    assert task.n_steps == len(batches)


def test_the_shares_of_hidden_events_are_those_of_the_settings():
    task = epoch()[2]
    rng = np.random.default_rng(0)
    n = 20_000
    hidden = task._mask(np.zeros(n, np.int64), np.full(n, 50), 50, rng)
    is_only_last = hidden[:, -1] & (hidden.sum(axis=1) == 1)
    assert is_only_last.mean() == pytest.approx(SETTINGS.mask_last_ratio, abs=0.02)
    assert hidden[~is_only_last].mean() == pytest.approx(SETTINGS.mask_ratio, abs=0.01)
    assert hidden.any(axis=1).all()


@pytest.mark.parametrize("ratios", [(0.2, 0.5), (0.05, 0.0), (0.6, 0.1)])
def test_an_epoch_hides_as_many_events_as_it_says_it_will(ratios):
    mask_ratio, last_ratio = ratios
    settings = SETTINGS.model_copy(update={"mask_ratio": mask_ratio, "mask_last_ratio": last_ratio})
    task = build_task(random_histories(n_users=400), settings, OneARow(), N_ITEMS)
    counts = [
        sum(len(batch.targets) for batch in task.batches(np.random.default_rng(seed)))
        for seed in range(8)
    ]
    assert np.mean(counts) == pytest.approx(task.n_targets, rel=0.01)


def test_the_first_item_of_a_short_history_is_read_in_its_own_place(network):
    items, length = random_matrix(), torch.tensor([2])
    found = network.next_queries(torch.tensor([[3, 1]]), length, items)
    written_out = network(torch.tensor([[3, 1, MASK]]), items, None)[:, 2]
    torch.testing.assert_close(found, written_out)
    other = network.next_queries(torch.tensor([[4, 1]]), length, items)
    assert not torch.allclose(found, other)


def test_a_prediction_reads_one_event_less_than_the_longest_window(network):
    assert network.longest_history == SETTINGS.max_length - 1
    history = torch.arange(1, SETTINGS.max_length)[None]
    query = network.next_queries(history, torch.tensor([len(history[0])]), random_matrix())
    assert query.shape == (1, 9)


def test_hidden_places_see_both_sides(network):
    items = random_matrix()
    one, left, right = (
        network(torch.tensor([row]), items, None)[0, 1]
        for row in ([3, MASK, 2], [4, MASK, 2], [3, MASK, 5])
    )
    assert not torch.allclose(one, left)
    assert not torch.allclose(one, right)


def test_an_items_bias_is_added_to_its_score(network):
    items = random_matrix()
    query = network(torch.tensor([[3, MASK]]), items, None)[0, 1]
    before = network.scored_items(items) @ query
    with torch.no_grad():
        network.item_bias[5] += 2.5
    torch.testing.assert_close(
        network.scored_items(items) @ query - before, 2.5 * (torch.arange(31) == 5).float()
    )
