"""What every sequence network offers to the training loop and the ranking."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

MASK = -1  # stands in a history for a masked item, which is to be predicted


@dataclass(frozen=True)
class Packing:
    """Where several histories stand in one row, so that a batch of short ones is nearly full.

    Attributes:
        position: (rows, length) int64 position of each entry in its own history, oldest is 0.
        segment: (rows, length) int64 which history of the row it belongs to.
    """

    position: Tensor
    segment: Tensor

    def same_history(self) -> Tensor:
        """(rows, 1, length, length) bool: which pairs of a row's entries may see each other."""
        return (self.segment[:, :, None] == self.segment[:, None, :]).unsqueeze(1)

    def to(self, device: torch.device) -> "Packing":
        """The same on a device."""
        return Packing(self.position.to(device), self.segment.to(device))


class Network(nn.Module):
    """Base of the sequence networks: item histories to queries, over given item vectors.

    A subclass is built from ``(settings, n_items, generator)`` and defines
    ``forward(history, items, packing)``: (rows, length) item indices, padded on the right with 0,
    and (n_items + 1, dim) item vectors, row 0 zero, to (rows, length, query dim). Histories of
    a network that is trained on masked items may hold ``MASK``.

    Attributes:
        is_causal: A position sees only itself and what came before, so that one pass trains every
            prefix; otherwise masked positions are the targets.
        longest_history: Latest events that a prediction reads.
        can_pack: ``forward`` takes rows of several histories; otherwise ``packing`` must be None.
    """

    is_causal: bool
    longest_history: int
    can_pack: bool

    def scored_items(self, items: Tensor, rows: Tensor | None = None) -> Tensor:
        """What a query's inner products with are the scores.

        Args:
            items: (n_items + 1, dim) item vectors, or those of ``rows`` alone.
            rows: (k,) which items ``items`` are; None for all.

        Returns:
            (n_items + 1 or k, query dim).
        """
        return items

    def next_queries(self, history: Tensor, length: Tensor, items: Tensor) -> Tensor:
        """The query for what follows each history.

        Args:
            history: (rows, longest) item indices, one history a row, padded on the right with 0.
            length: (rows,) real events of each, at least 1, at most ``longest_history``.
            items: (n_items + 1, dim) item vectors.

        Returns:
            (rows, query dim).
        """
        rows = torch.arange(len(history), device=history.device)
        return self(history, items, None)[rows, length - 1]
