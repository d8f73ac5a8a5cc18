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


def places_with(folder, artifacts, logs=()):
    """Artifacts, and logs whose text is ``why <name>``, each newer than the one before."""
    texts = {f"results/{name}": "" for name in artifacts}
    texts |= {f"logs/{name}": f"begins\nwhy {name}\n\n" for name in logs}
    for second, (name, text) in enumerate(texts.items()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        os.utime(folder / name, (second, second))
    return Places(folder / "results", folder / "logs", CONFIG)


def test_a_run_lacks_what_comes_after_the_last_artifact_it_left(tmp_path):
    for n_files, lacking in enumerate(FILES):
        places = places_with(tmp_path / str(n_files), FILES[:n_files])
        assert places.cause(RUN) == Gap(f"results/{lacking}")
    places = places_with(tmp_path, FILES[3:4])  # what served before may have been deleted
    assert places.cause(RUN) == Gap(f"results/{FILES[4]}")


def test_a_run_is_finished_without_the_factor_but_not_without_what_the_report_reads(tmp_path):
    kept = [name for name in FILES if "factor" not in name]
    places = places_with(tmp_path, kept)
    assert places.lacking(RUN) is None
    assert places.cause(RUN) == Gap("the metrics of the run shop/small/ace-lambda_5/sasrec/1")
    for name in kept:
        (tmp_path / "results" / name).unlink()
        assert places.lacking(RUN).path(RUN) == name
        places_with(tmp_path, [name])


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
    places = places_with(tmp_path, FILES[:1], ["fetch_encoder/a-model.log"])
    assert places.gap("embed", ("shop", "own"), "x").log == ""  # it has no source to fetch


def test_of_a_sharded_job_the_shard_that_did_not_finish_explains_it(tmp_path):
    logs = [f"embed_items/shop/small/{shard}.log" for shard in ("1-of-2", "2-of-2")]
    artifacts = [FILES[0], "embed/shop/small/shards/2-of-2.parquet"]
    assert places_with(tmp_path, artifacts, logs).cause(RUN).log == f"logs/{logs[0]}"


def test_recorded_gaps_name_the_artifact_and_the_recorded_reason(tmp_path):
    rules = [stage.rules[-1] for stage in CHAIN]
    rows = [{**RUN._asdict(), "stage": rule, "reason": f"why {rule}"} for rule in rules]
    gaps = places_with(tmp_path, []).recorded(pl.DataFrame(rows))
    expected = zip(FILES, rules, strict=True)
    assert gaps == [Gap(f"results/{name}", 1, "", f"why {rule}") for name, rule in expected]


def test_the_last_line_is_what_a_progress_bar_showed_last_and_is_short(tmp_path):
    log = tmp_path / "a.log"
    log.write_bytes(b"start\n 10 %\r 50 %\r  90 %\r\n")
    assert last_line(log) == "90 %"
    log.write_text("x\n" * 100_000 + "y" * 1000)
    assert last_line(log) == "y" * 300 + "…"
    log.write_text("\n \n")
    assert last_line(log) == "the log is empty"


def test_a_thing_that_several_runs_lack_is_listed_once_with_their_number():
    gaps = [Gap("a", 1, "log", "why"), Gap("b"), Gap("a", 1, "log", "why")]
    assert merged(gaps) == [Gap("a", 2, "log", "why"), Gap("b")]
