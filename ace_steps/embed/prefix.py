"""What all texts begin with, read once: in a causal model later tokens change no earlier state."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache

from ace_steps.embed.models import Encoder
from ace_steps.embed.tokens import Tokens

LEAST_TOKENS = 4  # fewer are not worth a pass of their own


@dataclass(frozen=True)
class Prefix:
    """The first tokens of every text, as the model read them.

    Attributes:
        n_tokens: Their number; every text has more.
        states: (1, n_tokens, dim), of the layer that is asked for.
        keys: Keys and values of each layer, (1, heads, n_tokens, head_dim).
    """

    n_tokens: int
    states: Tensor
    keys: tuple[tuple[Tensor, Tensor], ...]

    def continued(self, encoder: Encoder, layer: int, ids: Tensor) -> Tensor:
        """States of whole texts (texts, tokens, dim), of which only the rest is computed."""
        cache = DynamicCache(config=encoder.model.config)
        for index, pair in enumerate(self.keys):
            cache.update(*(part.expand(len(ids), -1, -1, -1) for part in pair), index)
        rest = states_of(encoder, layer, input_ids=ids[:, self.n_tokens :], past_key_values=cache)
        return torch.cat([self.states.expand(len(ids), -1, -1), rest], dim=1)


def states_of(encoder: Encoder, layer: int, **given: Tensor | DynamicCache | bool | None) -> Tensor:
    """States of one layer, (texts, tokens, dim)."""
    if layer == -1:
        return encoder.model(**given).last_hidden_state
    return encoder.model(**given, output_hidden_states=True).hidden_states[layer]


@torch.inference_mode()
def read_prefix(encoder: Encoder, tokens: Tokens, layer: int) -> Prefix | None:
    """What all texts begin with, read by the model; None where that saves nothing.

    Only for fused decoders on a CPU: there every token costs the same, however many there are.
    """
    is_worth = encoder.is_fused and encoder.is_causal and len(tokens.lengths) > 1
    n_tokens = common_tokens(tokens) if is_worth else 0
    if n_tokens < LEAST_TOKENS:
        return None
    first = tokens.ids[tokens.offsets[0] :][:n_tokens].astype(np.int64)
    cache = DynamicCache(config=encoder.model.config)
    states = states_of(
        encoder, layer, input_ids=torch.from_numpy(first)[None], past_key_values=cache
    )
    keys = tuple((held.keys, held.values) for held in cache.layers)
    return Prefix(n_tokens, states, keys)


def common_tokens(tokens: Tokens) -> int:
    """Number of tokens that all texts begin with, one less than the shortest text at most.

    Args:
        tokens: At least one text, none without tokens.
    """
    starts = tokens.offsets[:-1]
    for place in range(int(tokens.lengths.min()) - 1):
        column = tokens.ids[starts + place]
        if (column != column[0]).any():
            return place
    return int(tokens.lengths.min()) - 1
