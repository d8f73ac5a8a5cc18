"""What a run happens on: devices, precisions, seeds, memory.

A scheduler that gives a job its own GPU leaves nothing to choose. Without one, jobs on a machine
with several GPUs would all compute on the first: here each GPU is held by one process at a time, or
by as many as ACE_JOBS_PER_GPU in the environment says, as a small backbone leaves a large GPU idle.
"""

import fcntl
import hashlib
import logging
import os
import resource
import tempfile
import time
from collections.abc import Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from ace_steps.errors import InputError

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

DEVICES = ("auto", "cpu", "cuda")
PAUSE_S = 1.0
JOBS_PER_GPU = "ACE_JOBS_PER_GPU"  # environment variable; 1 where it is not set


def derive_seed(seed: int, purpose: str) -> int:
    """A seed for one purpose of a run, in [0, 2**63), independent of every other purpose's.

    Args:
        seed: The run's seed.
        purpose: E.g. ``"init"`` or ``"order/3"``.
    """
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def select_device(name: str) -> "torch.device":
    """The device to compute on; ``auto`` takes a GPU where torch sees one, else the CPU.

    Of several GPUs a process takes one that no other holds, or the one that the fewest hold where
    they may share, and keeps it until it ends; while all are full it waits.

    Raises:
        InputError: ``cuda`` is given and no GPU is visible, the name is unknown, or the
            environment's number of jobs for a GPU is none.
    """
    import torch

    if name not in DEVICES:
        raise InputError(f"device: expected one of {', '.join(DEVICES)}, got '{name}'.")
    has_gpu = torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        raise InputError("device 'cuda': expected a GPU, torch sees none; take cpu or auto.")
    if name == "cpu" or not has_gpu:
        return torch.device("cpu")
    index, _ = _leased_gpu()
    torch.cuda.set_device(index)
    # cuDNN's attention plans for every new shape, of which batches have many (docs/benchmarks.md).
    torch.backends.cuda.enable_cudnn_sdp(False)
    return torch.device("cuda", index)


@cache  # one GPU a process, and the lease is held as long as the process lives
def _leased_gpu() -> tuple[int, TextIO]:
    import torch

    text = os.environ.get(JOBS_PER_GPU, "1")
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"{JOBS_PER_GPU}: expected an integer >= 1, got '{text}'.")
    gpus = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    return lease_gpu([str(gpu.uuid) for gpu in gpus], lock_folder(), int(text))


def lock_folder() -> Path:
    """Where this user's processes on this machine see each other's leases."""
    return Path(tempfile.gettempdir()) / f"ace-devices-{os.getuid()}"


def lease_gpu(gpus: Sequence[str], folder: Path, n_jobs: int = 1) -> tuple[int, TextIO]:
    """Take the GPU that the fewest other processes hold; wait while all are full.

    Args:
        gpus: Names that mean the same GPU in every process, e.g. its UUID.
        folder: Where the locks are; made if it is not there.
        n_jobs: A GPU is full when so many hold it.

    Returns:
        The GPU's index in ``gpus``, and the lease: an open file. The system takes the lease back
        when the file is closed or its process ends, however it ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    is_first_look = True
    while True:
        for slot, (index, gpu) in product(range(n_jobs), enumerate(gpus)):
            lock = (folder / f"{gpu}-{slot}").open("a")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
            else:
                return index, lock
        if is_first_look:
            log.info("all %d GPUs are held by other jobs; waiting for one", len(gpus))
        is_first_look = False
        time.sleep(PAUSE_S)


def computing_precision(precision: str, device: "torch.device") -> str:
    """The precision to compute in on a device: ``precision`` where it has instructions for it.

    A processor without those for bfloat16 imitates them, much more slowly than it computes in
    float32.

    Args:
        precision: ``bfloat16`` or ``float32``.
        device: Where to compute.
    """
    is_native = precision == "float32" or _multiplies_bfloat16(device)
    return precision if is_native else "float32"


def _multiplies_bfloat16(device: "torch.device") -> bool:
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.ops.mkldnn._is_mkldnn_bf16_supported()


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
