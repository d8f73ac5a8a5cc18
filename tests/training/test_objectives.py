import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ace_steps.training import objectives
from ace_steps.training.objectives import NegativeSampler, full_softmax, sampled_softmax
from tests.training.made import Largest

CPU = torch.device("cpu")


def made(m=137, n_items=50, dim=6):
    generator = torch.Generator().manual_seed(0)
    queries = torch.randn(m, dim, generator=generator)
    items = torch.randn(n_items + 1, dim, generator=generator)
    targets = torch.randint(1, n_items + 1, (m,), generator=generator)
    return queries, items, targets


def plain(queries, items, targets):
    """Cross-entropy with every logit at once, in float64, the padding's taken out."""
    return F.cross_entropy(queries.double() @ items[1:].double().T, targets - 1)


def gradients(loss_of, queries, items, targets):
    queries, items = queries.clone().requires_grad_(), items.clone().requires_grad_()
    loss = loss_of(queries, items, targets)
    return loss, *torch.autograd.grad(3 * loss, [queries, items])


@pytest.mark.parametrize("entries", [2**22, 130 * 51, 1])
def test_loss_and_gradients_are_those_of_the_plain_softmax(monkeypatch, entries):
    monkeypatch.setitem(objectives.CHUNK_ENTRIES, "cpu", entries)  # one chunk, or several
    actual, expected = (gradients(loss, *made()) for loss in (full_softmax, plain))
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, other.float(), rtol=1e-5, atol=1e-6)


def test_scores_far_beyond_the_range_of_exp_give_a_finite_loss():
    queries, items, targets = made()
    loss = full_softmax(200 * queries, items, targets)
    expected = plain(200 * queries, items, targets).float()
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=0)


def test_memory_does_not_grow_with_targets_times_items(monkeypatch):
    monkeypatch.setitem(objectives.CHUNK_ENTRIES, "cpu", 64 * 2001)
    with Largest() as largest:
        gradients(full_softmax, *made(m=4000, n_items=2000))
    assert largest.n_entries == 64 * 2000  # one chunk of logits; all of them would be 62 times more


def test_bfloat16_products_give_nearly_the_same_loss_and_gradient():
    queries, items, targets = made()
    actual = gradients(lambda q, i, t: full_softmax(q.bfloat16(), i, t), queries, items, targets)
    expected = gradients(plain, queries, items, targets)
    assert actual[0].dtype == torch.float32
    torch.testing.assert_close(actual[0], expected[0].float(), rtol=0.01, atol=0)
    for one, other in zip(actual[1:], expected[1:], strict=True):
        assert F.cosine_similarity(one.flatten(), other.flatten(), dim=0) > 0.999


def test_the_sampled_sum_is_an_unbiased_estimate_of_the_sum_over_the_other_items():
    queries, items, targets = made(m=1, n_items=12, dim=3)
    sampler = NegativeSampler(np.array([0, 1, 2, 3, 50, 5, 0, 7, 8, 9, 100, 11]), 8, seed=0)
    scores = (queries @ items.T)[0].double().exp()
    own = scores[targets[0]].item()
    losses = torch.stack(
        [sampled_softmax(queries, items, targets, sampler.draw(CPU)) for _ in range(2000)]
    )
    sums = own * losses.double().exp() - own
    error = sums.std().item() / np.sqrt(len(sums))
    assert abs(sums.mean().item() - (scores[1:].sum().item() - own)) < 4 * error
    assert error < 0.05 * scores[1:].sum().item()


def test_a_drawn_target_is_no_negative_and_moves_nothing():
    queries, items, targets = made(m=1, n_items=1, dim=3)
    negatives = NegativeSampler(np.array([4]), 5, seed=0).draw(CPU)  # every draw is the target
    loss, *moves = gradients(lambda *x: sampled_softmax(*x, negatives), queries, items, targets)
    assert loss.item() == 0
    assert all((move == 0).all() for move in moves)


def test_the_sampled_gradient_is_that_of_the_same_loss_written_out():
    negatives = NegativeSampler(np.arange(50), 9, seed=0).draw(CPU)

    def written_out(queries, items, targets):
        queries, items, losses = queries.double(), items.double(), []
        for query, target in zip(queries, targets, strict=True):
            own = (query @ items[target]).exp()
            sums = own
            for drawn, expected in zip(negatives.items, negatives.log_expected, strict=True):
                if drawn != target:
                    sums = sums + (query @ items[drawn]).exp() / expected.double().exp()
            losses.append(-(own / sums).log())
        return torch.stack(losses).mean()

    actual = gradients(lambda *x: sampled_softmax(*x, negatives), *made(m=11))
    expected = gradients(written_out, *made(m=11))
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, other.float(), rtol=1e-4, atol=1e-6)
