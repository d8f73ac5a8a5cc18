import numpy as np
import pytest
import torch

from ace_steps.sequences.batches import draw_batches, lay_out, split_by_length
from ace_steps.training.tasks import NextItem
from tests.training.made import N_ITEMS, random_histories, small_settings

LENGTH = np.array([2, 5, 1, 6, 3])
READ = np.where(np.arange(6) < LENGTH[:, None], np.arange(1, 31).reshape(5, 6), 0)
WANTED = np.where(READ > 0, READ + 100, 0)
WANTED[3, :4] = 0  # a window that trains only its end


def entries(batch):
    """(history up to here, target) of every trained position."""
    found, targets = [], iter(batch.targets.tolist())
    for block in batch.blocks:
        for place in block.trained.tolist():
            row, column = divmod(place, block.history.shape[1])
            begin = (
                0 if block.packing is None else column - int(block.packing.position[row, column])
            )
            found.append((block.history[row, begin : column + 1].tolist(), next(targets)))
    return found


EXPECTED = [
    (READ[row, : place + 1].tolist(), int(WANTED[row, place]))
    for row in range(5)
    for place in range(6)
    if WANTED[row, place]
]


@pytest.mark.parametrize("pack", [True, False])
def test_every_trained_position_keeps_its_history_and_its_target(pack):
    batch = lay_out(READ, WANTED, LENGTH, pack=pack)
    assert sorted(entries(batch)) == sorted(EXPECTED)


def test_packed_histories_do_not_overlap_and_count_their_own_positions():
    _, block = lay_out(READ, WANTED, LENGTH, pack=True).blocks
    for row, segments in enumerate(block.packing.segment):
        for segment in segments[segments > 0].unique():
            place = torch.nonzero(segments == segment).flatten()
            real = block.history[row, place] > 0
            assert torch.equal(place, torch.arange(place[0], place[-1] + 1))
            assert block.packing.position[row, place][real].tolist() == list(range(int(real.sum())))


def test_short_windows_fill_the_rows_of_longer_ones():
    length = np.array([8] * 2 + [3] * 64 + [2] * 32)
    read = np.where(np.arange(8) < length[:, None], 1, 0)
    longest, rest = lay_out(read, read, length, pack=True).blocks
    assert longest.history.shape == (2, 8)
    assert rest.history.shape == (64 + 32 // 2, 4)


def test_windows_of_one_length_are_read_without_any_padding():
    read = np.ones((64, 50), np.int64)
    (block,) = lay_out(read, read, np.full(64, 50), pack=True).blocks
    assert block.history.shape == (64, 50)
    assert block.packing is None


def test_a_bucket_is_at_most_half_padding():
    lengths = np.random.default_rng(0).integers(1, 51, 1000)
    seen = []
    for rows in split_by_length(lengths):
        assert lengths[rows].max() <= 2 * lengths[rows].min()
        seen.extend(rows)
    assert sorted(seen) == list(range(1000))


def test_an_epoch_draws_every_window_once_in_an_order_of_its_seed():
    first = draw_batches(10, 4, np.random.default_rng(1))
    assert [len(batch) for batch in first] == [4, 4, 2]
    assert sorted(np.concatenate(first)) == list(range(10))
    again, other = (draw_batches(10, 4, np.random.default_rng(seed)) for seed in (1, 2))
    assert np.array_equal(np.concatenate(first), np.concatenate(again))
    assert not np.array_equal(np.concatenate(first), np.concatenate(other))


def test_an_epoch_trains_as_many_targets_as_it_says():
    task = NextItem(random_histories(), small_settings(), N_ITEMS, pack=True)
    batches = list(task.batches(np.random.default_rng(0)))
    assert sum(len(batch.targets) for batch in batches) == task.n_targets
    assert len(batches) == task.n_steps


def test_if_nothing_is_said_windows_end_half_of_max_length_apart():
    def windows_of(**training):
        task = NextItem(random_histories(), small_settings(**training), N_ITEMS, pack=False)
        return [batch.targets.tolist() for batch in task.batches(np.random.default_rng(0))]

    assert windows_of() == windows_of(window_stride=None) == windows_of(window_stride=3)
    assert windows_of() != windows_of(window_stride=6)
