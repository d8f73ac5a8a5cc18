"""From a text's token states to its one vector, at the level of tensors.

Every pooling takes ``states`` (batch, tokens, dim) of any float dtype and ``mask`` (batch,
tokens), True for a real token and False for padding on either side, and gives (batch, dim)
float32. A row without a real token is a ``ValueError``, unless the mask is on a GPU, where looking
at it would wait for all that was sent there before.
"""

import torch
from torch import Tensor
from torch.nn import functional


def mean(states: Tensor, mask: Tensor) -> Tensor:
    """Mean over the real tokens."""
    return _weighted(states, _checked(mask).float())


def weighted_mean(states: Tensor, mask: Tensor) -> Tensor:
    """Mean over the real tokens, the first weighing 1, the second 2, and so on.

    A decoder's later states have read more of the text.

    Source:
        SGPT, Muennighoff 2022, arXiv:2202.08904.
    """
    mask = _checked(mask)
    return _weighted(states, mask.cumsum(dim=1) * mask.float())


def last(states: Tensor, mask: Tensor) -> Tensor:
    """State of the last real token, the only one of a decoder that has read the whole text."""
    positions = torch.arange(mask.shape[1], device=mask.device)
    return _at(states, (positions * _checked(mask)).argmax(dim=1))


def first(states: Tensor, mask: Tensor) -> Tensor:
    """State of the first real token, an encoder's [CLS]."""
    return _at(states, _checked(mask).int().argmax(dim=1))


POOLINGS = {"mean": mean, "weighted_mean": weighted_mean, "last": last, "first": first}


def finish(pooled: Tensor, *, truncate_dim: int | None, normalize: bool) -> Tensor:
    """The leading ``truncate_dim`` dimensions, scaled to unit length if asked for.

    A zero row stays zero and a row with NaN or infinity does not become finite, so that both can
    be refused by name. ``pooled`` is (batch, dim) float32.
    """
    kept = pooled if truncate_dim is None else pooled[:, :truncate_dim]
    if not normalize:
        return kept
    return functional.normalize(kept, dim=1, eps=torch.finfo(kept.dtype).tiny)


def _checked(mask: Tensor) -> Tensor:
    if mask.is_cuda:
        return mask
    counts = mask.sum(dim=1)
    if (counts == 0).any():
        raise ValueError(f"row {int(counts.argmin())} has no real token to pool")
    return mask


def _weighted(states: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean over the tokens, multiplied and summed in float32; (batch, dim)."""
    sums = torch.bmm(weights.unsqueeze(1), states.float()).squeeze(1)
    return sums / weights.sum(dim=1, keepdim=True)


def _at(states: Tensor, positions: Tensor) -> Tensor:
    """The state at one position of each row, (batch, dim) float32."""
    rows = torch.arange(len(states), device=states.device)
    return states[rows, positions].float()
