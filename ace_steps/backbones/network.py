"""What every sequence network offers, and the transformer layer that SASRec and BERT4Rec share."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ace_steps.backbones.settings import TransformerSettings

MASK = -1  # stands in a history for a masked item, which is to be predicted
INIT_STD = 0.02  # of every weight matrix, as in the paper
LAYER_NORM_EPS = 1e-12  # as in the paper


@dataclass(frozen=True)
class Packing:
    """Where several histories stand in one row, so that a batch of short ones is nearly full.

    Both are (rows, length) int64.
    """

    position: Tensor  # of each entry in its own history, oldest is 0
    segment: Tensor  # which history of the row it belongs to

    def same_history(self) -> Tensor:
        """(rows, 1, length, length) bool: which pairs of a row's entries may see each other."""
        return (self.segment[:, :, None] == self.segment[:, None, :]).unsqueeze(1)

    def to(self, device: torch.device) -> "Packing":
        """The same on a device."""
        return Packing(self.position.to(device), self.segment.to(device))


class Network(nn.Module):
    """Base of the sequence networks: item histories to queries, over given item vectors.

    A subclass is built from ``(settings, n_items, generator)`` and defines
    ``forward(history, items, packing)``: (rows, length) item indices, oldest first, padded on the
    right with 0, and (n_items + 1, dim) item vectors, row 0 zero, to (rows, length, query dim).
    Histories of a network that is trained on masked items may hold ``MASK``.

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
        """What a query's inner products with are the scores, (n_items + 1 or k, query dim).

        Args:
            items: (n_items + 1, dim) item vectors, or those of ``rows`` alone.
            rows: (k,) which items ``items`` are; None for all.
        """
        return items

    def next_queries(self, history: Tensor, length: Tensor, items: Tensor) -> Tensor:
        """The query for what follows each history, (rows, query dim).

        Args:
            history: (rows, longest) item indices, one history a row, padded on the right with 0.
            length: (rows,) real events of each, at least 1, at most ``longest_history``.
            items: (n_items + 1, dim) item vectors.
        """
        rows = torch.arange(len(history), device=history.device)
        return self(history, items, None)[rows, length - 1]


class TransformerLayer(nn.Module):
    """Self-attention and feed-forward, each with a residual and the layer norm after it."""

    def __init__(self, settings: TransformerSettings) -> None:
        super().__init__()
        dim = settings.dim
        self.heads = settings.num_heads
        self.attention_dropout = settings.attention_dropout
        self.to_heads = nn.Linear(dim, 3 * dim)
        self.from_heads = nn.Linear(dim, dim)
        self.attention_norm = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.to_inner = nn.Linear(dim, settings.inner_dim)
        self.from_inner = nn.Linear(settings.inner_dim, dim)
        self.inner_norm = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, states: Tensor, mask: Tensor | None) -> Tensor:
        """States to states, (rows, length, dim).

        ``mask``, (rows, 1, length or 1, length) bool, is True where the last may be seen by the one
        before; None for causal attention.
        """
        attended = self.from_heads(self._attend(states, mask))
        states = self.attention_norm(states + self.dropout(attended))
        inner = self.from_inner(F.gelu(self.to_inner(states)))
        return self.inner_norm(states + self.dropout(inner))

    def _attend(self, states: Tensor, mask: Tensor | None) -> Tensor:
        rows, length, dim = states.shape
        split = self.to_heads(states).view(rows, length, 3, self.heads, dim // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)  # each (rows, heads, length, dim/heads)
        attended = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=mask,
            dropout_p=self.attention_dropout if self.training else 0.0,
            is_causal=mask is None,
        )
        return attended.transpose(1, 2).reshape(rows, length, dim)


def initialize(network: nn.Module, generator: torch.Generator) -> None:
    """Draw every weight matrix, in order of name, from N(0, 0.02^2); biases are 0."""
    for _, parameter in sorted(network.named_parameters()):
        if parameter.ndim >= 2:
            nn.init.normal_(parameter, std=INIT_STD, generator=generator)
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
