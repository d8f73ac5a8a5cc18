"""Which of a machine's GPUs a process takes: each is held by one process at a time, or a few.

A scheduler that gives a job its own GPU leaves nothing to choose. Without one, jobs on a machine
with several GPUs would all compute on the first. A small backbone leaves a large GPU idle most of
the time; JOBS_PER_GPU in the environment lets so many processes share one.
"""

import fcntl
import logging
import os
import tempfile
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import TextIO

from ace_steps.errors import InputError

log = logging.getLogger(__name__)

PAUSE_S = 1.0
JOBS_PER_GPU = "ACE_JOBS_PER_GPU"  # environment variable; 1 where it is not set


def lock_folder() -> Path:
    """Where this user's processes on this machine see each other's leases."""
    return Path(tempfile.gettempdir()) / f"ace-devices-{os.getuid()}"


def jobs_per_gpu() -> int:
    """How many processes may hold one GPU at a time.

    Raises:
        InputError: the environment holds something else than a number of processes.
    """
    wanted = os.environ.get(JOBS_PER_GPU, "1")
    if not wanted.isdecimal() or int(wanted) < 1:
        raise InputError(f"{JOBS_PER_GPU} is '{wanted}'; wanted a whole number of at least 1.")
    return int(wanted)


def lease(devices: Sequence[str], folder: Path, n_jobs: int = 1) -> tuple[int, TextIO]:
    """Take the device that the fewest other processes hold; wait while all are full.

    Args:
        devices: Names that mean the same device in every process, e.g. its UUID.
        folder: Where the locks are; made if it is not there.
        n_jobs: A device is full when so many hold it.

    Returns:
        The device's place in ``devices``, and the lease: an open file. The system takes the lease
        back when the file is closed or its process ends, however it ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    is_first_look = True
    while True:
        for slot, (place, device) in product(range(n_jobs), enumerate(devices)):
            held = _try(folder / f"{device}-{slot}")
            if held is not None:
                return place, held
        if is_first_look:
            log.info("all %d GPUs are held by other jobs; waiting for one", len(devices))
        is_first_look = False
        time.sleep(PAUSE_S)


def _try(path: Path) -> TextIO | None:
    """The lease of one place on a device, or None where another process has it."""
    lock = path.open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock
