"""The training loss: softmax cross-entropy over the catalogue, in bounded memory."""

import torch
from torch import Tensor

from ace_steps.tables import PADDING

CHUNK_ENTRIES = {"cpu": 2**21, "cuda": 2**28}  # logits held at once; on a CPU they stay in cache
LEAST_ROWS = 32  # below this a matrix product is memory-bound


def full_softmax(queries: Tensor, items: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of the targets among all items, padding excluded.

    Args:
        queries: (m, width) at the trained positions.
        items: (n_items + 1, width) item vectors, row 0 the padding.
        targets: (m,) int64 item indices from 1.

    Returns:
        Scalar, in nats; differentiable in ``queries`` and ``items``.

    Cost:
        Three matrix products of m x n_items x width, and one chunk of logits: memory does not grow
        with m x n_items. The gradient is made in the same pass, so no logit is computed twice.
    """
    return _FullSoftmax.apply(queries, items, targets)


class _FullSoftmax(torch.autograd.Function):
    """Loss and gradient together, chunk by chunk; ``backward`` only scales."""

    @staticmethod
    def forward(ctx, queries: Tensor, items: Tensor, targets: Tensor) -> Tensor:
        catalogue = items[PADDING + 1 :]
        grad_queries, grad_items = torch.empty_like(queries), torch.zeros_like(items)
        row = (targets - 1).unsqueeze(0)
        losses = []
        n_columns = max(LEAST_ROWS, CHUNK_ENTRIES[items.device.type] // len(items))
        for start in range(0, len(queries), n_columns):
            some = slice(start, start + n_columns)
            logits = catalogue @ queries[some].T  # (n_items, m): faster than its transpose
            wanted = logits.gather(0, row[:, some])
            highest = logits.amax(dim=0)
            weights = logits.sub_(highest).exp_()
            total = weights.sum(dim=0)
            losses.append(total.log() + highest - wanted[0])
            scale = 1.0 / (total * len(queries)).unsqueeze(1)
            torch.mm(weights.T, catalogue, out=grad_queries[some]).mul_(scale)
            grad_items[PADDING + 1 :].addmm_(weights, queries[some] * scale)
        grad_queries.sub_(items[targets], alpha=1.0 / len(queries))
        grad_items.index_add_(0, targets, queries, alpha=-1.0 / len(queries))
        ctx.save_for_backward(grad_queries, grad_items)
        return torch.cat(losses).mean()

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        grad_queries, grad_items = ctx.saved_tensors
        return grad_queries.mul_(grad), grad_items.mul_(grad), None
