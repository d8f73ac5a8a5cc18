import polars as pl

from ace_steps.reporting.cost import rule_sums


def test_a_rules_jobs_are_summed_in_the_order_of_the_work():
    jobs = pl.DataFrame(
        [
            ("train_backbone", 10.0, 500.0, 15.0),
            ("a_rule_of_its_own", 1.0, None, None),
            ("embed_items", 3.0, 900.0, 3.0),
            ("train_backbone", 30.0, 400.0, 45.0),
        ],
        schema=["rule", "seconds", "memory_mb", "cpu_s"],
        orient="row",
    )
    sums = rule_sums(jobs).to_dicts()
    assert [row["rule"] for row in sums] == ["embed_items", "train_backbone", "a_rule_of_its_own"]
    assert sums[1] == {
        "rule": "train_backbone",
        "n_jobs": 2,
        "total": 40.0,
        "longest": 30.0,
        "cpu": 60.0,
        "memory": 500.0,
    }
    assert sums[2]["memory"] is None
