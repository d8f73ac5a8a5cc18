import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

from ace_steps.backbones.network import Network
from ace_steps.backbones.recommender import Recommender
from ace_steps.errors import InputError
from ace_steps.evaluation import ranking
from ace_steps.evaluation.ranking import rank_splits, rank_targets
from ace_steps.sequences.histories import held_out, read_histories
from tests.training.made import Largest, interactions_of


class LastItem(Network):
    """A query is the last item's own vector: scores are inner products known by hand."""

    longest_history = 3
    can_pack = False

    def forward(self, history, items, packing):
        return items[history]


class Given(nn.Module):
    def __init__(self, table):
        super().__init__()
        self.table = nn.Parameter(torch.tensor(table))

    def forward(self):
        return self.table


def made(histories, table):
    """A recommender over the given item vectors, and the histories."""
    items = [[0.0] * len(table[0]), *table]
    return Recommender(Given(items), LastItem()), read_histories(
        interactions_of(histories), len(table)
    )


def ranked(recommender, histories, split="test", *, tie_policy="expected", mask_seen=False):
    targets = held_out(histories, split)
    return rank_targets(recommender, histories, targets, tie_policy=tie_policy, mask_seen=mask_seen)


# Item i points along axis i; items 2 and 3 are the same, item 4 is twice as long.
TABLE = [[1.0, 0.0], [1.0, 1.0], [1.0, 1.0], [2.0, 2.0], [-1.0, 0.0]]
# Scores for a history that ends in item 1: item 1: 1, 2: 1, 3: 1, 4: 2, 5: -1.
TIED = [[5, 1, 2, 5]]


@pytest.mark.parametrize(
    ("policy", "rank"), [("optimistic", 2), ("expected", 3), ("pessimistic", 4)]
)
def test_ties_move_the_rank_as_the_policy_says(policy, rank):
    recommender, histories = made(TIED, TABLE)
    ranks = ranked(recommender, histories, "valid", tie_policy=policy)
    assert ranks.rank.tolist() == [rank]  # item 4 is better; items 1 and 3 tie with item 2
    assert ranks.n_ties.tolist() == [2]


def test_seen_items_do_not_count_when_masked_but_the_target_does():
    recommender, histories = made([[4, 1, 1, 5]], TABLE)  # the target, item 1, was seen before
    ranks = ranked(recommender, histories, "valid", mask_seen=True)
    assert ranks.n_ties.tolist() == [2]
    assert ranks.rank.tolist() == [2.0]  # item 4 was seen; items 2 and 3 tie: 1 + 2 / 2


def test_the_test_history_holds_the_validation_item():
    recommender, histories = made([[5, 5, 1, 4]], TABLE)
    ranks = ranked(recommender, histories)
    assert ranks.rank.tolist() == [1.0]  # from item 1, item 4 is the best; from 5 the worst


def by_sorting(recommender, histories, targets, *, mask_seen):
    """Ranks and ties user by user in float64, from a sorted list of all scores."""
    table = recommender.items().detach().double().numpy()
    ranks, ties = [], []
    for user, item in zip(targets.user, targets.item, strict=True):
        row = int(np.flatnonzero(targets.user == user)[0])
        history = histories.items[targets.start[row] :][: targets.length[row]]
        scores = {j: float(table[j] @ table[history[-1]]) for j in range(1, len(table))}
        if mask_seen:
            scores = {j: s for j, s in scores.items() if j == item or j not in set(history)}
        ordered = sorted(scores.values(), reverse=True)
        first, count = ordered.index(scores[item]), ordered.count(scores[item])
        ranks.append(1 + first + (count - 1) / 2)
        ties.append(count - 1)
    return ranks, ties


