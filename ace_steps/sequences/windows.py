"""Training windows: stretches of histories for one forward pass, and the targets it trains."""

from dataclasses import dataclass

import numpy as np

from ace_steps.errors import InputError
from ace_steps.sequences.histories import Histories


@dataclass(frozen=True)
class Windows:
    """Stretches of ``Histories.items``, each at most the backbone's longest history.

    Attributes:
        start: (n,) int64 index of the first event.
        length: (n,) int64 events.
        first: (n,) int64 position in the window of the first event that is trained; all from
            there to the window's end are.
    """

    start: np.ndarray
    length: np.ndarray
    first: np.ndarray

    @property
    def n_targets(self) -> int:
        """Events trained by all windows together."""
        return int((self.length - self.first).sum())


def cut_windows(
    histories: Histories, *, max_length: int, stride: int, train_targets: str, reads_last: bool
) -> Windows:
    """Windows in which every event of interest is trained once.

    A user with m train events has m - 1 events that are followed by one, of which each is trained
    to predict it; a backbone that predicts masked events is offered all m. While they fit into one
    window, one causal pass trains exactly the targets of prefix-by-prefix augmentation, each from
    its whole history. A longer history is read in windows of ``max_length`` events that end
    ``stride`` events apart, and each trains only what no earlier window has trained. So every
    target is trained once whatever the length; beyond the first window it sees its latest
    ``max_length - stride + 1`` to ``max_length`` events. ``stride=1`` is prefix augmentation to the
    letter, at its cost; ``stride=max_length`` reads no event twice.

    Args:
        histories: Only their train events are read.
        max_length: Most events a window holds.
        stride: Events between the ends of a long history's windows, 1 to ``max_length``.
        train_targets: ``all``, or ``last``: each user's last train event alone is the target, from
            the latest events.
        reads_last: The last train event stands in a window too, to be masked there; otherwise it
            is only what the one before it predicts.

    Raises:
        InputError: the stride exceeds the window, or no user has two train events.
    """
    if stride > max_length:
        raise InputError(f"window_stride: expected at most max_length, {max_length}, got {stride}.")
    users = np.flatnonzero(histories.n_train > 1)  # one event to predict from and one to predict
    if not len(users):
        raise InputError("interactions: the training set is empty; no user has two train events.")
    offset = histories.offsets[users]
    n_events = histories.n_train[users] - (0 if reads_last else 1)
    if train_targets == "last":
        length = np.minimum(n_events, max_length)
        return Windows(start=offset + n_events - length, length=length, first=length - 1)
    return _strided(offset, n_events, max_length, stride)


def _strided(offset: np.ndarray, n_events: np.ndarray, max_length: int, stride: int) -> Windows:
    """Windows over stretches of ``n_events`` that begin at ``offset``, each event trained once."""
    n_more = np.maximum(0, -(-(n_events - max_length) // stride))  # after the first window
    row = np.repeat(np.arange(len(offset)), 1 + n_more)
    number = np.arange(len(row)) - np.repeat(np.cumsum(1 + n_more) - 1 - n_more, 1 + n_more)
    end = np.minimum(max_length + number * stride, n_events[row])
    begin = np.maximum(0, end - max_length)
    trained_before = np.where(number > 0, max_length + (number - 1) * stride, 0)
    return Windows(start=offset[row] + begin, length=end - begin, first=trained_before - begin)
