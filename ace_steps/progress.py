"""Progress that suits where it goes: a bar on a terminal, a line now and then in a log file."""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Self, TypeVar

from tqdm import tqdm

LINE_EVERY_S = 10.0  # what a run shows of a job that works is its last line

Piece = TypeVar("Piece")


class Progress:
    """How much of a long work is complete, shown while the ``with`` block lasts.

    Args:
        total: Amount of work, in ``unit``.
        unit: What is counted, in the plural, e.g. ``"targets"``.
        log: Where the lines go when standard error is no terminal.
        title: What the work is, e.g. ``"epoch 3"``.
    """

    def __init__(self, total: int, unit: str, log: logging.Logger, title: str = "") -> None:
        self._total, self._unit, self._log, self._title = total, unit, log, title
        self._amount, self._begun = 0, time.monotonic()
        self._logged = self._begun
        options = {"total": total, "desc": title or None, "unit": f" {unit}", "unit_scale": True}
        self._bar = tqdm(**options, disable=not sys.stderr.isatty())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def add(self, amount: int) -> None:
        """Count some more as complete."""
        self._amount += amount
        self._bar.update(amount)
        now = time.monotonic()
        if not self._bar.disable or now - self._logged < LINE_EVERY_S or not self._amount:
            return
        self._logged = now
        rate = self._amount / (now - self._begun)
        title = f"{self._title}: " if self._title else ""
        counts = (self._amount, self._total, self._unit)
        seconds = max(0, self._total - self._amount) / rate
        self._log.info("%s%d of %d %s, %.0f a second, %.0f s to go", title, *counts, rate, seconds)


def counted(
    pieces: Iterable[Piece],
    size: Callable[[Piece], int],
    total: int,
    unit: str,
    log: logging.Logger,
) -> Iterator[Piece]:
    """The pieces as they come, each counted by its size when the next one is taken."""
    with Progress(total, unit, log) as progress:
        for piece in pieces:
            yield piece
            progress.add(size(piece))
