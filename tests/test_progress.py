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


def test_a_terminal_gets_a_bar_and_no_line(clock, caplog, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with caplog.at_level(logging.INFO), Progress(10, "users", log) as shown:
        clock[0] += 100
        shown.add(10)
    assert not caplog.messages
    assert "10.0/10.0" in capsys.readouterr().err


def test_pieces_come_as_they_are_and_are_counted_by_their_size(clock, caplog):
    pieces = ["", "ab", "cde"]  # the first counts nothing, and there is no rate of it
    with caplog.at_level(logging.INFO):
        for i, piece in enumerate(counted(pieces, len, 4, "letters", log)):
            assert piece == pieces[i]
            clock[0] += 40
    assert caplog.messages == [
        "2 of 4 letters, 0 a second, 80 s to go",
        "5 of 4 letters, 0 a second, 0 s to go",
    ]
