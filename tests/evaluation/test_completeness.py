"""What a run lacks and why, from the files that lie there."""

import os

import polars as pl
import pytest

from ace_steps.config.grid import Run
from ace_steps.evaluation.completeness import CHAIN, Gap, Places, last_line, merged

RUN = Run("shop", "small", "ace-lambda_5", "sasrec", 1)
RUN_LOG = "shop/small/ace-lambda_5/sasrec/1.log"
CONFIG = {
    "datasets": {"shop": {"source": "a-shop"}},
    "encoders": {"small": {"source": "a-model"}, "own": {"vectors": "mine.npy"}},
}
FILES = (
    "preprocess/shop/data_report.parquet",
    "embed/shop/small/item_vectors.parquet",
    "factor/shop/small/factor.safetensors",
    "refine/shop/small/ace-lambda_5/spectrum.parquet",
    "train/shop/small/ace-lambda_5/sasrec/1/training_curve.parquet",
    "rank/shop/small/ace-lambda_5/sasrec/1/ranks.parquet",
)


def put(path, text="", second=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if second is not None:
        os.utime(path, (second, second))


def places_with(folder, artifacts, logs=()):
    """Artifacts, and logs whose text is ``why <name>``, each newer than the one before."""
    for name in artifacts:
        put(folder / "results" / name)
    for second, name in enumerate(logs, start=10):
        put(folder / "logs" / name, f"begins\nwhy {name}\n\n", second)
    return Places(folder / "results", folder / "logs", CONFIG)


def test_the_patterns_are_the_paths_of_a_run():
    assert tuple(stage.pattern.format(**RUN._asdict()) for stage in CHAIN) == FILES


def test_what_comes_after_the_last_artifact_of_a_run_is_its_cause(tmp_path):
    for n_files, lacking in enumerate(FILES):
        places = places_with(tmp_path / str(n_files), FILES[:n_files])
        assert places.cause(RUN) == Gap(f"results/{lacking}")


def test_what_was_deleted_once_it_had_served_is_no_cause(tmp_path):
    places = places_with(tmp_path, FILES[3:4])  # refined, but neither texts nor factor are left
    assert places.cause(RUN) == Gap(f"results/{FILES[4]}")


def gaps_of(*stages: str) -> pl.DataFrame:
    rows = [{**RUN._asdict(), "stage": stage, "reason": f"why {stage}"} for stage in stages]
    return pl.DataFrame(rows)


def test_recorded_gaps_name_the_artifact_and_the_reason_where_no_log_is_left(tmp_path):
    rules = [stage.rule for stage in CHAIN]
    gaps = places_with(tmp_path, []).recorded(gaps_of(*rules))
    assert [gap.what for gap in gaps] == [f"results/{name}" for name in FILES]
    assert [gap.last_line for gap in gaps] == [f"why {rule}" for rule in rules]
    assert {(gap.n_runs, gap.log) for gap in gaps} == {(1, "")}


def test_of_a_recorded_gap_the_log_itself_is_quoted(tmp_path):
    log = f"train_backbone/{RUN_LOG}"
    put(tmp_path / "logs" / log, "the loss is nan.\n")
    (gap,) = places_with(tmp_path, []).recorded(gaps_of("train_backbone"))
    assert (gap.log, gap.last_line) == (f"logs/{log}", "the loss is nan.")


def test_a_run_that_has_everything_lacks_only_its_metrics(tmp_path):
    gap = places_with(tmp_path, FILES, ["collect_metrics/all.log"]).cause(RUN)
    assert gap.what == "the metrics of the run shop/small/ace-lambda_5/sasrec/1"
    assert (gap.log, gap.last_line) == (
        "logs/collect_metrics/all.log",
        "why collect_metrics/all.log",
    )


@pytest.mark.parametrize(
    ("n_files", "logs"),
    [
        (0, ["fetch_dataset/a-shop/items.log"]),
        (1, ["fetch_encoder/a-model.log"]),
        (1, ["fetch_encoder/a-model.log", "embed_items/shop/small/1-of-2.log"]),
        (1, ["embed_items/shop/small/1-of-2.log", "merge_vectors/shop/small.log"]),
        (2, ["factor_vectors/shop/small.log", "gram_vectors/shop/small/1-of-2.log"]),
        (4, [f"train_backbone/{RUN_LOG}"]),
    ],
)
def test_the_newest_log_of_the_jobs_that_were_to_produce_it_explains_a_gap(tmp_path, n_files, logs):
    gap = places_with(tmp_path, FILES[:n_files], logs).cause(RUN)
    assert (gap.log, gap.last_line) == (f"logs/{logs[-1]}", f"why {logs[-1]}")


def test_a_job_that_was_never_started_borrows_no_others_log(tmp_path):
    places = places_with(tmp_path, FILES[:3], ["factor_vectors/shop/small.log"])
    assert places.cause(RUN) == Gap(f"results/{FILES[3]}")


@pytest.mark.parametrize(
    "log", ["request_vectors/shop/own/2-of-2.log", "import_vectors/shop/own.log"]
)
def test_an_encoder_of_another_kind_has_its_own_logs(tmp_path, log):
    places = places_with(tmp_path, FILES[:1], [log, "fetch_encoder/a-model.log"])
    assert places.cause(RUN._replace(encoder="own")).log == f"logs/{log}"


def test_a_run_is_finished_without_the_factor_but_not_without_what_the_report_reads(tmp_path):
    kept = [name for name in FILES if "factor" not in name]
    places = places_with(tmp_path, kept)
    assert places.lacking(RUN) is None
    for name in kept:
        (tmp_path / "results" / name).unlink()
        assert places.lacking(RUN).folder == name.split("/")[0]
        put(tmp_path / "results" / name)


def test_of_a_sharded_job_the_shard_that_did_not_finish_explains_it(tmp_path):
    logs = [f"embed_items/shop/small/{shard}.log" for shard in ("1-of-2", "2-of-2")]
    artifacts = [FILES[0], "embed/shop/small/shards/2-of-2.parquet"]
    assert places_with(tmp_path, artifacts, logs).cause(RUN).log == f"logs/{logs[0]}"


def test_the_last_line_is_what_a_progress_bar_showed_last_and_is_short(tmp_path):
    log = tmp_path / "a.log"
    log.write_bytes(b"start\n 10 %\r 50 %\r  90 %\r\n")
    assert last_line(log) == "90 %"
    log.write_text("x" * 1000)
    assert last_line(log) == "x" * 300 + "…"
    log.write_text("\n \n")
    assert last_line(log) == "the log is empty"


def test_a_thing_that_several_runs_lack_is_listed_once_with_their_number():
    gaps = [Gap("a", 1, "log", "why"), Gap("b"), Gap("a", 1, "log", "why")]
    assert merged(gaps) == [Gap("a", 2, "log", "why"), Gap("b")]
