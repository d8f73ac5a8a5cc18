"""One batch shared out among cores."""

import threading

import numpy as np
import pytest
import torch

from ace_steps.embed.fused import SHARE_TOKENS, Cores

ROWS = np.array([7, 3, 9, 0, 4])
ENOUGH = 2 * SHARE_TOKENS


@pytest.fixture(autouse=True)
def one_thread_again():
    yield
    torch.set_num_threads(1)


def as_vectors(rows):
    return rows[:, None] * np.ones(3, np.float32)


def shares_of(n_cores, rows, n_tokens):
    """The shares that were computed, and whether each was on a thread of its own kind."""
    seen, here = [], threading.get_ident()

    def vectors_of(share):
        seen.append((share.tolist(), threading.get_ident() != here, torch.get_num_threads()))
        return as_vectors(share)

    with Cores(n_cores) as cores:
        found = cores.compute(vectors_of, rows, n_tokens)
    np.testing.assert_array_equal(found, as_vectors(rows))
    return sorted(seen, reverse=True)


def test_neighbours_in_length_go_to_the_same_core_which_computes_with_one_thread():
    assert shares_of(2, ROWS, ENOUGH) == [([7, 3, 9], True, 1), ([0, 4], True, 1)]


@pytest.mark.parametrize(
    ("n_cores", "n_rows", "n_tokens"),
    [(1, 5, ENOUGH), (2, 5, ENOUGH - 1), (2, 1, ENOUGH), (4, 5, ENOUGH)],
    ids=["one_core", "few_tokens", "one_text", "few_tokens_a_core"],
)
def test_what_is_too_small_to_share_is_computed_in_one_piece(n_cores, n_rows, n_tokens):
    torch.set_num_threads(n_cores)
    rows = ROWS[:n_rows]
    assert shares_of(n_cores, rows, n_tokens) == [(rows.tolist(), False, n_cores)]


def test_afterwards_torch_has_its_threads_back_on_every_later_thread():
    torch.set_num_threads(2)
    shares_of(2, ROWS, ENOUGH)
    found = []
    later = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert (found, torch.get_num_threads()) == ([2], 2)


def test_a_failure_of_one_core_is_raised_when_all_have_ended():
    ended = []

    def vectors_of(share):
        if 7 in share:
            raise torch.OutOfMemoryError("no memory")
        ended.append(share.tolist())
        return as_vectors(share)

    with Cores(2) as cores, pytest.raises(torch.OutOfMemoryError, match="no memory"):
        cores.compute(vectors_of, ROWS, ENOUGH)
    assert ended == [[0, 4]]
