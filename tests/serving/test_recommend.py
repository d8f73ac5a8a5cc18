"""The best items of each user, in blocks, against a sort of whole score vectors."""

import numpy as np
import pytest
import torch

from ace_steps.backbones.recommender import build_recommender
from ace_steps.errors import InputError
from ace_steps.evaluation import ranking
from ace_steps.evaluation.ranking import rank_targets
from ace_steps.sequences.histories import Targets, held_out
from ace_steps.serving import recommend
from ace_steps.serving.recommend import best_of, top_items
from tests.evaluation.test_ranking import made
from tests.training.made import SMALL, random_histories, random_matrix, small_settings


def everyone(histories):
    """Each user's whole history, nothing held out."""
    length = np.diff(histories.offsets)
    user = np.arange(len(length))
    return Targets(user=user, item=0 * user, start=histories.offsets[:-1], length=length)


def lists_of(recommender, histories, targets, *, k, mask_seen=False):
    """Item indices per user, without those of score -inf."""
    return [
        items[scores > -np.inf].tolist()
        for block in top_items(recommender, histories, targets, k=k, mask_seen=mask_seen)
        for items, scores in zip(*block, strict=True)
    ]


def by_sorting(table, histories, *, k, mask_seen):
    """The lists from whole score vectors in float64, sorted by falling score and rising index."""
    table, lists = np.array(table), []
    for start, stop in zip(histories.offsets, histories.offsets[1:], strict=False):
        history = histories.items[start:stop]
        scores = table @ table[history[-1] - 1]
        order = np.lexsort((np.arange(len(table)), -scores)) + 1
        lists.append([i for i in order if not (mask_seen and i in history)][:k])
    return lists


@pytest.mark.parametrize("mask_seen", [False, True])
@pytest.mark.parametrize(
    ("rows", "columns", "users", "k"),
    [(256, 2**14, 65_536, 10), (7, 16, 20, 5), (1, 1, 1, 3), (8, 9, 9, 50)],
)
def test_lists_are_those_of_a_sort_whatever_the_blocks(
    monkeypatch, mask_seen, rows, columns, users, k
):
    monkeypatch.setitem(recommend.SCORE_ROWS, "cpu", rows)
    monkeypatch.setitem(ranking.SCORE_ITEMS, "cpu", columns)
    monkeypatch.setitem(ranking.USERS_AT_ONCE, "cpu", users)
    rng = np.random.default_rng(3)
    table = rng.integers(-2, 3, (50, 4)).astype(float)  # whole numbers: exact scores, many ties
    histories = [list(rng.integers(1, 51, rng.integers(3, 9))) for _ in range(30)]
    recommender, read = made(histories, table.tolist())
    lists = lists_of(recommender, read, everyone(read), k=k, mask_seen=mask_seen)
    assert lists == by_sorting(table, read, k=k, mask_seen=mask_seen)


def test_copies_of_an_item_follow_each_other_with_scores_that_round():
    n_kinds = 2731  # three copies of each fill three blocks
    once = torch.randn(n_kinds, 33, generator=torch.Generator().manual_seed(0))
    once = torch.nn.functional.normalize(once)  # an item is the nearest of itself
    recommender, histories = made([[i + 1] * 3 for i in range(n_kinds)], once.repeat(3, 1).tolist())
    lists = lists_of(recommender, histories, everyone(histories), k=3)
    assert lists == [[i + 1, i + 1 + n_kinds, i + 1 + 2 * n_kinds] for i in range(n_kinds)]


@pytest.mark.parametrize("model", SMALL)
@pytest.mark.parametrize("mask_seen", [False, True])
def test_a_held_out_item_stands_in_the_list_where_its_rank_says(model, mask_seen):
    histories = random_histories()
    settings = small_settings(model)
    recommender = build_recommender(random_matrix(), {"kind": "table"}, settings, 1).eval()
    targets = held_out(histories, "test")
    ranks = rank_targets(
        recommender, histories, targets, tie_policy="expected", mask_seen=mask_seen
    )
    assert (ranks.n_ties == 0).all()
    whole = Targets(targets.user, 0 * targets.item, targets.start, targets.length)
    lists = lists_of(recommender, histories, whole, k=30, mask_seen=mask_seen)
    n_compared = 0
    for item, rank, items in zip(targets.item, ranks.rank, lists, strict=True):
        if item in items:  # a held-out item that was seen before is ranked, but not recommended
            assert items.index(item) + 1 == rank
            n_compared += 1
    assert n_compared > len(lists) / 2


def test_no_block_of_scores_is_larger_than_its_bound_whatever_the_catalog(monkeypatch):
    monkeypatch.setitem(recommend.SCORE_ROWS, "cpu", 8)
    monkeypatch.setitem(ranking.SCORE_ITEMS, "cpu", 64)
    sizes = []

    def watched(scores, k):
        sizes.append(scores.shape)
        return best_of(scores, k)

    monkeypatch.setattr(recommend, "best_of", watched)
    rng = np.random.default_rng(0)
    histories = [list(rng.integers(1, 1001, 4)) for _ in range(30)]
    recommender, read = made(histories, rng.normal(size=(1000, 4)).tolist())
    list(top_items(recommender, read, everyone(read), k=5, mask_seen=False))
    assert max(users for users, _ in sizes) == 8
    assert 32 < max(items for _, items in sizes) <= 64
    assert sum(items for _, items in sizes) == 4 * 1000  # each item once for each block of users
    assert sum(items * users for users, items in sizes) == 30 * 1000


def test_scores_that_are_not_finite_are_refused():
    recommender, histories = made([[1, 2, 3]], [[1.0], [2.0], [float("nan")]])
    with pytest.raises(InputError, match="scores that are not finite"):
        list(top_items(recommender, histories, everyone(histories), k=1, mask_seen=False))
