"""What a run lacks and why, told from the files that lie there."""

import os

import polars as pl
import pytest

from ace_steps.config.grid import Run
from ace_steps.evaluation.gaps import Gap, Places, last_line, merged

RUN = Run("shop", "small", "ace-lambda_5", "sasrec", 1)
CONFIG = {
    "datasets": {"shop": {"source": "a-shop"}},
    "encoders": {"small": {"source": "a-model"}, "own": {"vectors": "mine.npy"}},
}
CHAIN = (
    "preprocess/shop/data_report.parquet",
    "embed/shop/small/item_vectors.parquet",
    "factor/shop/small/factor.safetensors",
    "refine/shop/small/ace-lambda_5/spectrum.parquet",
    "train/shop/small/ace-lambda_5/sasrec/1/training_curve.parquet",
    "rank/shop/small/ace-lambda_5/sasrec/1/ranks.parquet",
)


def put(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def places_with(folder, artifacts):
    for name in artifacts:
        put(folder / "results" / name)
    return Places(folder / "results", folder / "logs", CONFIG)


def test_what_comes_after_the_last_artifact_of_a_run_is_its_cause(tmp_path):
    for n_found, lacking in enumerate(CHAIN):
        places = places_with(tmp_path / str(n_found), CHAIN[:n_found])
        assert places.cause(RUN) == Gap(f"results/{lacking}")


def test_what_was_deleted_once_it_had_served_is_no_cause(tmp_path):
    places = places_with(tmp_path, CHAIN[3:4])  # refined, but neither texts nor factor are left
    assert places.cause(RUN) == Gap(f"results/{CHAIN[4]}")


def gaps_of(*stages: str) -> pl.DataFrame:
    rows = [{**RUN._asdict(), "stage": stage, "reason": f"why {stage}"} for stage in stages]
    return pl.DataFrame(rows)


def test_recorded_gaps_name_the_artifact_and_the_reason_where_no_log_is_left(tmp_path):
    places = places_with(tmp_path, [])
    rules = ("preprocess_dataset", "merge_vectors", "factor_vectors", "refine_vectors",
             "train_backbone", "merge_ranks")  # fmt: skip
    found = places.recorded(gaps_of(*rules))
    assert [gap.what for gap in found] == [f"results/{name}" for name in CHAIN]
    assert [gap.last_line for gap in found] == [f"why {rule}" for rule in rules]
    assert {(gap.n_runs, gap.log) for gap in found} == {(1, "")}


def test_of_a_recorded_gap_the_log_itself_is_quoted(tmp_path):
    places = places_with(tmp_path, [])
    log = "train_backbone/shop/small/ace-lambda_5/sasrec/1.log"
    put(tmp_path / "logs" / log, "the loss is nan.\n")
    (gap,) = places.recorded(gaps_of("train_backbone"))
    assert (gap.log, gap.last_line) == (f"logs/{log}", "the loss is nan.")


def test_a_run_that_has_everything_lacks_only_its_metrics(tmp_path):
    places = places_with(tmp_path, CHAIN)
    put(tmp_path / "logs/collect_metrics/all.log", "one\ntwo\n")
    gap = places.cause(RUN)
    assert gap.what == "the metrics of the run shop/small/ace-lambda_5/sasrec/1"
    assert (gap.log, gap.last_line) == ("logs/collect_metrics/all.log", "two")


def test_the_log_of_the_job_that_was_to_make_it_tells_why(tmp_path):
    places = places_with(tmp_path, CHAIN[:4])
    log = "train_backbone/shop/small/ace-lambda_5/sasrec/1.log"
    put(tmp_path / "logs" / log, "epoch 1\nthe loss is nan at epoch 2.\n\n")
    gap = places.cause(RUN)
    assert (gap.log, gap.last_line) == (f"logs/{log}", "the loss is nan at epoch 2.")


def log_at(folder, name, text, second):
    """A log of a time of its own."""
    put(folder / "logs" / name, text)
    os.utime(folder / "logs" / name, (second, second))


def test_where_the_maker_was_not_started_the_job_before_it_tells_why(tmp_path):
    places = places_with(tmp_path, CHAIN[:1])
    log_at(tmp_path, "fetch_encoder/a-model.log", "no such host\n", 10)
    assert places.cause(RUN).last_line == "no such host"
    log_at(tmp_path, "embed_items/shop/small/1-of-2.log", "out of memory\n", 20)
    assert places.cause(RUN).last_line == "out of memory"
    log_at(tmp_path, "merge_vectors/shop/small.log", "an item is missing\n", 30)
    assert places.cause(RUN).last_line == "an item is missing"


def test_of_several_logs_the_newest_counts(tmp_path):
    places = places_with(tmp_path, CHAIN[:2])
    log_at(tmp_path, "factor_vectors/shop/small.log", "of an earlier attempt\n", 10)
    log_at(tmp_path, "gram_vectors/shop/small/1-of-2.log", "killed\n", 20)
    assert places.cause(RUN).last_line == "killed"


def test_a_job_that_was_never_started_borrows_no_others_log(tmp_path):
    places = places_with(tmp_path, CHAIN[:3])
    log_at(tmp_path, "factor_vectors/shop/small.log", "factored 9 items\n", 10)
    assert places.cause(RUN) == Gap(f"results/{CHAIN[3]}")


@pytest.mark.parametrize(
    "log", ["request_vectors/shop/own/2-of-2.log", "import_vectors/shop/own.log"]
)
def test_an_encoder_of_another_kind_has_its_own_logs(tmp_path, log):
    places = places_with(tmp_path, CHAIN[:1])
    log_at(tmp_path, "fetch_encoder/a-model.log", "no such host\n", 30)  # another's
    log_at(tmp_path, log, "why\n", 10)
    assert places.cause(RUN._replace(encoder="own")).log == f"logs/{log}"


def test_a_dataset_that_could_not_be_fetched_is_told(tmp_path):
    places = places_with(tmp_path, [])
    log_at(tmp_path, "fetch_dataset/a-shop/items.log", "no such host\n", 10)
    assert places.cause(RUN).log == "logs/fetch_dataset/a-shop/items.log"


def test_a_run_is_done_without_the_factor_but_not_without_what_the_report_reads(tmp_path):
    places = places_with(tmp_path, [name for name in CHAIN if "factor" not in name])
    assert places.lacking(RUN) is None
    for name in CHAIN:
        if "factor" in name:
            continue
        (tmp_path / "results" / name).unlink()
        assert places.lacking(RUN).folder == name.split("/")[0]
        put(tmp_path / "results" / name)


def test_of_a_scattered_job_the_shard_that_did_not_finish_tells_why(tmp_path):
    places = places_with(tmp_path, [CHAIN[0], "embed/shop/small/shards/2-of-2.parquet"])
    put(tmp_path / "logs/embed_items/shop/small/1-of-2.log", "killed\n")
    put(tmp_path / "logs/embed_items/shop/small/2-of-2.log", "embedded 9 texts\n")
    gap = places.cause(RUN)
    assert (gap.log, gap.last_line) == ("logs/embed_items/shop/small/1-of-2.log", "killed")


def test_the_last_line_is_what_a_progress_bar_showed_last_and_is_short(tmp_path):
    log = tmp_path / "a.log"
    log.write_bytes(b"start\n 10 %\r 50 %\r  90 %\r\n")
    assert last_line(log) == "90 %"
    log.write_text("x" * 1000)
    assert last_line(log) == "x" * 300 + "…"
    log.write_text("\n \n")
    assert last_line(log) == "the log is empty"


def test_a_thing_that_several_runs_lack_is_told_once_with_their_number():
    gaps = [Gap("a", 1, "log", "why"), Gap("b"), Gap("a", 1, "log", "why")]
    assert merged(gaps) == [Gap("a", 2, "log", "why"), Gap("b")]
