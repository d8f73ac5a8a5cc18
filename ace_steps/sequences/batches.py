"""Training windows of histories, and batches of them, laid out so that little is padding."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ace_steps.backbones.network import MASK, Packing
from ace_steps.errors import InputError
from ace_steps.io.tables import PADDING
from ace_steps.sequences.histories import Histories


@dataclass(frozen=True)
class Windows:
    """Stretches of ``Histories.items``, each at most the backbone's longest history; (n,) int64."""

    start: np.ndarray  # index of the first event
    length: np.ndarray  # events
    first: np.ndarray  # position in the window from which on its events are trained

    @property
    def n_targets(self) -> int:
        """Events trained by all windows together."""
        return int((self.length - self.first).sum())


def cut_windows(
    histories: Histories, *, max_length: int, stride: int, train_targets: str, reads_last: bool
) -> Windows:
    """Windows in which every event of interest is trained once.

    A history that fits into one window trains exactly the targets of prefix-by-prefix augmentation
    in one causal pass. A longer one is read in windows of ``max_length`` events that end ``stride``
    events apart, and each trains only what no earlier window has trained; beyond the first window a
    target sees its latest ``max_length - stride + 1`` to ``max_length`` events. ``stride=1`` is
    prefix augmentation to the letter, at its cost; ``stride=max_length`` reads no event twice.

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


@dataclass(frozen=True)
class Block:
    """Windows of one forward pass."""

    history: Tensor  # (rows, length) int64 item indices, padded on the right with 0
    trained: Tensor  # (m,) int64 indices of the trained positions in ``history.flatten()``
    packing: Packing | None  # where several windows stand in one row

    def to(self, device: torch.device) -> "Block":
        """The block on a device."""
        packing = self.packing and self.packing.to(device)
        return Block(self.history.to(device), self.trained.to(device), packing)


@dataclass(frozen=True)
class Batch:
    """The windows of one step: blocks, and the (m,) int64 items their trained positions predict."""

    blocks: list[Block]
    targets: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device."""
        return Batch([block.to(device) for block in self.blocks], self.targets.to(device))


def needed_rows(batch: Batch, drawn: Tensor) -> Tensor:
    """(k,) int64 rows of the item vectors that a step needs, ascending from the padding's row 0.

    ``drawn`` are (n,) further items that are scored.
    """
    histories = [block.history.flatten() for block in batch.blocks]
    return torch.cat([drawn.new_zeros(1), drawn, batch.targets, *histories]).clamp_(min=0).unique()


def renumbered(batch: Batch, rows: Tensor) -> Batch:
    """The batch with every item named by its index in ``rows``, which holds all of them."""
    blocks = []
    for block in batch.blocks:
        index = torch.searchsorted(rows, block.history)
        blocks.append(replace(block, history=torch.where(block.history == MASK, MASK, index)))
    return Batch(blocks, torch.searchsorted(rows, batch.targets))


def draw_batches(n_windows: int, size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """All windows once in random order, cut into batches of ``size``; the last may be smaller."""
    order = rng.permutation(n_windows)
    return [order[start : start + size] for start in range(0, n_windows, size)]


def lay_out(history: np.ndarray, targets: np.ndarray, length: np.ndarray, *, pack: bool) -> Batch:
    """A batch of windows, packed into common rows or bucketed by length.

    Its blocks share one loss and one step: short histories do not only share gradients with short
    ones.

    Args:
        history: (windows, longest) item indices, padded on the right with 0.
        targets: The same shape; the item to predict at each trained position, elsewhere 0.
        length: (windows,) real entries of each, at least 1.
        pack: Put all but the longest bucket's windows into common rows; for networks that can.
    """
    *shorter, longest = split_by_length(length)
    pieces = []
    for rows in [*([] if pack else shorter), longest]:
        n = length[rows].max()
        pieces.append(_block(history[rows, :n], targets[rows, :n], packing=None))
    if pack and shorter:
        rows = np.concatenate(shorter)
        pieces.append(_packed(history[rows], targets[rows], length[rows]))
    blocks, items = zip(*pieces, strict=True)
    return Batch(list(blocks), torch.from_numpy(np.concatenate(items).astype(np.int64)))


def split_by_length(lengths: np.ndarray) -> Iterator[np.ndarray]:
    """Indices of lengths 1-2, 3-4, 5-8, 9-16...: at most half of such a block is padding."""
    exponent = _exponents(lengths)
    for each in np.unique(exponent):
        yield np.flatnonzero(exponent == each)


def gather(items: np.ndarray, start: np.ndarray, length: np.ndarray) -> np.ndarray:
    """(rows, longest) stretches of ``items``, padded on the right with 0."""
    position = np.arange(length.max())
    is_real = position < length[:, None]
    source = np.where(is_real, start[:, None] + position, 0)
    return np.where(is_real, items[source], PADDING)


def _exponents(lengths: np.ndarray) -> np.ndarray:
    """The least e >= 1 with 2^e >= length."""
    return np.ceil(np.log2(np.maximum(lengths, 2))).astype(np.int64)


def _packed(
    history: np.ndarray, targets: np.ndarray, length: np.ndarray
) -> tuple[Block, np.ndarray]:
    """A block with many windows a row, and the items its trained positions predict.

    Every window gets a slot whose size is a power of two, in rows as long as the longest slot;
    laid end to end from the largest to the smallest, no slot crosses the end of a row.
    """
    order = np.argsort(-length, kind="stable")
    slot = 2 ** _exponents(length[order])
    begin = np.cumsum(slot) - slot
    row_length = slot[0]
    n_rows = -(-int(slot.sum()) // row_length)
    window = np.repeat(order, slot)
    position = np.arange(len(window)) - np.repeat(begin, slot)
    real = np.flatnonzero(position < length[window])
    laid = np.zeros((4, n_rows * row_length), np.int64)
    laid[0, real] = history[window[real], position[real]]
    laid[1, real] = targets[window[real], position[real]]
    laid[2, real] = position[real]
    laid[3, : len(window)] = window + 1
    history, targets, position, segment = laid.reshape(4, n_rows, row_length)
    packing = Packing(torch.from_numpy(position.copy()), torch.from_numpy(segment.copy()))
    return _block(history, targets, packing)


def _block(
    history: np.ndarray, targets: np.ndarray, packing: Packing | None
) -> tuple[Block, np.ndarray]:
    trained = np.flatnonzero(targets)
    block = Block(torch.from_numpy(history.astype(np.int64)), torch.from_numpy(trained), packing)
    return block, targets.reshape(-1)[trained]
