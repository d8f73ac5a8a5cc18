"""Progress that suits where it goes: a bar on a terminal, a line now and then in a log file."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator

import numpy as np
from tqdm import tqdm

log = logging.getLogger(__name__)

LINE_EVERY_S = 30.0

Batch = tuple[np.ndarray, np.ndarray]


def shown(batches: Iterable[Batch], lengths: np.ndarray, total: int) -> Iterator[Batch]:
    """The batches as they come, counted in real tokens.

    Args:
        batches: (rows, vectors) each.
        lengths: Tokens of every row there is.
        total: Tokens of the rows to come.
    """
    done, told = 0, time.monotonic()
    begun = told
    is_terminal = sys.stderr.isatty()
    with tqdm(total=total, unit="tok", unit_scale=True, disable=not is_terminal) as bar:
        for rows, vectors in batches:
            n_tokens = int(lengths[rows].sum())
            done += n_tokens
            bar.update(n_tokens)
            now = time.monotonic()
            if not is_terminal and now - told > LINE_EVERY_S:
                told = now
                rate = done / (now - begun)
                left = (total - done) / rate
                log.info("%d of %d tokens, %.0f tokens/s, %.0f s to go", done, total, rate, left)
            yield rows, vectors
