"""SASRec: causal self-attention over the history (Kang & McAuley, ICDM 2018)."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ace_steps.backbones.network import (
    LAYER_NORM_EPS,
    Network,
    Packing,
    TransformerLayer,
    initialize,
)
from ace_steps.backbones.settings import TransformerSettings
from ace_steps.io.tables import PADDING


class SasRecSettings(TransformerSettings):
    """SASRec: causal self-attention, learned positions counted from the oldest item."""

    model: Literal["sasrec"] = "sasrec"


class SasRec(Network):
    """Item histories to next-item queries, in the space of the item vectors."""

    is_causal = True
    can_pack = True

    def __init__(self, settings: SasRecSettings, n_items: int, generator: torch.Generator) -> None:
        """``n_items`` is not needed: nothing here is per item."""
        super().__init__()
        self.longest_history = settings.max_length
        self.positions = nn.Parameter(torch.empty(settings.max_length, settings.dim))
        self.input_norm = nn.LayerNorm(settings.dim, eps=LAYER_NORM_EPS)
        self.dropout = nn.Dropout(settings.dropout)
        self.layers = nn.ModuleList(TransformerLayer(settings) for _ in range(settings.num_layers))
        initialize(self, generator)

    def forward(self, history: Tensor, items: Tensor, packing: Packing | None) -> Tensor:
        """Queries for the item after each position, (rows, length, dim).

        Padding stands on the right, so a causal position never sees it and needs no mask.
        """
        states = F.embedding(history, items, padding_idx=PADDING)
        if packing is None:
            mask, position = None, torch.arange(history.shape[1], device=history.device)
        else:
            mask, position = packing.same_history().tril(), packing.position
        states = self.dropout(self.input_norm(states + F.embedding(position, self.positions)))
        for layer in self.layers:
            states = layer(states, mask)
        return states
