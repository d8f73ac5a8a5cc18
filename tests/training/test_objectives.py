import pytest
import torch
import torch.nn.functional as F

from ace_steps.training import objectives
from ace_steps.training.objectives import full_softmax


def made(m=37, n_items=50, width=6):
    generator = torch.Generator().manual_seed(0)
    queries = torch.randn(m, width, generator=generator)
    items = torch.randn(n_items + 1, width, generator=generator)
    targets = torch.randint(1, n_items + 1, (m,), generator=generator)
    return queries, items, targets


def plain(queries, items, targets):
    """Cross-entropy with every logit at once, in float64, the padding's taken out."""
    return F.cross_entropy(queries.double() @ items[1:].double().T, targets - 1)


def gradients(loss_of, queries, items, targets):
    queries, items = queries.clone().requires_grad_(), items.clone().requires_grad_()
    loss = loss_of(queries, items, targets)
    return loss, *torch.autograd.grad(3 * loss, [queries, items])


@pytest.mark.parametrize("entries", [2**21, 40 * 51, 1])
def test_loss_and_gradients_are_those_of_the_plain_softmax(monkeypatch, entries):
    monkeypatch.setitem(objectives.CHUNK_ENTRIES, "cpu", entries)  # one chunk, or several
    found, wanted = (gradients(loss, *made()) for loss in (full_softmax, plain))
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs.float(), rtol=1e-5, atol=1e-6)


def test_the_padding_gets_no_gradient_whatever_its_row_holds():
    _, _, grad_items = gradients(full_softmax, *made())
    assert (grad_items[0] == 0).all()


def test_scores_far_beyond_the_range_of_exp_give_a_finite_loss():
    queries, items, targets = made()
    found, wanted = (
        gradients(loss, 200 * queries, items, targets) for loss in (full_softmax, plain)
    )
    torch.testing.assert_close(found[0], wanted[0].float(), rtol=1e-4, atol=0)


def test_memory_does_not_grow_with_targets_times_items(monkeypatch):
    monkeypatch.setitem(objectives.CHUNK_ENTRIES, "cpu", 32 * 2001)
    largest = []
    product = torch.Tensor.exp_

    def watched(logits):
        largest.append(logits.numel())
        return product(logits)

    monkeypatch.setattr(torch.Tensor, "exp_", watched)
    full_softmax(*made(m=1000, n_items=2000))
    assert max(largest) <= 32 * 2001
