"""Training windows: the stretches of histories that one pass reads, and the targets it trains."""

from dataclasses import dataclass

import numpy as np

from ace_steps.errors import InputError
from ace_steps.training.histories import Histories


@dataclass(frozen=True)
class Windows:
    """Stretches of ``Histories.items``, each at most the backbone's longest history.

    Attributes:
        start: (n,) int64 place of the first event read.
        length: (n,) int64 events read.
        first: (n,) int64 place within the window of the first event that is trained; all from
            there to the window's end are.
    """

    start: np.ndarray
    length: np.ndarray
    first: np.ndarray

    @property
    def n_targets(self) -> int:
        """Events trained by all windows together."""
        return int((self.length - self.first).sum())


def next_item_windows(
    histories: Histories, *, max_length: int, stride: int, train_targets: str
) -> Windows:
    """Windows for a causal backbone: every event read is trained to predict the one after it.

    A user with m train events has m - 1 targets. While they fit into one window, one causal pass
    trains exactly the targets of prefix-by-prefix augmentation, each from its whole history. A
    longer history is read in windows of ``max_length`` events that end ``stride`` events apart, and
    each trains only the targets no earlier window has trained. So every target is trained once
    whatever the length; beyond the first window it sees its latest ``max_length - stride + 1`` to
    ``max_length`` events. ``stride=1`` is prefix augmentation to the letter, at its cost;
    ``stride=max_length`` reads no event twice.

    Args:
        histories: Only their train events are read.
        max_length: Most events a window holds.
        stride: Events between the ends of a long history's windows, 1 to ``max_length``.
        train_targets: ``all``, or ``last``: each user's last train event alone, from the
            ``max_length`` events before it.

    Raises:
        InputError: the stride exceeds the window, or no user has two train events.
    """
    _check_stride(stride, max_length)
    users = _trainable(histories)
    offset, n_targets = histories.offsets[users], histories.n_train[users] - 1
    if train_targets == "last":
        length = np.minimum(n_targets, max_length)
        return Windows(start=offset + n_targets - length, length=length, first=length - 1)
    return _strided(offset, n_targets, max_length, stride)


def whole_windows(
    histories: Histories, *, max_length: int, stride: int, train_targets: str
) -> Windows:
    """Windows for a backbone that finds hidden items: any event read may be hidden, the last too.

    Long histories are read as in ``next_item_windows``, and ``first`` is the first event that no
    earlier window has offered.

    Args:
        histories: Only their train events are read.
        max_length: Most events a window holds.
        stride: Events between the ends of a long history's windows, 1 to ``max_length``.
        train_targets: ``all``, or ``last``: only each user's last train event is offered.

    Raises:
        InputError: the stride exceeds the window, or no user has two train events.
    """
    _check_stride(stride, max_length)
    users = _trainable(histories)
    offset, n_events = histories.offsets[users], histories.n_train[users]
    if train_targets == "last":
        length = np.minimum(n_events, max_length)
        return Windows(start=offset + n_events - length, length=length, first=length - 1)
    return _strided(offset, n_events, max_length, stride)


def _check_stride(stride: int, max_length: int) -> None:
    if stride > max_length:
        raise InputError(f"window_stride is {stride}, but at most max_length, {max_length}.")


def _trainable(histories: Histories) -> np.ndarray:
    """Users with two train events or more: one to read and one to find."""
    users = np.flatnonzero(histories.n_train > 1)
    if not len(users):
        raise InputError("interactions: the training set is empty; no user has two train events.")
    return users


def _strided(offset: np.ndarray, n_events: np.ndarray, max_length: int, stride: int) -> Windows:
    """Windows over stretches of ``n_events`` that begin at ``offset``, each event trained once."""
    n_more = np.maximum(0, -(-(n_events - max_length) // stride))  # after the first window
    row = np.repeat(np.arange(len(offset)), 1 + n_more)
    place = np.arange(len(row)) - np.repeat(np.cumsum(1 + n_more) - 1 - n_more, 1 + n_more)
    end = np.minimum(max_length + place * stride, n_events[row])
    begin = np.maximum(0, end - max_length)
    trained_before = np.where(place > 0, max_length + (place - 1) * stride, 0)
    return Windows(start=offset[row] + begin, length=end - begin, first=trained_before - begin)
