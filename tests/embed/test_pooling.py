"""Pooling at the level of tensors, against hand arithmetic and plain loops."""

import numpy as np
import pytest
import torch

from ace_steps.embed.pooling import POOLINGS, finish

STATES = torch.tensor([[[1.0, 10.0], [2.0, 20.0], [6.0, 60.0]]])

BY_HAND = {
    # two real tokens, the third is padding; then the first is padding
    "mean": ([1.5, 15.0], [4.0, 40.0]),
    "weighted_mean": ([5 / 3, 50 / 3], [14 / 3, 140 / 3]),
    "last": ([2.0, 20.0], [6.0, 60.0]),
    "first": ([1.0, 10.0], [2.0, 20.0]),
}


@pytest.mark.parametrize("name", POOLINGS)
def test_padding_on_either_side_is_left_out(name):
    on_the_right, on_the_left = BY_HAND[name]
    mask = torch.tensor([[True, True, False]])
    torch.testing.assert_close(POOLINGS[name](STATES, mask), torch.tensor([on_the_right]))
    mask = torch.tensor([[False, True, True]])
    torch.testing.assert_close(POOLINGS[name](STATES, mask), torch.tensor([on_the_left]))


@pytest.mark.parametrize("name", POOLINGS)
def test_a_row_without_a_real_token_is_refused(name):
    mask = torch.tensor([[True, True, True], [False, False, False]])
    with pytest.raises(ValueError, match="row 1 has no real token to pool"):
        POOLINGS[name](STATES.expand(2, -1, -1), mask)


@pytest.mark.parametrize("name", POOLINGS)
def test_a_row_does_not_depend_on_its_neighbours(name):
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(3, 5, 4, generator=generator)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0]], dtype=torch.bool)
    together = POOLINGS[name](states, mask)
    for row in range(3):
        n_real = int(mask[row].sum())
        alone = POOLINGS[name](states[row : row + 1, :n_real], mask[row : row + 1, :n_real])
        torch.testing.assert_close(together[row : row + 1], alone)


def test_half_precision_states_are_summed_in_float32():
    states = torch.ones(1, 1000, 1, dtype=torch.bfloat16)
    states[0, 0, 0] = 512.0  # bfloat16 has steps of 4 here: its own sum would stay at 512
    found = POOLINGS["mean"](states, torch.ones(1, 1000, dtype=torch.bool))
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx((512 + 999) / 1000, rel=1e-6)


def test_finish_truncates_before_it_normalizes():
    found = finish(torch.tensor([[3.0, 4.0, 12.0]]), truncate_dim=2, normalize=True)
    torch.testing.assert_close(found, torch.tensor([[0.6, 0.8]]))


def test_finish_leaves_the_length_alone_unless_asked():
    found = finish(torch.tensor([[3.0, 4.0]]), truncate_dim=None, normalize=False)
    np.testing.assert_array_equal(found, [[3.0, 4.0]])


def test_finish_hides_neither_a_zero_row_nor_one_with_infinity():
    rows = torch.tensor([[0.0, 0.0], [float("inf"), 1.0], [float("nan"), 1.0]])
    found = finish(rows, truncate_dim=None, normalize=True)
    assert not found[0].any()
    assert not torch.isfinite(found[1:]).all(dim=1).any()
