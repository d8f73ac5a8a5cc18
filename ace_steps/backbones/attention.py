"""The transformer layer that SASRec and BERT4Rec share."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ace_steps.backbones.settings import TransformerSettings

INIT_STD = 0.02  # of every weight matrix, as in the paper
LAYER_NORM_EPS = 1e-12  # as in the paper


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
        """The layer's output.

        Args:
            states: (rows, length, dim).
            mask: (rows, 1, length or 1, length) bool, True where the last may be seen by the one
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
    """Draw every weight matrix from N(0, 0.02^2); biases are 0, and layer norms stay the identity.

    Args:
        network: Its parameters of two dimensions are drawn in order of name.
        generator: Source of the numbers.
    """
    for _, parameter in sorted(network.named_parameters()):
        if parameter.ndim >= 2:
            nn.init.normal_(parameter, std=INIT_STD, generator=generator)
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
