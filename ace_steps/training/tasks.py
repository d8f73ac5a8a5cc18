"""What a backbone is trained to predict, as batches: the next item, or hidden items."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np

from ace_steps.backbones.network import MASK, Network
from ace_steps.backbones.settings import BackboneSettings
from ace_steps.io.tables import PADDING
from ace_steps.registry import BACKBONES
from ace_steps.sequences.batches import Batch, draw_batches, gather, lay_out
from ace_steps.sequences.histories import Histories
from ace_steps.sequences.windows import cut_windows


class Task(ABC):
    """What the loop needs to know of a task; a subclass makes the batches of one.

    Attributes:
        n_targets: Targets trained in an epoch; their expected number where they are drawn.
        n_steps: Steps of an epoch.
        train_counts: (n_items,) train events of each item, item 1 first.
    """

    reads_last: bool  # of windows; see ``cut_windows``

    def __init__(
        self, histories: Histories, settings: BackboneSettings, n_items: int, *, pack: bool
    ) -> None:
        """``pack``: put short histories into common rows.

        Raises:
            InputError: there is nothing to train on, or the settings do not fit each other.
        """
        training = settings.training
        self._items, self._pack, self._size = histories.items, pack, training.batch_size
        self._windows = cut_windows(
            histories,
            max_length=settings.max_length,
            stride=settings.window_stride(),
            train_targets=training.train_targets,
            reads_last=self.reads_last,
        )
        self.n_targets = self._windows.n_targets
        self.n_steps = -(-len(self._windows.start) // self._size)
        self.train_counts = histories.train_counts(n_items)

    @abstractmethod
    def batches(self, rng: np.random.Generator) -> Iterator[Batch]:
        """One epoch: every window once, in an order that ``rng`` draws."""


class NextItem(Task):
    """Every event read is to predict the one after it; for causal backbones."""

    reads_last = False

    def batches(self, rng: np.random.Generator) -> Iterator[Batch]:
        """One epoch: every window once, in an order that ``rng`` draws."""
        windows = self._windows
        for chosen in draw_batches(len(windows.start), self._size, rng):
            start, length = windows.start[chosen], windows.length[chosen]
            read = gather(self._items, start, length)
            following = gather(self._items, start + 1, length)
            is_trained = np.arange(read.shape[1]) >= windows.first[chosen, None]
            wanted = np.where(is_trained, following, PADDING)
            yield lay_out(read, wanted, length, pack=self._pack)


class HiddenItem(Task):
    """Hidden events are to be found from those around them; for backbones that look both ways.

    In every window of every epoch anew: with chance ``mask_last_ratio`` its last event alone is
    hidden, which is how the network is asked at the end; else each event with chance
    ``mask_ratio``, and one at random where that hides none.
    """

    reads_last = True

    def __init__(
        self, histories: Histories, settings: BackboneSettings, n_items: int, *, pack: bool
    ) -> None:
        super().__init__(histories, settings, n_items, pack=pack)
        self._only_last = settings.training.train_targets == "last"
        self._mask_ratio, self._last_ratio = settings.mask_ratio, settings.mask_last_ratio
        if not self._only_last:
            n_offered = self._windows.length - self._windows.first
            n_some = self._mask_ratio * n_offered + (1 - self._mask_ratio) ** n_offered
            n_hidden = self._last_ratio + (1 - self._last_ratio) * n_some
            self.n_targets = round(n_hidden.sum())

    def batches(self, rng: np.random.Generator) -> Iterator[Batch]:
        """One epoch: every window once, order and hidden events as ``rng`` draws them."""
        windows = self._windows
        for chosen in draw_batches(len(windows.start), self._size, rng):
            length = windows.length[chosen]
            events = gather(self._items, windows.start[chosen], length)
            is_hidden = self._hide(windows.first[chosen], length, events.shape[1], rng)
            read, wanted = np.where(is_hidden, MASK, events), np.where(is_hidden, events, PADDING)
            yield lay_out(read, wanted, length, pack=self._pack)

    def _hide(
        self, first: np.ndarray, length: np.ndarray, longest: int, rng: np.random.Generator
    ) -> np.ndarray:
        """(windows, longest) bool, True where an event is hidden; at least one a window."""
        place = np.arange(longest)
        is_last = place == length[:, None] - 1
        if self._only_last:
            return is_last
        is_offered = (place >= first[:, None]) & (place < length[:, None])
        draw = np.where(is_offered, rng.random(is_offered.shape), np.inf)
        lowest = draw == draw.min(axis=1, keepdims=True)
        is_hidden = (draw < self._mask_ratio) | lowest
        return np.where(rng.random((len(first), 1)) < self._last_ratio, is_last, is_hidden)


def build_task(
    histories: Histories, settings: BackboneSettings, network: Network, n_items: int
) -> Task:
    """What this backbone is trained to predict.

    Raises:
        InputError: there is nothing to train on, or the settings do not fit each other.
    """
    if not BACKBONES[settings.model].implementation().is_causal:
        return HiddenItem(histories, settings, n_items, pack=network.can_pack)
    return NextItem(histories, settings, n_items, pack=network.can_pack)
