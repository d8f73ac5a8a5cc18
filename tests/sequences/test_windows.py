import pytest
from hypothesis import given
from hypothesis import strategies as st

from ace_steps.errors import InputError
from ace_steps.sequences.histories import read_histories
from ace_steps.sequences.windows import cut_windows
from tests.training.made import interactions_of


def made(lengths):
    """Histories of the given numbers of train events, every event another item."""
    n_items = sum(lengths) + 2 * len(lengths)
    ids = iter(range(1, n_items + 1))
    histories = [[next(ids) for _ in range(length + 2)] for length in lengths]
    return read_histories(interactions_of(histories), n_items), histories


def next_item_windows(histories, **options):
    return cut_windows(histories, **options, reads_last=False)


def trained(histories, windows):
    """(history read, target) of every trained position, one at a time."""
    found = []
    for start, length, first in zip(windows.start, windows.length, windows.first, strict=True):
        for place in range(first, length):
            read = histories.items[start : start + place + 1].tolist()
            found.append((read, int(histories.items[start + place + 1])))
    return found


def augmented(raw, longest):
    """Prefix-by-prefix augmentation: every train event after the first, from what came before."""
    train = [items[:-2] for items in raw]
    return [(items[:i][-longest:], items[i]) for items in train for i in range(1, len(items))]


@given(lengths=st.lists(st.integers(1, 30), min_size=1), longest=st.integers(1, 8))
def test_a_stride_of_one_is_prefix_augmentation(lengths, longest):
    lengths = [*lengths, 2]  # at least one target
    histories, raw = made(lengths)
    windows = next_item_windows(histories, max_length=longest, stride=1, train_targets="all")
    assert sorted(trained(histories, windows)) == sorted(augmented(raw, longest))


@given(
    lengths=st.lists(st.integers(1, 40), min_size=1),
    longest=st.integers(1, 9),
    stride=st.integers(1, 9),
)
def test_every_target_is_trained_once_from_enough_of_its_history(lengths, longest, stride):
    stride = min(stride, longest)
    histories, raw = made([*lengths, 2])
    windows = next_item_windows(histories, max_length=longest, stride=stride, train_targets="all")
    wanted = {target: read for read, target in augmented(raw, longest)}
    found = trained(histories, windows)
    assert sorted(target for _, target in found) == sorted(wanted)
    assert windows.n_targets == len(wanted)
    assert windows.length.max() <= longest
    for read, target in found:
        assert read == wanted[target][-len(read) :]
        assert len(read) >= min(len(wanted[target]), longest - stride + 1)


def test_histories_that_fit_have_one_window_each_and_lose_nothing():
    histories, raw = made([5, 2, 4])
    windows = next_item_windows(histories, max_length=4, stride=4, train_targets="all")
    assert len(windows.start) == 3
    assert sorted(trained(histories, windows)) == sorted(augmented(raw, 4))


def test_last_trains_one_target_a_user_from_its_latest_events():
    histories, raw = made([1, 3, 9])
    windows = next_item_windows(histories, max_length=4, stride=2, train_targets="last")
    assert trained(histories, windows) == [
        (raw[1][:2], raw[1][2]),
        (raw[2][4:8], raw[2][8]),
    ]


def test_held_out_events_are_never_trained_or_read():
    histories, raw = made([7, 3, 2])
    windows = next_item_windows(histories, max_length=3, stride=2, train_targets="all")
    held = {item for items in raw for item in items[-2:]}
    assert all(
        target not in held and not held & set(read) for read, target in trained(histories, windows)
    )


def test_an_empty_training_set_is_refused():
    histories = read_histories(interactions_of([[1], [2, 3, 4]]), 4)
    with pytest.raises(InputError, match="training set is empty; no user has two train events"):
        next_item_windows(histories, max_length=4, stride=2, train_targets="all")


def test_a_stride_longer_than_the_window_is_refused():
    histories, _ = made([3])
    with pytest.raises(InputError, match="window_stride: expected at most max_length, 4, got 5"):
        next_item_windows(histories, max_length=4, stride=5, train_targets="all")
