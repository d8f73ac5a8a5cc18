import logging
import sys

import pytest

from ace_steps import progress
from ace_steps.progress import Progress, counted

log = logging.getLogger("test")


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test moves by hand."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_log_gets_a_line_now_and_then_with_rate_and_time_left(clock, caplog):
    with caplog.at_level(logging.INFO), Progress(1000, "targets", log, title="epoch 3") as shown:
        for _ in range(4):
            clock[0] += 6
            shown.add(100)
    assert caplog.messages == [
        "epoch 3: 200 of 1000 targets, 17 a second, 48 s to go",
        "epoch 3: 400 of 1000 targets, 17 a second, 36 s to go",
    ]


def test_more_than_was_expected_has_no_time_left(clock, caplog):
    with caplog.at_level(logging.INFO), Progress(100, "targets", log) as shown:
        clock[0] += 40
        shown.add(120)
    assert caplog.messages == ["120 of 100 targets, 3 a second, 0 s to go"]


def test_a_terminal_gets_a_bar_and_no_line(clock, caplog, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with caplog.at_level(logging.INFO), Progress(10, "users", log) as shown:
        clock[0] += 100
        shown.add(10)
    assert not caplog.messages
    assert "10.0/10.0" in capsys.readouterr().err


def test_pieces_come_as_they_are_and_are_counted_by_their_size(clock, caplog):
    with caplog.at_level(logging.INFO):
        for piece in counted(["ab", "cde"], len, 5, "letters", log):
            assert piece in ("ab", "cde")
            clock[0] += 40
    assert [line.split(",")[0] for line in caplog.messages] == [
        "2 of 5 letters",
        "5 of 5 letters",
    ]


def test_a_piece_without_size_asks_for_no_rate(clock, caplog):
    with caplog.at_level(logging.INFO):
        for _ in counted([""], len, 5, "letters", log):
            clock[0] += 40
    assert not caplog.messages
