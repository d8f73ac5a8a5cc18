import re

import polars as pl
import pytest

from ace_steps.config.grid import Run
from ace_steps.evaluation.ranks import first_difference, ranks_fault
from tests.reporting.made_results import ranks_table

RUN = Run("shop", "small", "ace-lambda_5", "sasrec", 1)
FAULTS = {
    "another run": (ranks_table(RUN._replace(seed=2), [1], [1]), "sasrec/1, got shop/.*/sasrec/2"),
    "a missing split": (ranks_table(RUN, [1], [1]).filter(split="valid"), "and test, got valid"),
    "a rank below 1": (ranks_table(RUN, [1, 0.5], [1, 2]), "got 0.5 for user 1"),
    "no number": (ranks_table(RUN, [1, float("nan")], [1, 2]), "got nan for user 1"),
    "an infinite rank": (ranks_table(RUN, [1, float("inf")], [1, 2]), "got inf for user 1"),
}


@pytest.mark.parametrize(("table", "message"), FAULTS.values(), ids=FAULTS)
def test_unusable_ranks_are_named_with_what_was_expected(table, message):
    assert re.search(message, ranks_fault(table, RUN))


def test_good_ranks_have_no_fault_even_between_two_whole_ones():
    assert ranks_fault(ranks_table(RUN, [1, 2.5], [1, 2]), RUN) is None


def test_the_first_user_whose_held_out_item_is_another_one_is_named():
    def targets(*ranks):
        return ranks_table(RUN, ranks, ranks).select("split", "user", "item")

    three, two = targets(1, 1, 1), targets(1, 1)
    assert first_difference(three.reverse(), three) is None
    assert first_difference(two, three) == "expected the test item 4 of user 2, got none"
    assert first_difference(three, two) == "expected the test item none of user 2, got 4"
    is_changed = (pl.col("user") == 1) & (pl.col("split") == "valid")
    other = two.with_columns(item=pl.when(is_changed).then(77).otherwise("item"))
    assert first_difference(two, other) == "expected the valid item 77 of user 1, got 2"
