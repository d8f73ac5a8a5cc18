"""BERT4Rec: attention in both directions, trained on masked items (Sun et al., CIKM 2019)."""

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from ace_steps.backbones.network import (
    LAYER_NORM_EPS,
    MASK,
    Network,
    Packing,
    TransformerLayer,
    initialize,
)
from ace_steps.backbones.settings import TransformerSettings
from ace_steps.io.tables import PADDING
from ace_steps.settings import Grid, Probability


class Bert4RecSettings(TransformerSettings):
    """BERT4Rec: attention in both directions, trained on masked items."""

    model: Literal["bert4rec"] = "bert4rec"
    max_length: Grid[Annotated[int, Field(ge=2)]] = Field(
        50,
        description="Latest events of a history that the model encodes; when the next item is "
        "predicted, its [MASK] is one of them.",
    )
    mask_ratio: Grid[Probability] = Field(
        0.2,
        description="Probability of each event of a window to be masked; one at random is where "
        "that masks none.",
    )
    mask_last_ratio: Grid[Probability] = Field(
        0.5,
        description="Probability of a window to have its last event alone masked, as at the end "
        "when the next item is predicted.",
    )


class Bert4Rec(Network):
    """Histories with masked items (``MASK``) to queries for them.

    A query ends in a 1 and a scored item in its bias, so that scores are inner products here too.
    """

    is_causal = False
    can_pack = True

    def __init__(
        self, settings: Bert4RecSettings, n_items: int, generator: torch.Generator
    ) -> None:
        """``n_items`` is the number of item biases, one each and an unused one for the padding."""
        super().__init__()
        dim = settings.dim
        self.longest_history = settings.max_length - 1
        self.positions = nn.Parameter(torch.empty(settings.max_length, dim))
        self.input_norm = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.dropout = nn.Dropout(settings.dropout)
        self.layers = nn.ModuleList(TransformerLayer(settings) for _ in range(settings.num_layers))
        self.to_query = nn.Linear(dim, dim)
        self.query_norm = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        initialize(self, generator)
        self.hidden_item = nn.Parameter(torch.zeros(dim))
        self.item_bias = nn.Parameter(torch.zeros(n_items + 1))

    def forward(self, history: Tensor, items: Tensor, packing: Packing | None) -> Tensor:
        """Queries for the item at each position, (rows, length, dim + 1)."""
        states = F.embedding(history.clamp(min=PADDING), items, padding_idx=PADDING)
        states = torch.where((history == MASK).unsqueeze(-1), self.hidden_item, states)
        mask = (history != PADDING)[:, None, None, :]  # who may be seen
        if packing is None:
            position = torch.arange(history.shape[1], device=history.device)
        else:
            position = packing.position
            # Unused positions see themselves: a softmax over nothing would be NaN.
            alone = torch.eye(history.shape[1], dtype=torch.bool, device=history.device)
            mask = (mask & packing.same_history()) | alone
        states = self.dropout(self.input_norm(states + F.embedding(position, self.positions)))
        for layer in self.layers:
            states = layer(states, mask)
        queries = self.query_norm(F.gelu(self.to_query(states)))
        return torch.cat([queries, torch.ones_like(queries[..., :1])], dim=-1)

    def scored_items(self, items: Tensor, rows: Tensor | None = None) -> Tensor:
        """(n_items + 1 or k, dim + 1): item vectors, each followed by its bias."""
        bias = self.item_bias if rows is None else self.item_bias[rows]
        return torch.cat([items, bias.unsqueeze(1)], dim=1)

    def next_queries(self, history: Tensor, length: Tensor, items: Tensor) -> Tensor:
        """The query for a masked item after each history, (rows, dim + 1)."""
        rows = torch.arange(len(history), device=history.device)
        with_mask = F.pad(history, (0, 1), value=PADDING)
        with_mask[rows, length] = MASK
        return self(with_mask, items, None)[rows, length]
