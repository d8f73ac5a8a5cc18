import polars as pl
import pytest

from ace_steps.config.grid import Run
from ace_steps.evaluation.ranks import first_difference, ranks_fault
from tests.reporting.made_results import ranks_table

RUN = Run("shop", "small", "ace-lambda_5", "sasrec", 1)
FAULTS = {
    "another run": (
        ranks_table(RUN._replace(seed=2), [1], [1]),
        ["expected", "ace-lambda_5/sasrec/1, got", "ace-lambda_5/sasrec/2"],
    ),
    "a missing split": (
        ranks_table(RUN, [1], [1]).filter(split="valid"),
        ["valid and test, got valid"],
    ),
    "a rank below 1": (ranks_table(RUN, [1, 0.5], [1, 2]), ["got 0.5 for user 1"]),
    "no number": (ranks_table(RUN, [1, float("nan")], [1, 2]), ["got nan for user 1"]),
    "an infinite rank": (ranks_table(RUN, [1, float("inf")], [1, 2]), ["got inf for user 1"]),
}


@pytest.mark.parametrize(("table", "parts"), FAULTS.values(), ids=FAULTS)
def test_unusable_ranks_are_named_with_what_was_expected(table, parts):
    fault = ranks_fault(table, RUN)
    assert all(part in fault for part in parts)


def test_good_ranks_have_no_fault_even_between_two_whole_ones():
    assert ranks_fault(ranks_table(RUN, [1, 2.5], [1, 2]), RUN) is None


def test_the_order_of_rows_is_no_difference():
    table = ranks_table(RUN, [1, 2], [1, 2])
    assert first_difference(table.reverse(), table) is None


def test_the_first_user_without_a_partner_or_with_another_item_is_named():
    full, short = ranks_table(RUN, [1, 2, 3], [1, 2, 3]), ranks_table(RUN, [1, 2], [1, 2])
    assert first_difference(short, full) == "user 2 has no test rank, but has one there"
    assert first_difference(full, short) == "user 2 has a test rank, but has none there"
    is_changed = (pl.col("user") == 1) & (pl.col("split") == "valid")
    other = short.with_columns(item=pl.when(is_changed).then(77).otherwise("item"))
    difference = first_difference(short, other)
    assert all(part in difference for part in ("valid", "user 1 is 2", "77 there"))
