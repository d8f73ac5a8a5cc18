"""Whether ranks are usable and comparable."""

import polars as pl
import pytest

from ace_steps.config.grid import Run
from ace_steps.evaluation.ranks import first_difference, ranks_fault
from tests.reporting.made_results import ranks_table

RUN = Run("shop", "small", "ace-lambda_5", "sasrec", 1)


def test_ranks_of_another_run_are_told():
    other = ranks_table(RUN._replace(seed=2), [1], [1])
    fault = ranks_fault(other, RUN)
    assert fault == (
        "holds ranks of the run shop/small/ace-lambda_5/sasrec/2, "
        "but shop/small/ace-lambda_5/sasrec/1 is wanted"
    )


def test_a_missing_split_is_told():
    table = ranks_table(RUN, [1], [1]).filter(pl.col("split") == "valid")
    assert ranks_fault(table, RUN) == "holds the splits valid, but valid and test are wanted"


@pytest.mark.parametrize("rank", [0.5, float("nan"), float("inf")])
def test_a_rank_that_is_none_is_told(rank):
    fault = ranks_fault(ranks_table(RUN, [1, rank], [1, 2]), RUN)
    assert fault == f"the rank of user 1 is {rank}, but a finite rank from 1 is wanted"


def test_good_ranks_have_no_fault_even_between_two_places():
    assert ranks_fault(ranks_table(RUN, [1, 2.5], [1, 2]), RUN) is None


def test_the_order_of_rows_is_no_difference():
    table = ranks_table(RUN, [1, 2], [1, 2])
    assert first_difference(table.reverse(), table) is None


def test_the_first_user_without_a_partner_is_named():
    full, short = ranks_table(RUN, [1, 2, 3], [1, 2, 3]), ranks_table(RUN, [1, 2], [1, 2])
    assert first_difference(short, full) == "user 2 has no test rank, but has one there"
    assert first_difference(full, short) == "user 2 has a test rank, but has none there"


def test_a_different_target_is_named():
    table = ranks_table(RUN, [1, 2], [1, 2])
    is_theirs = (pl.col("user") == 1) & (pl.col("split") == "valid")
    other = table.with_columns(item=pl.when(is_theirs).then(77).otherwise("item"))
    difference = first_difference(table, other)
    assert difference == "the valid target of user 1 is item 2, but item 77 there"
