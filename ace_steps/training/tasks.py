"""What a backbone is trained to predict, as batches: the next item, or masked items."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np

from ace_steps.backbones.network import MASK, Network
from ace_steps.backbones.settings import BackboneSettings
from ace_steps.io.tables import PADDING
from ace_steps.registry import BACKBONES
from ace_steps.sequences.batches import Batch, cut_windows, draw_batches, gather, lay_out
from ace_steps.sequences.histories import Histories


class Task(ABC):
    """What the loop needs to know of a task; a subclass lays out the batches of one.

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

    def batches(self, rng: np.random.Generator) -> Iterator[Batch]:
        """One epoch: every window once; its order, and what is masked, are drawn from ``rng``."""
        windows = self._windows
        for rows in draw_batches(len(windows.start), self._size, rng):
            start, length = windows.start[rows], windows.length[rows]
            history, targets = self._examples(start, length, windows.first[rows], rng)
            yield lay_out(history, targets, length, pack=self._pack)

    @abstractmethod
    def _examples(
        self, start: np.ndarray, length: np.ndarray, first: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """(windows, longest) item indices, and the items to predict, 0 where nothing is trained."""


class NextItem(Task):
    """Every event predicts the one after it; for causal backbones."""

    reads_last = False

    def _examples(
        self, start: np.ndarray, length: np.ndarray, first: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        history = gather(self._items, start, length)
        following = gather(self._items, start + 1, length)
        is_trained = np.arange(history.shape[1]) >= first[:, None]
        return history, np.where(is_trained, following, PADDING)


class MaskedItem(Task):
    """Masked events are predicted from those around them; for backbones that look both ways.

    In every window of every epoch anew: with chance ``mask_last_ratio`` its last event alone is
    masked, as it is in a recommendation; else each event with chance ``mask_ratio``, and one at
    random where that masks none.
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
            n_masked = self._last_ratio + (1 - self._last_ratio) * n_some
            self.n_targets = round(n_masked.sum())

    def _examples(
        self, start: np.ndarray, length: np.ndarray, first: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        events = gather(self._items, start, length)
        is_masked = self._mask(first, length, events.shape[1], rng)
        return np.where(is_masked, MASK, events), np.where(is_masked, events, PADDING)

    def _mask(
        self, first: np.ndarray, length: np.ndarray, longest: int, rng: np.random.Generator
    ) -> np.ndarray:
        """(windows, longest) bool, True where an event is masked; at least one a window."""
        position = np.arange(longest)
        is_last = position == length[:, None] - 1
        if self._only_last:
            return is_last
        is_offered = (position >= first[:, None]) & (position < length[:, None])
        draw = np.where(is_offered, rng.random(is_offered.shape), np.inf)
        is_lowest = draw == draw.min(axis=1, keepdims=True)
        is_masked = (draw < self._mask_ratio) | is_lowest
        return np.where(rng.random((len(first), 1)) < self._last_ratio, is_last, is_masked)


def build_task(
    histories: Histories, settings: BackboneSettings, network: Network, n_items: int
) -> Task:
    """What this backbone is trained to predict.

    Raises:
        InputError: there is nothing to train on, or the settings do not fit each other.
    """
    is_causal = BACKBONES[settings.model].implementation().is_causal
    task = NextItem if is_causal else MaskedItem
    return task(histories, settings, n_items, pack=network.can_pack)
