"""What a person sees of a run: a line a job, failures with the end of their log, all on request."""

import os
import pty
import re
import subprocess

import pytest
import yaml

from tests.conftest import ROOT
from tests.workflow.conftest import RANDOM, SASREC, make_checkout

FIRST = ("--until", "preprocess_dataset", "--forcerun", "preprocess_dataset")
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return make_checkout(tmp_path_factory.mktemp("watched") / "ace")


@pytest.fixture(scope="module")
def printed(checkout):
    """What the first stage alone prints."""
    done = checkout.snakemake(*FIRST)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def own_log(checkout):
    """Snakemake's own log of the newest run."""
    return max((checkout.folder / ".snakemake/log").glob("*.log")).read_text()


def on_a_terminal(checkout, *options):
    """What a run writes to a terminal."""
    terminal, inner = pty.openpty()
    environment = checkout.environment() | {"TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(
        checkout.command(*options),
        cwd=checkout.folder,
        env=environment,
        stdin=inner,
        stdout=inner,
        stderr=inner,
    )
    os.close(inner)
    pieces = []
    while True:
        try:
            pieces.append(os.read(terminal, 4096))
        except OSError:  # the other end is closed
            break
    os.close(terminal)
    text = b"".join(pieces).decode()
    assert process.wait() == 0, text
    return text


def test_each_job_is_a_line_with_count_and_result_and_a_dozen_lines_stand_beside(printed):
    assert re.search(r"^\[1/\d+\] preprocess_dataset toy, \d+ s: toy: 40 users", printed, re.M)
    n_jobs = len(re.findall(r"^\[\d+/\d+\] ", printed, re.M))
    assert len(printed.splitlines()) <= n_jobs + 12


def test_it_says_where_the_logs_are(checkout, printed):
    folder = re.search(r"^logs of the steps: (\S+)/<step>/$", printed, re.M)[1]
    assert "40 users" in (checkout.folder / folder / "preprocess_dataset/toy.log").read_text()
    assert re.search(r"Complete log\(s\): \S+\.snakemake\.log", printed)


def test_snakemakes_own_log_has_what_is_not_printed(checkout, printed):
    assert "jobid:" not in printed
    assert "    jobid:" in own_log(checkout)


@pytest.mark.parametrize("option", ["--verbose", "--printshellcmds"])
def test_all_is_printed_on_request(checkout, option):
    done = checkout.snakemake("--dry-run", option, *FIRST)
    assert "    jobid:" in done.stdout + done.stderr


def test_a_dry_run_names_each_job_and_why_it_would_run(checkout):
    done = checkout.snakemake("--dry-run")
    assert f"\ntrain_backbone toy/toy/{RANDOM}/{SASREC}/1: missing output files\n" in done.stdout
    assert len(done.stdout.splitlines()) < 100


def test_a_job_that_fails_shows_the_end_of_its_log(tmp_path):
    checkout = make_checkout(tmp_path / "ace")
    raw = checkout.folder / "data/toy/toy.inter"
    raw.write_text(raw.read_text() + "one field\n")
    done = checkout.snakemake(*FIRST)
    assert done.returncode == 1
    log = re.search(r"FAILED preprocess_dataset toy\n    log: (\S+)\n", done.stderr)[1]
    reason = (checkout.folder / log).read_text().splitlines()[-1]
    assert f"    | {reason}\n" in done.stderr
    assert "--interactions" not in done.stderr  # the command, a page long


def test_a_terminal_shows_what_runs_and_is_left_as_it_was(checkout, real_python):
    text = on_a_terminal(checkout, *FIRST)
    assert re.search(r"\[0/\d+\] done, 1 running", text)
    assert text.rindex(SHOW_CURSOR) > text.rindex(HIDE_CURSOR)


@pytest.mark.parametrize(
    "profile", sorted((ROOT / "workflow/profiles").glob("*/config.yaml")), ids=str
)
def test_every_profile_shows_a_run_like_this(profile):
    assert yaml.safe_load(profile.read_text())["logger"] == "ace"
