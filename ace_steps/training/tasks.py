"""What a backbone is trained to predict, as batches: the next item, or hidden items."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from ace_steps.backbones.network import Network
from ace_steps.backbones.settings import BackboneSettings
from ace_steps.tables import PADDING
from ace_steps.training.batches import Batch, draw_batches, gather, lay_out
from ace_steps.training.histories import Histories
from ace_steps.training.windows import next_item_windows


class Task(Protocol):
    """What the loop needs to know of a task.

    Attributes:
        n_targets: Targets trained in an epoch, about where they are drawn at random.
        n_steps: Steps of an epoch.
        train_counts: (n_items,) train events of each item, item 1 first.
    """

    n_targets: int
    n_steps: int
    train_counts: np.ndarray

    def batches(self, rng: np.random.Generator) -> Iterator[Batch]:
        """One epoch: every window once, in an order that ``rng`` draws."""


class NextItem:
    """Every event read is to predict the one after it; for causal backbones."""

    def __init__(
        self, histories: Histories, settings: BackboneSettings, n_items: int, *, pack: bool
    ) -> None:
        self._items, self._pack = histories.items, pack
        self._windows = next_item_windows(
            histories,
            max_length=settings.max_length,
            stride=settings.training.window_stride,
            train_targets=settings.training.train_targets,
        )
        self._size = settings.training.batch_sequences
        self.n_targets = self._windows.n_targets
        self.n_steps = -(-len(self._windows.start) // self._size)
        self.train_counts = histories.train_counts(n_items)

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


def build_task(
    histories: Histories, settings: BackboneSettings, network: Network, n_items: int
) -> Task:
    """What this backbone is trained to predict.

    Raises:
        InputError: there is nothing to train on, or the settings do not fit each other.
    """
    return NextItem(histories, settings, n_items, pack=network.can_pack)
