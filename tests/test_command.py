"""The shell of every step: options, one-line errors, exit codes."""

import logging
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated, Literal

import pytest

from ace_steps import command
from ace_steps.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Shared:
    size: Annotated[int, "how large"]
    colors: Annotated[Sequence[str], "which"] = ()


class Deed:
    """A step that notes what it is called with."""

    def __init__(self):
        self.calls = []

    def main(self, *argv, monkeypatch):
        def run(
            file: Annotated[Path, "what to read"],
            *,
            shared: Shared,
            kind: Annotated[Literal["a", "b"], "which kind"] = "a",
            is_dry: Annotated[bool, "write nothing"] = False,
            mask: Annotated[bool, "hide 50 % of it"],
            left_out: Annotated[int | None, "how many"] = None,
        ) -> None:
            self.calls.append((file, shared, kind, is_dry, mask, left_out))

        module = ModuleType("deed", "Do a thing.\n\npython -m deed x --size 3 --mask\n")
        module.__file__ = "/somewhere/deed.py"
        monkeypatch.setitem(sys.modules, "deed", module)
        run.__module__ = "deed"
        return command.main_of(run)(list(argv))


@pytest.fixture
def call(monkeypatch):
    """Parse a command line; what the step was called with."""
    deed = Deed()

    def call(*argv):
        assert deed.main(*argv, monkeypatch=monkeypatch) == 0
        return deed.calls.pop()

    return call


def test_options_are_the_parameters_and_defaults_make_them_optional(call):
    expected = (Path("x"), Shared(size=3), "a", False, True, None)
    assert call("x", "--size", "3", "--mask") == expected
    more = ("--kind", "b", "--is-dry", "--left-out", "4", "--colors", "red", "blue")
    shared = Shared(size=3, colors=["red", "blue"])
    assert call("--no-mask", "--size", "3", *more, "--", "x") == (
        *(Path("x"), shared, "b", True, False, 4),
    )
    assert call("x", "--size", "3", "--mask", "--colors")[1].colors == []


@pytest.mark.parametrize(
    ("argv", "option"),
    [
        ("x --mask", "--size"),
        ("x --size 3", "--mask"),
        ("--size 3 --mask", "file"),
        ("x --mask --size three", "--size"),
        ("x --mask --size 3 --kind c", "'a', 'b'"),
        ("x --mask --size 3 --color red", "--color"),
        ("x --mask --siz 3", "--siz"),
    ],
)
def test_a_wrong_or_shortened_option_is_one_line_that_names_it_and_two(call, capfd, argv, option):
    with pytest.raises(SystemExit) as ending:
        call(*argv.split())
    assert ending.value.code == 2
    printed = capfd.readouterr().err
    assert printed.count("\n") == 1
    assert printed.startswith("deed: ")
    assert option in printed


def test_help_shows_summary_options_defaults_and_the_example(call, capsys):
    with pytest.raises(SystemExit):
        call("--help")
    printed = capsys.readouterr().out
    for part in ("Do a thing.", "how large", "(default: a)", "hide 50 % of it"):
        assert part in printed
    assert "example:\n  python -m deed x --size 3" in printed


def failing(error):
    def run():
        raise error

    return run


FAILURES = {
    "a mistake": (InputError("size 3 is\ntoo small"), 2, "size 3 is too small"),
    "a refusal of the system": (PermissionError(1, "No", "out.parquet"), 2, "out.parquet: No"),
    "an interrupt": (KeyboardInterrupt(), 130, "run the same command to go on"),
}


@pytest.mark.parametrize(("error", "code", "message"), FAILURES.values(), ids=FAILURES)
def test_what_the_caller_can_mend_is_one_line_and_a_code(capfd, error, code, message):
    assert command.execute(failing(error)) == code
    printed = capfd.readouterr().err
    assert printed.count("\n") == 1
    assert message in printed


def test_a_defect_of_ours_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        command.execute(failing(ZeroDivisionError()))


def test_a_warning_says_that_it_is_one_and_other_lines_name_time_and_step_alone(capfd):
    def run():
        logging.getLogger("ace_steps.thing").warning("%d is little", 3)
        command.log.info("%d done", 3)

    assert command.execute(run, "thing") == 0
    time = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}"
    lines = capfd.readouterr().err.splitlines()
    assert re.fullmatch(rf"{time} thing: warning: 3 is little", lines[0])
    assert re.fullmatch(rf"{time} thing: 3 done", lines[1])
