"""The choice of a point."""

from ace_steps.config.grid import Cell, Run
from ace_steps.evaluation.selection import chosen_run, selection_table, validation_score
from tests.reporting.made_results import ranks_table

CELL = Cell("shop", "small", "ace", "sasrec")
RUNS = [Run("shop", "small", f"ace-lambda_{value}", "sasrec", 1) for value in (50, 0, 5)]


def chosen(scores):
    table = selection_table(CELL, dict(zip(RUNS, scores, strict=True)), metric="ndcg", cutoff=10)
    assert table["is_chosen"].sum() == 1
    return chosen_run(table)


def test_the_best_score_is_chosen():
    assert chosen([0.1, 0.3, 0.2]) == RUNS[1]


def test_of_equal_scores_the_first_in_the_configuration_is_chosen():
    assert chosen([0.1, 0.2, 0.2]) == RUNS[1]
    assert chosen([0.2, 0.2, 0.2]) == RUNS[0]


def test_the_score_is_of_the_validation_targets_alone():
    ranks = ranks_table(RUNS[0], [1, 30], [1, 1])
    assert validation_score(ranks, "recall", 10) == 0.5
    worse = ranks_table(RUNS[0], [1, 30], [99, 99])
    assert validation_score(worse, "recall", 10) == 0.5
