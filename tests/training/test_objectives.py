import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ace_steps.training import objectives
from ace_steps.training.objectives import NegativeSampler, full_softmax, sampled_softmax
from tests.training.made import Largest

CPU = torch.device("cpu")


def made(m=137, n_items=50, width=6):
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


@pytest.mark.parametrize("entries", [2**22, 130 * 51, 1])
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


@pytest.mark.parametrize("n_targets", [500, 4000])
def test_memory_does_not_grow_with_targets_times_items(monkeypatch, n_targets):
    monkeypatch.setitem(objectives.CHUNK_ENTRIES, "cpu", 64 * 2001)
    with Largest() as largest:
        gradients(full_softmax, *made(m=n_targets, n_items=2000))
    assert largest.n_entries == 64 * 2000  # one chunk of logits; all of them would be 31 times more


def test_bfloat16_products_give_nearly_the_same_loss_and_gradient():
    queries, items, targets = made()
    found = gradients(lambda q, i, t: full_softmax(q.bfloat16(), i, t), queries, items, targets)
    wanted = gradients(plain, queries, items, targets)
    assert found[0].dtype == torch.float32
    torch.testing.assert_close(found[0], wanted[0].float(), rtol=0.01, atol=0)
    for ours, theirs in zip(found[1:], wanted[1:], strict=True):
        assert (
            torch.nn.functional.cosine_similarity(ours.flatten(), theirs.flatten(), dim=0) > 0.999
        )


def sampled_sum(counts, n_negatives, n_rounds, *, queries, items, targets):
    """The mean over many draws of the estimated sum of exp(score), the target's own taken out."""
    sampler = NegativeSampler(counts, n_negatives, seed=0)
    wanted = (queries * items[targets]).sum(dim=1).double()
    sums = [
        ((loss.double() + wanted).exp() - wanted.exp()).item()
        for loss in (
            sampled_softmax(queries, items, targets, sampler.draw(CPU)) for _ in range(n_rounds)
        )
    ]
    return np.mean(sums), np.std(sums) / np.sqrt(n_rounds)


def test_the_sampled_sum_is_an_unbiased_estimate_of_the_sum_over_the_other_items():
    queries, items, targets = made(m=1, n_items=12, width=3)
    counts = np.array([0, 1, 2, 3, 50, 5, 0, 7, 8, 9, 100, 11])
    everything = (queries @ items[1:].T).double().exp().sum().item()
    own = (queries[0] @ items[targets[0]]).double().exp().item()
    mean, error = sampled_sum(counts, 8, 4000, queries=queries, items=items, targets=targets)
    assert abs(mean - (everything - own)) < 4 * error
    assert error < 0.05 * everything


def test_with_many_draws_the_sampled_loss_is_the_full_one():
    queries, items, targets = made(m=5, n_items=12)
    negatives = NegativeSampler(np.arange(12), 200_000, seed=0).draw(CPU)
    found = sampled_softmax(queries, items, targets, negatives)
    assert found.item() == pytest.approx(full_softmax(queries, items, targets).item(), rel=0.02)


def test_a_drawn_target_is_no_negative_and_moves_nothing():
    queries, items, targets = made(m=1, n_items=1, width=3)
    negatives = NegativeSampler(np.array([4]), 5, seed=0).draw(CPU)  # every draw is the target
    loss, *moves = gradients(lambda *x: sampled_softmax(*x, negatives), queries, items, targets)
    assert loss.item() == 0
    assert all((move == 0).all() for move in moves)


def test_sampled_draws_follow_from_the_seed():
    one, again, other = (
        sampled_softmax(*made(), NegativeSampler(np.arange(50), 9, seed=s).draw(CPU)).item()
        for s in (0, 0, 1)
    )
    assert one == again != other


def test_the_sampled_gradient_is_that_of_the_same_loss_written_out():
    negatives = NegativeSampler(np.arange(50), 9, seed=0).draw(CPU)

    def written_out(queries, items, targets):
        queries, items, losses = queries.double(), items.double(), []
        for query, target in zip(queries, targets, strict=True):
            wanted = (query @ items[target]).exp()
            sums = wanted
            for drawn, expected in zip(negatives.items, negatives.log_expected, strict=True):
                if drawn != target:
                    sums = sums + (query @ items[drawn]).exp() / expected.double().exp()
            losses.append(-(wanted / sums).log())
        return torch.stack(losses).mean()

    found = gradients(lambda *x: sampled_softmax(*x, negatives), *made(m=11))
    wanted = gradients(written_out, *made(m=11))
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs.float(), rtol=1e-4, atol=1e-6)
