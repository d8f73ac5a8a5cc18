"""Snakemake's logger plugin: what a person sees of a run's events."""

import logging
from types import SimpleNamespace

import pytest
from snakemake.logging import DefaultFormatter
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_ace import LogHandler, display
from snakemake_logger_plugin_ace.display import duration, short_reason
from snakemake_logger_plugin_ace.logs import StepLog, last_lines

TIME = "2026-11-30 21:08:26,123"
IDENTITY = {"dataset": "toy", "encoder": "minilm", "seed": "1"}


class Run:
    """A handler and the events that Snakemake would send it."""

    def __init__(self, folder, **options):
        known = ("printshellcmds", "nocolor", "debug_dag", "verbose", "dryrun")
        settings = dict.fromkeys(known, False) | {"show_failed_logs": True} | options
        settings |= {"stdout": settings["dryrun"], "quiet": None}
        self.handler = LogHandler(SimpleNamespace(**settings), None)
        self.handler.setFormatter(DefaultFormatter())
        self.log = folder / "logs/shop/train_backbone/toy/1.log"
        self.log.parent.mkdir(parents=True)

    def send(self, event, message=None, level=logging.INFO, **facts):
        record = logging.LogRecord("snakemake", level, "", 0, message, None, None)
        vars(record).update(event=event, **facts)
        self.handler.emit(record)

    def plan(self, total):
        counts = {"train_backbone": total - 1, "all": 1, "total": total}
        self.send(LogEvent.RUN_INFO, "Job stats:\n...", stats=counts)

    def start(
        self,
        jobid=7,
        wildcards=IDENTITY,
        reason="Missing output files: a, b; Code changed",
        has_log=True,
    ):
        self.send(
            LogEvent.JOB_INFO,
            jobid=jobid,
            rule_name="train_backbone",
            rule_msg=None,
            wildcards=wildcards,
            log=[str(self.log)] if has_log else [],
            reason=reason,
            input=[],
            output=["results/x"],
            **dict.fromkeys(("local", "is_checkpoint", "indent"), False),
            **{"benchmark": None, "priority": 0, "threads": 1, "resources": {}},
        )

    def write(self, *messages):
        with self.log.open("a") as stream:
            stream.writelines(f"{TIME} train_backbone: {message}\n" for message in messages)

    def finish(self, jobid=7):
        self.send(LogEvent.JOB_FINISHED, job_id=jobid)

    def fail(self, jobid=7):
        facts = {"rule_name": "train_backbone", "rule_msg": None, "aux": {}, "jobid": jobid}
        self.send(LogEvent.JOB_ERROR, "Error", logging.ERROR, log=[str(self.log)], **facts)


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test moves by hand."""
    now = [100.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def start_run(tmp_path, monkeypatch):
    """Make a handler; its thread sleeps, so that a test says when it looks."""
    monkeypatch.setattr(display, "LOOK_EVERY_S", 3600)
    runs = []

    def start(**options):
        runs.append(Run(tmp_path, **options))
        return runs[-1]

    yield start
    for run in runs:
        run.handler.close()


def test_a_finished_job_is_a_line_with_count_title_time_and_what_its_step_said_last(
    start_run, clock, capsys
):
    run = start_run()
    run.plan(45)
    run.start()
    run.write("epoch 1: loss 3", "8 epochs, best is 5")
    clock[0] += 200
    run.finish()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "45 jobs: train_backbone 44"
    assert lines[1] == f"logs of the steps: {run.log.parents[2]}/<step>/"
    assert lines[2:] == [
        "[1/45] train_backbone toy/minilm/1, 3 min 20 s: 8 epochs, best is 5",
    ]


def test_the_folder_of_the_logs_is_said_once_and_a_target_without_work_is_no_line(
    start_run, capsys
):
    run = start_run()
    run.plan(3)
    for jobid in (1, 2):
        run.start(jobid)
    for jobid in (1, 2):
        run.finish(jobid)
    run.start(3, wildcards={}, has_log=False)
    run.finish(3)
    lines = capsys.readouterr().err.splitlines()
    assert sum("logs of the steps" in line for line in lines) == 1
    assert [line.split()[0] for line in lines[2:]] == ["[1/3]", "[2/3]"]


def test_a_long_message_is_cut_to_a_line(start_run, capsys):
    run = start_run()
    run.plan(3)
    run.start()
    run.write("x" * 500)
    run.finish()
    shown = capsys.readouterr().err.splitlines()[-1]
    assert shown.endswith("x…")
    assert shown.count("x") < 130


def test_a_long_job_is_heard_of_after_a_minute_and_then_after_twice_the_time(
    start_run, clock, capsys
):
    run = start_run()
    run.plan(3)
    run.start()
    heard = []
    capsys.readouterr()
    for second in range(1, 301):
        clock[0] += 1
        run.write(f"epoch {second}")
        run.handler.look()
        if printed := capsys.readouterr().err:
            heard.append((second, printed))
    assert [second for second, _ in heard] == [60, 120, 240]
    assert heard[0][1] == "[0/3] train_backbone toy/minilm/1: epoch 60\n"


def test_a_job_without_news_is_not_repeated(start_run, clock, capsys):
    run = start_run()
    run.plan(3)
    run.start()
    run.write("epoch 1")
    capsys.readouterr()
    for _ in range(10):
        clock[0] += 600
        run.handler.look()
    assert capsys.readouterr().err.count("epoch 1") == 1


def test_a_warning_is_shown_at_once_and_once(start_run, capsys):
    run = start_run()
    run.plan(3)
    run.start()
    run.write("warning: out of memory, going on with 512", "epoch 1")
    run.handler.look()
    shown = "train_backbone toy/minilm/1: warning: out of memory, going on with 512\n"
    assert shown in capsys.readouterr().err
    run.finish()
    assert "warning" not in capsys.readouterr().err


def test_the_log_of_an_earlier_run_is_no_news(start_run, clock, capsys):
    run = start_run()
    run.plan(3)
    run.write("warning: old", "8 epochs of old")
    run.start()
    clock[0] += 100
    run.handler.look()
    assert "old" not in capsys.readouterr().err
    run.log.write_text("")
    run.write("new")
    run.handler.look()
    assert "train_backbone toy/minilm/1: new" in capsys.readouterr().err


def test_a_failed_job_shows_where_its_log_is_and_how_it_ends(start_run, capsys):
    run = start_run()
    run.plan(3)
    run.start()
    run.write(*(f"line {number}." for number in range(100)), "loss is not finite")
    run.fail()
    printed = capsys.readouterr().err
    assert "FAILED train_backbone toy/minilm/1" in printed
    assert f"log: {run.log}\n" in printed
    assert "loss is not finite" in printed
    assert "line 99." in printed
    assert "line 1." not in printed  # the end of the log alone


def test_without_show_failed_logs_a_failed_job_shows_where_its_log_is(start_run, capsys):
    run = start_run(show_failed_logs=False)
    run.plan(3)
    run.start()
    run.write("loss is not finite")
    run.fail()
    printed = capsys.readouterr().err
    assert f"log: {run.log}\n" in printed
    assert "loss is not finite" not in printed


def test_a_failed_submission_of_several_jobs_shows_the_end_of_its_own_log(start_run, capsys):
    run = start_run()
    run.log.write_text("slurmstepd: out of memory\n")
    facts = {"groupid": "points", "aux_logs": [str(run.log)], "job_error_info": []}
    run.send(LogEvent.GROUP_ERROR, "Error in group", logging.ERROR, **facts)
    lines = capsys.readouterr().err.splitlines()
    assert "FAILED group points" in lines[0]
    assert lines[1:] == [f"    log: {run.log}", "    | slurmstepd: out of memory"]


def test_a_failed_command_is_named_by_its_exit_code_and_not_printed(start_run, capsys):
    text = "CalledProcessError:\nCommand 'python -m x\n--y' returned non-zero exit status 2."
    start_run().send(LogEvent.ERROR, text, logging.ERROR)
    assert capsys.readouterr().err.splitlines() == [
        "CalledProcessError:",
        "the command returned non-zero exit status 2.",
    ]


def test_jobs_that_a_checkpoint_adds_are_counted(start_run, capsys):
    run = start_run()
    run.plan(3)
    run.send(LogEvent.PROGRESS, done=1, total=9)
    run.start()
    run.finish()
    assert "[1/9] train_backbone" in capsys.readouterr().err


def test_routine_messages_are_left_out_and_any_other_is_shown(start_run, capsys):
    run = start_run()
    advice = "Some jobs were triggered by provenance information, see 'reason' section in the ..."
    for message in ("Select jobs to execute...", "Building DAG of jobs...", advice, None):
        run.send(None, message)
    run.send(None, "Nothing to be done (all requested files are present and up to date).")
    run.send(None, "Select a better disk", logging.WARNING)
    printed = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in printed] == ["Nothing", "Select"]


def test_a_dry_run_lists_each_job_with_its_first_reason_on_standard_output(start_run, capsys):
    run = start_run(dryrun=True)
    run.plan(3)
    run.start()
    run.plan(3)  # Snakemake sends it again at the end
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["Job stats:", "...", "train_backbone toy/minilm/1: missing output files"]


@pytest.mark.parametrize("option", ["verbose", "printshellcmds"])
def test_snakemakes_own_output_comes_back_on_request(start_run, capsys, option):
    run = start_run(**{option: True})
    run.send(None, "Select jobs to execute...")
    run.start()
    printed = capsys.readouterr().err
    assert "Select jobs to execute..." in printed
    assert "    jobid: 7" in printed
    assert "    wildcards: dataset=toy, encoder=minilm, seed=1" in printed


def test_the_only_shard_is_not_named_and_one_of_several_is(start_run, capsys):
    run = start_run()
    for jobid, shard in ((1, "1-of-1"), (2, "1-of-2")):
        run.start(jobid, {"dataset": "toy", "scatteritem": shard})
        run.finish(jobid)
    printed = capsys.readouterr().err
    assert "train_backbone toy, " in printed
    assert "train_backbone toy/1-of-2, " in printed


def test_a_line_is_read_when_it_is_whole_and_what_is_no_steps_line_is_left_out(tmp_path):
    path = tmp_path / "step.log"
    log = StepLog(path)
    path.write_text(f"Loading: 100%\n{TIME} embed_items: 3 of 7 te")
    log.read_news()
    assert log.last == ""
    with path.open("a") as stream:
        stream.write("xts\nTraceback\n")
    log.read_news()
    assert log.last == "3 of 7 texts"


def test_a_log_that_is_written_anew_is_read_from_its_start(tmp_path):
    path = tmp_path / "step.log"
    log = StepLog(path)
    path.write_text(f"{TIME} embed_items: a long line of the first attempt\n")
    log.read_news()
    path.write_text(f"{TIME} embed_items: again\n")
    log.read_news()
    assert log.last == "again"


def test_the_last_lines_of_no_file_are_none(tmp_path):
    assert last_lines(tmp_path / "none.log", 5) == []
    (tmp_path / "some.log").write_text("a\nb\nc\n")
    assert last_lines(tmp_path / "some.log", 2) == ["b", "c"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (3599, "59 min 59 s"), (7500, "2 h 5 min")],
)
def test_a_duration_is_told_in_its_two_largest_units(seconds, text):
    assert duration(seconds) == text


def test_a_reason_is_told_without_its_files():
    assert short_reason("Code has changed since last execution") == (
        "code has changed since last execution"
    )
    assert short_reason("Missing output files: a:b, c; Params changed") == "missing output files"
