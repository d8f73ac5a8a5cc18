"""The shell of every step: options, one-line errors, exit codes."""

import errno
import logging
import re

import pytest

from ace_steps import command
from ace_steps.errors import InputError


def _options(argv):
    options = command.parser("Do a thing.\n\npython -m thing --size 3\n")
    options.add_argument("--size", type=int, required=True)
    return options.parse_args(argv)


def test_a_good_run_ends_with_zero_and_gets_its_options():
    seen = []
    assert command.execute(lambda size: seen.append(size), _options(["--size", "3"])) == 0
    assert seen == [3]


def test_a_callers_mistake_is_one_line_and_two(capfd):
    def run(size):
        raise InputError(f"size {size} is\ntoo small")

    assert command.execute(run, _options(["--size", "3"])) == 2
    printed = capfd.readouterr().err
    assert printed.count("\n") == 1
    assert "size 3 is too small" in printed


def test_a_full_disk_is_one_line_and_two(capfd):
    def run(size):
        raise OSError(errno.ENOSPC, "No space left on device", "out.parquet")

    assert command.execute(run, _options(["--size", "3"])) == 2
    assert "out.parquet: No space left on device" in capfd.readouterr().err


def test_a_warning_says_that_it_is_one_and_other_lines_name_time_and_step_alone(capfd):
    def run(size):
        logging.getLogger("ace_steps.thing").warning("%d is little", size)
        logging.getLogger("ace_steps.thing").info("%d done", size)

    assert command.execute(run, _options(["--size", "3"])) == 0
    time = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}"
    lines = capfd.readouterr().err.splitlines()
    assert re.fullmatch(rf"{time} ace_steps: warning: 3 is little", lines[0])
    assert re.fullmatch(rf"{time} ace_steps: 3 done", lines[1])


def test_a_defect_of_ours_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        command.execute(lambda size: size / 0, _options(["--size", "3"]))


def test_an_interrupted_run_says_that_it_can_go_on(capfd):
    def run(size):
        raise KeyboardInterrupt

    assert command.execute(run, _options(["--size", "3"])) == 130
    assert "run the same command to go on" in capfd.readouterr().err


@pytest.mark.parametrize("argv", [[], ["--size", "x"], ["--size", "3", "--colour", "red"]])
def test_wrong_options_are_one_line_and_two(argv, capfd):
    with pytest.raises(SystemExit) as ending:
        _options(argv)
    assert ending.value.code == 2
    assert capfd.readouterr().err.count("\n") == 1


def test_an_option_cannot_be_shortened(capfd):
    with pytest.raises(SystemExit):
        _options(["--siz", "3"])


def test_help_shows_the_example(capsys):
    with pytest.raises(SystemExit):
        _options(["--help"])
    assert "example:\n  python -m thing --size 3" in capsys.readouterr().out
