"""Hidden items: which they are, what is left of the log, and what stands for their vectors."""

import numpy as np
import pytest

from ace_steps.errors import InputError
from ace_steps.serving.cold_items import hide, new_vectors, without_hidden
from tests.training.made import interactions_of


def test_a_hidden_item_stays_in_the_log_as_a_test_target_alone():
    log = interactions_of([[1, 2, 3, 2, 4], [2, 2, 2, 3], [3, 1, 2], [4, 2, 1, 3]])
    events = without_hidden(log, np.array([0, 2, 3, 1]), n_known=3)  # item 2 is hidden
    rows = events.group_by("user", maintain_order=True).agg("item", "split").rows()
    assert rows == [
        (0, [1, 2, 3], ["train", "train", "test"]),  # 1, 3, 4; the events of item 2 are gone
        (2, [2, 1, 4], ["train", "valid", "test"]),  # 3, 1, and item 2 as the target
        (3, [3, 1, 2], ["train", "valid", "test"]),
    ]  # user 1 had nothing else to train on


def test_the_hidden_items_are_a_seeded_share():
    order, n_known = hide(1000, share=0.1, seed=3)
    assert n_known == 900
    assert sorted(order) == list(range(1000))
    assert np.array_equal(order, hide(1000, share=0.1, seed=3)[0])
    assert not np.array_equal(order, hide(1000, share=0.1, seed=4)[0])
    with pytest.raises(InputError, match="hides 30 of them"):
        hide(30, share=1, seed=0)


def test_stand_ins_without_meaning_are_drawn_from_the_folded_in_vectors():
    rng = np.random.default_rng(0)
    folded_in = (3 * rng.standard_normal((500, 4))).astype(np.float32)
    vectors = new_vectors(np.zeros((3, 4), np.float32), folded_in, None, seed=0)
    assert vectors.keys() == {"folded_in", "shuffled", "random"}
    np.testing.assert_array_equal(np.sort(vectors["shuffled"], axis=0), np.sort(folded_in, axis=0))
    assert (vectors["shuffled"] != folded_in).any(axis=1).all()
    assert vectors["random"].std() == pytest.approx(3, rel=0.1)
