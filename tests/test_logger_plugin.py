"""Snakemake's logger plugin: what a person sees of a run's events."""

import logging
from types import SimpleNamespace

import pytest
from snakemake.logging import DefaultFormatter
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_ace import LogHandler, display
from snakemake_logger_plugin_ace.display import duration
from snakemake_logger_plugin_ace.logs import StepLog, last_lines

TIME = "2026-11-30 21:08:26,123"
IDENTITY = {"dataset": "toy", "encoder": "minilm", "seed": "1"}


class Run:
    """A handler and the events that Snakemake would send it: 3 jobs of train_backbone."""

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

    def plan(self):
        counts = {"train_backbone": 2, "all": 1, "total": 3}
        self.send(LogEvent.RUN_INFO, "Job stats:\n...", stats=counts)

    def start(self, jobid=7, wildcards=IDENTITY, has_log=True):
        self.send(
            LogEvent.JOB_INFO,
            jobid=jobid,
            rule_name="train_backbone",
            rule_msg=None,
            wildcards=wildcards,
            log=[str(self.log)] if has_log else [],
            reason="Missing output files: a, b; Code changed",
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

    def fail(self):
        facts = {"rule_name": "train_backbone", "rule_msg": None, "aux": {}, "jobid": 7}
        self.send(LogEvent.JOB_ERROR, "Error", logging.ERROR, log=[str(self.log)], **facts)


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test moves by hand."""
    now = [100.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def start_run(tmp_path, monkeypatch):
    """Make a handler with a plan; its thread sleeps, so that a test says when it looks."""
    monkeypatch.setattr(display, "LOOK_EVERY_S", 3600)
    runs = []

    def start(**options):
        runs.append(Run(tmp_path, **options))
        runs[-1].plan()
        return runs[-1]

    yield start
    for run in runs:
        run.handler.close()


def test_a_finished_job_is_a_line_with_count_title_time_and_the_last_message_of_its_step(
    start_run, clock, capsys
):
    run = start_run()
    run.start(1)
    run.write("epoch 1: loss 3", "8 epochs, best is 5")
    clock[0] += 200
    run.finish(1)
    run.start(2, {"dataset": "toy", "scatteritem": "1-of-2"})
    run.write("x" * 500)
    run.finish(2)
    run.start(3, {}, has_log=False)  # a target that has nothing to do itself
    run.finish(3)
    lines = capsys.readouterr().err.splitlines()
    assert lines[:3] == [
        "3 jobs: train_backbone 2",
        f"logs of the steps: {run.log.parents[2]}/<step>/",
        "[1/3] train_backbone toy/minilm/1, 3 min 20 s: 8 epochs, best is 5",
    ]
    assert lines[3].startswith("[2/3] train_backbone toy/1-of-2, 0 s: xxx")
    assert lines[3].endswith("x…")
    assert len(lines[3]) < 200
    assert len(lines) == 4


def test_a_long_job_is_heard_of_after_a_minute_and_then_after_twice_the_time_if_it_has_news(
    start_run, clock, capsys
):
    run = start_run()
    run.start()
    capsys.readouterr()
    lines = []
    for second in range(1, 901):
        clock[0] += 1
        if second <= 300:
            run.write(f"epoch {second}")
        run.handler.look()
        if printed := capsys.readouterr().err:
            lines.append((second, printed))
    assert lines == [
        (second, f"[0/3] train_backbone toy/minilm/1: epoch {min(second, 300)}\n")
        for second in (60, 120, 240, 480)
    ]


def test_a_warning_is_shown_at_once_and_once(start_run, capsys):
    run = start_run()
    run.start()
    run.write("warning: out of memory, going on with 512", "epoch 1")
    run.handler.look()
    shown = "train_backbone toy/minilm/1: warning: out of memory, going on with 512\n"
    assert shown in capsys.readouterr().err
    run.finish()
    assert "warning" not in capsys.readouterr().err


def test_the_log_of_an_earlier_run_is_no_news(start_run, clock, capsys):
    run = start_run()
    run.write("warning: old", "8 epochs of old")
    run.start()
    clock[0] += 100
    run.handler.look()
    assert "old" not in capsys.readouterr().err
    run.log.write_text("")
    run.write("new")
    run.handler.look()
    assert "train_backbone toy/minilm/1: new" in capsys.readouterr().err


@pytest.mark.parametrize("shows_logs", [True, False])
def test_a_failed_job_shows_where_its_log_is_and_on_request_how_it_ends(
    start_run, capsys, shows_logs
):
    run = start_run(show_failed_logs=shows_logs)
    run.start()
    run.write(*(f"line {number}." for number in range(100)), "loss is not finite")
    run.fail()
    printed = capsys.readouterr().err
    assert "FAILED train_backbone toy/minilm/1" in printed
    assert f"log: {run.log}\n" in printed
    assert ("loss is not finite" in printed) == ("line 99." in printed) == shows_logs
    assert "line 1." not in printed  # the end of the log alone


def test_a_failed_submission_of_several_jobs_shows_the_end_of_its_own_log(start_run, capsys):
    run = start_run()
    run.log.write_text("slurmstepd: out of memory\n")
    facts = {"groupid": "points", "aux_logs": [str(run.log)], "job_error_info": []}
    run.send(LogEvent.GROUP_ERROR, "Error in group", logging.ERROR, **facts)
    lines = capsys.readouterr().err.splitlines()
    assert "FAILED group points" in lines[1]
    assert lines[2:] == [f"    log: {run.log}", "    | slurmstepd: out of memory"]


def test_jobs_that_a_checkpoint_adds_are_counted(start_run, capsys):
    run = start_run()
    run.send(LogEvent.PROGRESS, done=1, total=9)
    run.start()
    run.finish()
    assert "[1/9] train_backbone" in capsys.readouterr().err


def test_routine_messages_and_a_failed_command_are_left_out_and_any_other_is_shown(
    start_run, capsys
):
    run = start_run()
    capsys.readouterr()
    advice = "Some jobs were triggered by provenance information, see 'reason' section in the ..."
    for message in ("Select jobs to execute...", "Building DAG of jobs...", advice, None):
        run.send(None, message)
    run.send(None, "Nothing to be done (all requested files are present and up to date).")
    run.send(None, "Select a better disk", logging.WARNING)
    text = "Error:\nCommand 'python -m x\n--y' returned non-zero exit status 2."
    run.send(LogEvent.ERROR, text, logging.ERROR)
    assert [line.split()[:2] for line in capsys.readouterr().err.splitlines()] == [
        ["Nothing", "to"],
        ["Select", "a"],
        ["Error:"],
        ["the", "command"],
    ]


def test_a_dry_run_lists_each_job_with_its_first_reason_on_standard_output(start_run, capsys):
    run = start_run(dryrun=True)
    run.start()
    run.plan()  # Snakemake sends it again at the end
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["Job stats:", "...", "train_backbone toy/minilm/1: missing output files"]


@pytest.mark.parametrize("option", ["verbose", "printshellcmds"])
def test_snakemakes_own_output_comes_back_on_request(start_run, capsys, option):
    run = start_run(**{option: True})
    run.send(None, "Select jobs to execute...")
    run.start()
    printed = capsys.readouterr().err
    assert "Select jobs to execute..." in printed
    assert "    wildcards: dataset=toy, encoder=minilm, seed=1" in printed


def test_whole_lines_of_steps_are_read_and_a_log_that_is_written_anew_from_its_start(tmp_path):
    path = tmp_path / "step.log"
    log = StepLog(path)
    path.write_text(f"Loading: 100%\n{TIME} embed_items: 3 of 7 te")
    log.read_news()
    assert log.last == ""
    with path.open("a") as stream:
        stream.write("xts\nTraceback\n")
    log.read_news()
    assert log.last == "3 of 7 texts"
    path.write_text(f"{TIME} embed_items: again\n")
    log.read_news()
    assert log.last == "again"


def test_the_last_lines_of_no_file_are_none(tmp_path):
    assert last_lines(tmp_path / "none.log", 5) == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(59.4, "59 s"), (59.6, "1 min 0 s"), (3599, "59 min 59 s"), (7500, "2 h 5 min")],
)
def test_a_duration_is_written_in_its_two_largest_units(seconds, text):
    assert duration(seconds) == text
