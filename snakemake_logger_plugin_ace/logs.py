"""The logs of steps, read while they are written."""

import re
from dataclasses import dataclass, field
from pathlib import Path

# A line as ace_steps.command writes it: time, step, message.
LINE = re.compile(rb"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \w+: (warning: )?(.*)$")
TAIL_BYTES = 16_384


@dataclass
class StepLog:
    """A log file that a step is writing, or will be.

    What the file holds at first is of an earlier run and no news.
    """

    path: Path
    last: str = ""
    _warnings: list[str] = field(default_factory=list)
    _read_to: int = 0
    _old: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        self._old = self._state()

    def read_news(self, *, is_complete: bool = False) -> None:
        """Read what was written since the last call: the last message, and warnings.

        Args:
            is_complete: Whether the step ended: the file is its own, and its last line whole.
        """
        state = self._state()
        if state is None or (state == self._old and not is_complete):
            return
        self._old = None
        if state[1] < self._read_to:  # written anew, as by a job that is tried again
            self._read_to = 0
        with self.path.open("rb") as stream:
            stream.seek(self._read_to)
            text = stream.read()
        end = len(text) if is_complete else text.rfind(b"\n") + 1
        self._read_to += end
        for line in text[:end].splitlines():
            if match := LINE.match(line):
                is_warning, message = match.groups()
                message = message.decode(errors="replace")
                if is_warning:
                    self._warnings.append(message)
                else:
                    self.last = message

    def take_warnings(self) -> list[str]:
        """Warnings that were read and not taken yet."""
        taken, self._warnings = self._warnings, []
        return taken

    def _state(self) -> tuple[int, int] | None:
        try:
            state = self.path.stat()
        except OSError:
            return None
        return state.st_mtime_ns, state.st_size


def last_lines(path: Path, n_lines: int) -> list[str]:
    """The last lines of a file, at most so many; none of a file that is not there."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - TAIL_BYTES))
            text = stream.read().decode(errors="replace")
    except OSError:
        return []
    return text.splitlines()[-n_lines:]
