"""The training loss: softmax cross-entropy over the catalog, in bounded memory."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ace_steps.io.tables import PADDING

CHUNK_ENTRIES = {"cpu": 3 * 2**20, "cuda": 2**28}  # logits held at once; a CPU's in its cache
ALIGNED = 64  # rows of a chunk, filled up with zeros: few shapes of product, none of them odd


def full_softmax(queries: Tensor, items: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of the targets among all items, padding excluded.

    Args:
        queries: (m, dim) float32 or bfloat16, at the trained positions; matrix products are made
            in this type, and so is the softmax kept; sums are in float32.
        items: (n_items + 1, dim) float32 item vectors, row 0 the padding.
        targets: (m,) int64 item indices from 1.

    Returns:
        Scalar, in nats; differentiable in ``queries`` and ``items``.

    Cost:
        Three matrix products of m x n_items x dim, and one chunk of logits: memory does not grow
        with m x n_items. The gradient is computed in the same pass, so no logit is computed twice.
    """
    return _FullSoftmax.apply(queries, items, targets)


class _FullSoftmax(torch.autograd.Function):
    """Loss and gradient together, chunk by chunk; ``backward`` only scales."""

    @staticmethod
    def forward(ctx, queries: Tensor, items: Tensor, targets: Tensor) -> Tensor:
        n_targets, padded = len(queries), F.pad(queries, (0, 0, 0, -len(queries) % ALIGNED))
        catalog, column = items[PADDING + 1 :].to(queries.dtype), targets - 1
        grad_queries = torch.empty(padded.shape, device=queries.device)
        grad_items = torch.zeros_like(items)
        losses = torch.empty(n_targets, device=queries.device)
        n_rows = CHUNK_ENTRIES[items.device.type] // len(items) // ALIGNED * ALIGNED or ALIGNED
        logits = queries.new_empty(min(n_rows, len(padded)), len(catalog))
        weights = torch.empty_like(logits)
        for start in range(0, len(padded), n_rows):
            some, row = slice(start, start + n_rows), slice(0, len(padded) - start)
            torch.mm(padded[some], catalog.T, out=logits[row])
            torch.softmax(logits[row], dim=1, out=weights[row])
            losses[some] = _losses(logits[row], weights[row], column[some])
            grad_queries[some] = weights[row] @ catalog
            _add_product(grad_items[PADDING + 1 :], weights[row].T, padded[some])
        grad_queries = grad_queries[:n_targets].sub_(items[targets]).div_(n_targets)
        grad_items.index_add_(0, targets, queries.float(), alpha=-1.0).div_(n_targets)
        ctx.save_for_backward(grad_queries.to(queries.dtype), grad_items)
        return losses.mean()

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        grad_queries, grad_items = ctx.saved_tensors
        return grad_queries * grad, grad_items.mul_(grad), None


@dataclass(frozen=True)
class Negatives:
    """Items that every target of a step is compared with.

    Attributes:
        items: (n,) int64 item indices; an item may occur several times.
        log_expected: (n,) float32, the logarithm of how often each was to be expected among them.
    """

    items: Tensor
    log_expected: Tensor


class NegativeSampler:
    """Draws items with replacement by their train counts, plus one so that every item can be."""

    def __init__(self, train_counts: np.ndarray, n_negatives: int, seed: int) -> None:
        """``train_counts``: (n_items,) train events of each item, item 1 first."""
        share = (train_counts + 1.0) / (train_counts + 1.0).sum()
        self._bounds = np.cumsum(share)
        self._log_expected = np.log(n_negatives * share).astype(np.float32)
        self._n_negatives = n_negatives
        self._rng = np.random.default_rng(seed)

    def draw(self, device: torch.device) -> Negatives:
        """The negatives of the next step."""
        index = np.searchsorted(self._bounds, self._rng.random(self._n_negatives), side="right")
        index = np.minimum(index, len(self._bounds) - 1)  # the last bound may round below 1
        log_expected = torch.from_numpy(self._log_expected[index]).to(device)
        return Negatives(torch.from_numpy(index + 1).to(device), log_expected)


def sampled_softmax(
    queries: Tensor, items: Tensor, targets: Tensor, negatives: Negatives
) -> Tensor:
    """Mean cross-entropy of the targets among drawn items, corrected for how likely each draw was.

    Each drawn item's score is lowered by ``log_expected``, so that the sum over the draws is an
    unbiased estimate of the sum over the catalog without the target; draws that hit the target
    itself are left out.

    Args:
        queries: (m, dim) float32 or bfloat16, at the trained positions.
        items: (n, dim) float32 item vectors.
        targets: (m,) int64 rows of ``items``.
        negatives: What was drawn; its items are rows of ``items`` too.

    Returns:
        Scalar, in nats; differentiable in ``queries`` and ``items``.

    Cost:
        One product of m x n_negatives x dim, and as many logits in memory.

    Source:
        Bengio & Senecal, IEEE Trans. Neural Networks 2008; Yi et al., RecSys 2019 (logQ).
    """
    drawn = F.embedding(negatives.items, items).to(queries.dtype)
    logits = (queries @ drawn.T).float().sub_(negatives.log_expected)
    is_target = negatives.items.int() == targets.int().unsqueeze(1)
    logits = logits.masked_fill_(is_target, torch.finfo(logits.dtype).min)  # -inf has no gradient
    own = (queries.float() * F.embedding(targets, items)).sum(dim=1)
    return (torch.logaddexp(own, logits.logsumexp(dim=1)) - own).mean()


def _losses(logits: Tensor, weights: Tensor, column: Tensor) -> Tensor:
    """Cross-entropy (m,) float32 of the first m rows of logits and their softmax.

    The normalizer comes from the largest weight, which is never below 1 / n_items: a target's own
    weight may be too small for its type.
    """
    logits, weights = logits[: len(column)], weights[: len(column)]
    own = logits.gather(1, column.unsqueeze(1)).squeeze(1).float()
    return logits.amax(dim=1).float() - own - weights.amax(dim=1).float().log()


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """``total += left @ right``; the product may be of lower precision than the sum."""
    if left.dtype == total.dtype:
        total.addmm_(left, right)
    else:
        total += left @ right
