"""Training windows of histories, and their layout in batches."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ace_steps.errors import InputError
from ace_steps.sequences.batches import cut_windows, draw_batches, lay_out, split_by_length
from ace_steps.sequences.histories import read_histories
from ace_steps.training.tasks import NextItem
from tests.training.made import N_ITEMS, interactions_of, random_histories, small_settings


def made(lengths):
    """Histories of the given numbers of train events, every event another item."""
    ids = iter(range(1, sum(lengths) + 2 * len(lengths) + 1))
    raw = [[next(ids) for _ in range(length + 2)] for length in lengths]
    return read_histories(interactions_of(raw), sum(map(len, raw))), raw


def trained(histories, longest, stride, train_targets="all"):
    """(history read, target) of every trained position of next-item windows, one at a time."""
    windows = cut_windows(
        histories,
        max_length=longest,
        stride=stride,
        train_targets=train_targets,
        reads_last=False,
    )
    assert windows.length.max() <= longest
    examples = []
    for start, length, first in zip(windows.start, windows.length, windows.first, strict=True):
        for position in range(first, length):
            read = histories.items[start : start + position + 1].tolist()
            examples.append((read, int(histories.items[start + position + 1])))
    assert windows.n_targets == len(examples)
    return sorted(examples)


def augmented(raw, longest):
    """Prefix-by-prefix augmentation: every train event after the first, from what came before."""
    train = [items[:-2] for items in raw]
    return sorted((items[:i][-longest:], items[i]) for items in train for i in range(1, len(items)))


@given(
    lengths=st.lists(st.integers(1, 40), min_size=1),
    longest=st.integers(1, 9),
    stride=st.integers(1, 9),
)
def test_every_target_is_trained_once_from_enough_of_its_history(lengths, longest, stride):
    stride = min(stride, longest)
    histories, raw = made([*lengths, 2])  # at least one target
    expected = {target: read for read, target in augmented(raw, longest)}
    examples = trained(histories, longest, stride)
    assert sorted(target for _, target in examples) == sorted(expected)
    for read, target in examples:
        assert read == expected[target][-len(read) :]
        assert len(read) >= min(len(expected[target]), longest - stride + 1)


def test_histories_that_fit_have_one_window_each():
    histories, _ = made([5, 2, 4])
    options = {"max_length": 4, "stride": 4, "train_targets": "all"}
    assert len(cut_windows(histories, **options, reads_last=False).start) == 3


def test_last_trains_one_target_a_user_from_its_latest_events():
    histories, raw = made([1, 3, 9])
    examples = [(raw[1][:2], raw[1][2]), (raw[2][4:8], raw[2][8])]
    assert trained(histories, 4, 2, "last") == examples


def test_windows_for_masked_events_offer_every_train_event_of_a_user_with_two():
    histories, raw = made([7, 1, 3])
    for stride in (1, 2, 3):
        windows = cut_windows(
            histories, max_length=3, stride=stride, train_targets="all", reads_last=True
        )
        parts = zip(windows.start + windows.first, windows.start + windows.length, strict=True)
        offered = [item for start, end in parts for item in histories.items[start:end].tolist()]
        assert offered == [*raw[0][:-2], *raw[2][:-2]]


def test_no_target_and_a_stride_longer_than_the_window_are_refused():
    histories = read_histories(interactions_of([[1], [2, 3, 4]]), 4)
    with pytest.raises(InputError, match="training set is empty; no user has two train events"):
        trained(histories, 4, 2)
    with pytest.raises(InputError, match="window_stride: expected at most max_length, 4, got 5"):
        trained(made([3])[0], 4, 5)


LENGTH = np.array([2, 7, 1, 9, 3])
READ = np.where(np.arange(9) < LENGTH[:, None], np.arange(1, 46).reshape(5, 9), 0)
TARGETS = np.where(READ > 0, READ + 100, 0)
TARGETS[3, :4] = 0  # a window that trains only its end


def entries(batch):
    """(history up to here, target) of every trained position."""
    examples, targets = [], iter(batch.targets.tolist())
    for block in batch.blocks:
        for position in block.trained.tolist():
            row, column = divmod(position, block.history.shape[1])
            begin = 0 if block.packing is None else column - block.packing.position[row, column]
            examples.append((block.history[row, begin : column + 1].tolist(), next(targets)))
    return examples


@pytest.mark.parametrize("pack", [True, False])
def test_every_trained_position_keeps_its_history_and_its_target(pack):
    batch = lay_out(READ, TARGETS, LENGTH, pack=pack)
    expected = [
        (READ[row, : position + 1].tolist(), TARGETS[row, position])
        for row, position in np.argwhere(TARGETS)
    ]
    assert sorted(entries(batch)) == sorted(expected)


def test_packed_histories_do_not_overlap_and_count_their_own_positions():
    _, block = lay_out(READ, TARGETS, LENGTH, pack=True).blocks
    for row, segments in enumerate(block.packing.segment):
        for segment in segments[segments > 0].unique():
            position = torch.nonzero(segments == segment).flatten()
            real = block.history[row, position] > 0
            assert torch.equal(position, torch.arange(position[0], position[-1] + 1))
            assert block.packing.position[row, position][real].tolist() == list(
                range(int(real.sum()))
            )


def test_short_windows_fill_the_rows_of_longer_ones():
    length = np.array([8] * 2 + [3] * 64 + [2] * 32)
    read = np.where(np.arange(8) < length[:, None], 1, 0)
    longest, rest = lay_out(read, read, length, pack=True).blocks
    assert longest.history.shape == (2, 8)
    assert longest.packing is None
    assert rest.history.shape == (64 + 32 // 2, 4)


def test_a_bucket_is_at_most_half_padding():
    lengths = np.random.default_rng(0).integers(1, 51, 1000)
    buckets = list(split_by_length(lengths))
    assert all(lengths[rows].max() <= 2 * lengths[rows].min() for rows in buckets)
    assert sorted(np.concatenate(buckets)) == list(range(1000))


def test_an_epoch_draws_every_window_once_in_an_order_of_its_seed():
    first = draw_batches(10, 4, np.random.default_rng(1))
    assert [len(batch) for batch in first] == [4, 4, 2]
    assert sorted(np.concatenate(first)) == list(range(10))
    again, other = (draw_batches(10, 4, np.random.default_rng(seed)) for seed in (1, 2))
    assert np.array_equal(np.concatenate(first), np.concatenate(again))
    assert not np.array_equal(np.concatenate(first), np.concatenate(other))


def test_an_epoch_trains_as_many_targets_as_it_states():
    task = NextItem(random_histories(), small_settings(), N_ITEMS, pack=True)
    batches = list(task.batches(np.random.default_rng(0)))
    assert sum(len(batch.targets) for batch in batches) == task.n_targets
    assert len(batches) == task.n_steps
