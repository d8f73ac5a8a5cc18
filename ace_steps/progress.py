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
    """How much of a long work is done, shown while the ``with`` block lasts.

    Args:
        total: Amount of work, in ``unit``.
        unit: What is counted, in the plural, e.g. ``"targets"``.
        log: Where the lines go when standard error is no terminal.
        title: What the work is, e.g. ``"epoch 3"``.
    """

    def __init__(self, total: int, unit: str, log: logging.Logger, title: str = "") -> None:
        self._total, self._unit, self._log, self._title = total, unit, log, title
        self._is_terminal = sys.stderr.isatty()

    def __enter__(self) -> Self:
        self._done, self._begun = 0, time.monotonic()
        self._told = self._begun
        self._bar = tqdm(
            total=self._total,
            desc=self._title or None,
            unit=f" {self._unit}",
            unit_scale=True,
            disable=not self._is_terminal,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def add(self, amount: int) -> None:
        """Count some more as done."""
        self._done += amount
        self._bar.update(amount)
        now = time.monotonic()
        if self._is_terminal or now - self._told < LINE_EVERY_S or not self._done:
            return
        self._told = now
        rate = self._done / (now - self._begun)
        self._log.info(
            "%s%d of %d %s, %.0f a second, %.0f s to go",
            f"{self._title}: " if self._title else "",
            *(self._done, self._total, self._unit, rate, max(0, self._total - self._done) / rate),
        )


def counted(
    pieces: Iterable[Piece],
    size: Callable[[Piece], int],
    total: int,
    unit: str,
    log: logging.Logger,
) -> Iterator[Piece]:
    """The pieces as they come, each counted by its size once the next one is asked for."""
    with Progress(total, unit, log) as progress:
        for piece in pieces:
            yield piece
            progress.add(size(piece))
