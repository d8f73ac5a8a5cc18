"""GRU4Rec: a recurrent network over the history (Hidasi et al., ICLR 2016)."""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from ace_steps.backbones.network import Network, Packing
from ace_steps.backbones.settings import BackboneSettings
from ace_steps.io.tables import PADDING
from ace_steps.settings import Count, Grid


class Gru4RecSettings(BackboneSettings):
    """GRU4Rec: a recurrent network whose state is mapped to the items' dim."""

    model: Literal["gru4rec"] = "gru4rec"
    hidden_dim: Grid[Count] = Field(128, description="Dimensions of the recurrent state.")
    num_layers: Grid[Count] = Field(1, description="Recurrent layers on top of each other.")


class Gru4Rec(Network):
    """Item histories to next-item queries, in the space of the item vectors."""

    is_causal = True
    can_pack = False  # its state would run on from one history of a row into the next

    def __init__(self, settings: Gru4RecSettings, n_items: int, generator: torch.Generator) -> None:
        """``n_items`` is not needed: nothing here is per item."""
        super().__init__()
        self.longest_history = settings.max_length
        self.dropout = nn.Dropout(settings.dropout)
        self.gru = nn.GRU(settings.dim, settings.hidden_dim, settings.num_layers, batch_first=True)
        self.to_width = nn.Linear(settings.hidden_dim, settings.dim)
        for _, parameter in sorted(self.named_parameters()):
            if parameter.ndim >= 2:
                nn.init.xavier_uniform_(parameter, generator=generator)
            else:
                nn.init.zeros_(parameter)

    def forward(self, history: Tensor, items: Tensor, packing: Packing | None) -> Tensor:
        """Queries for the item after each position, (rows, length, dim)."""
        if packing is not None:
            raise ValueError("a recurrent network reads one history a row")
        states, _ = self.gru(self.dropout(F.embedding(history, items, padding_idx=PADDING)))
        return self.to_width(states)