@pytest.mark.parametrize("mask_seen", [False, True])
@pytest.mark.parametrize(
    ("rows", "columns", "users"), [(256, 2**14, 65_536), (7, 16, 20), (1, 1, 1)]
)
def test_ranks_are_those_of_a_sort_whatever_the_blocks(
    monkeypatch, mask_seen, rows, columns, users
):
    monkeypatch.setitem(ranking.SCORE_ROWS, "cpu", rows)
    monkeypatch.setitem(ranking.SCORE_ITEMS, "cpu", columns)
    monkeypatch.setitem(ranking.USERS_AT_ONCE, "cpu", users)
    rng = np.random.default_rng(3)
    table = rng.integers(-2, 3, (50, 4)).astype(float)  # whole numbers: exact scores, many ties
    histories = [list(rng.integers(1, 51, rng.integers(3, 9))) for _ in range(60)]
    recommender, read = made(histories, table.tolist())
    recommender.items.table.data = recommender.items.table.data.float()
    targets = held_out(read, "test")
    ranks = ranked(recommender, read, mask_seen=mask_seen)
    expected, ties = by_sorting(recommender, read, targets, mask_seen=mask_seen)
    assert ranks.rank.tolist() == expected
    assert ranks.n_ties.tolist() == ties


def test_histories_are_read_in_batches_and_not_one_by_one(monkeypatch):
    table = np.random.default_rng(0).standard_normal((9, 2)).tolist()
    recommender, histories = made([[1, 2, 3, 4]] * 300, table)
    n_rows, forward = [], LastItem.forward
    monkeypatch.setattr(
        LastItem,
        "forward",
        lambda self, history, *more: n_rows.append(len(history)) or forward(self, history, *more),
    )
    ranked(recommender, histories, "valid", mask_seen=True)
    assert n_rows == [300]


@pytest.mark.parametrize("n_kinds", [700, 1366, 2731])  # three copies of each: 1, 2 and 3 blocks
def test_equal_vectors_tie_exactly_with_scores_that_round(n_kinds):
    generator = torch.Generator().manual_seed(0)
    once = torch.randn(n_kinds, 33, generator=generator)
    recommender, histories = made(
        [[i + 1, i + 1, i + 1] for i in range(n_kinds)], once.repeat(3, 1).tolist()
    )
    assert (ranked(recommender, histories).n_ties == 2).all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_scores_that_are_not_finite_are_refused(bad):
    recommender, histories = made(TIED, [*TABLE[:-1], [bad, 0.0]])
    with pytest.raises(InputError, match="scores that are not finite"):
        ranked(recommender, histories, "valid")


def test_shards_of_users_rank_what_one_job_ranks_and_the_rows_say_what_it_was(monkeypatch):
    monkeypatch.setitem(ranking.USERS_AT_ONCE, "cpu", 2)
    table = np.random.default_rng(0).standard_normal((9, 2)).tolist()
    recommender, histories = made([[1, 2, 3, 4], [2, 2, 5], [1], *[[6, 7, 8, 9]] * 5], table)

    def ranks_of(shard):
        options = {"tie_policy": "expected", "mask_seen": False}
        return rank_splits(
            recommender, histories, train_counts=np.arange(9, 0, -1), shard=shard, **options
        )

    whole = ranks_of("1-of-1")
    for n_shards in (2, 3, 50):  # of 50, most have no user
        shards = [ranks_of(f"{number}-of-{n_shards}") for number in range(1, n_shards + 1)]
        assert max(map(len, shards)) < len(whole)
        merged = pl.concat(shards).sort("split", "user", descending=[True, False])
        assert merged.equals(whole)
    row = whole.filter(split="test", user=1).drop("rank").row(0, named=True)
    assert row == {
        "split": "test",
        "user": 1,
        "item": 5,
        "n_ties": 0,
        "history_length": 2,
        "target_train_count": 5,
    }


def test_a_million_items_are_ranked_without_a_tensor_larger_than_their_vectors():
    n_items, rng = 10**6, np.random.default_rng(0)
    histories = [list(rng.integers(1, n_items + 1, 4)) for _ in range(30)]
    recommender, read = made([[1]], [[0.0] * 4])
    recommender.items.table.data = torch.from_numpy(rng.normal(size=(n_items + 1, 4))).float()
    read = read_histories(interactions_of(histories), n_items)
    with Largest() as largest:
        ranks = ranked(recommender, read, mask_seen=True)
    assert largest.n_entries <= 4 * (n_items + 1)
    assert 1 <= ranks.rank.min() < ranks.rank.max() <= n_items
