"""One batch on all cores of a processor."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from types import TracebackType

import numpy as np
import torch

SHARE_TOKENS = 256  # fewer tokens than that keep no core busy with products of matrices


class Cores:
    """The cores that torch may use, each of which computes its own share of a batch.

    Where they share out every single product instead, they meet after each of a thousand short
    steps and wait for the slowest; here they meet once a batch. With one core, and for a batch too
    small to share out, torch does as it sees fit.
    """

    def __init__(self, n_cores: int) -> None:
        self._n_cores = n_cores
        self._pool = ThreadPoolExecutor(n_cores, "core", torch.set_num_threads, (1,))

    def __enter__(self) -> "Cores":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown()
        if self._n_cores > 1:  # what a core sets for itself holds for every later thread too
            torch.set_num_threads(self._n_cores)

    def compute(
        self, vectors_of: Callable[[np.ndarray], np.ndarray], rows: np.ndarray, n_tokens: int
    ) -> np.ndarray:
        """``vectors_of(rows)``, computed share by share.

        Args:
            vectors_of: Vectors (texts, dim) of some rows; runs on several threads at once.
            rows: (batch,) the texts of one batch, sorted by length.
            n_tokens: Tokens of the batch, with padding.

        Raises:
            Exception: what the first failing share raised, once no share computes any more.
        """
        if self._n_cores == 1 or min(len(rows), n_tokens // SHARE_TOKENS) < self._n_cores:
            return vectors_of(rows)
        shares = np.array_split(rows, self._n_cores)
        jobs = [self._pool.submit(vectors_of, share) for share in shares]
        wait(jobs)
        return np.concatenate([job.result() for job in jobs])
