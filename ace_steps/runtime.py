"""What a run happens on: devices, dtypes, seeds, memory."""

import ctypes
import hashlib
import resource
from functools import cache
from typing import TYPE_CHECKING, TextIO

from ace_steps.devices import jobs_per_gpu, lease, lock_folder
from ace_steps.errors import InputError

if TYPE_CHECKING:
    import torch

_M_MMAP_THRESHOLD = -3  # glibc's malloc.h
DEVICES = ("auto", "cpu", "cuda")


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
        InputError: ``cuda`` is asked for and none is visible, the name is unknown, or the
            environment's number of jobs for a GPU is none.
    """
    import torch

    if name not in DEVICES:
        raise InputError(f"unknown device '{name}'; wanted one of {', '.join(DEVICES)}.")
    has_gpu = torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        raise InputError("device 'cuda' was asked for, but torch sees no GPU.")
    if name == "cpu" or not has_gpu:
        return torch.device("cpu")
    place, _ = _leased_gpu()
    torch.cuda.set_device(place)
    # cuDNN's attention plans for every new shape, of which batches have many (docs/benchmarks.md).
    torch.backends.cuda.enable_cudnn_sdp(False)
    return torch.device("cuda", place)


def computing_precision(wanted: str, device: "torch.device") -> str:
    """The precision to compute in on a device: ``wanted`` where it has instructions for it.

    A processor without those for bfloat16 imitates them, which takes ten times as long as float32
    and gains nothing.

    Args:
        wanted: ``bfloat16`` or ``float32``.
        device: Where to compute.
    """
    return wanted if wanted == "float32" or _multiplies_bfloat16(device) else "float32"


def _multiplies_bfloat16(device: "torch.device") -> bool:
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.ops.mkldnn._is_mkldnn_bf16_supported()


@cache  # one GPU a process, and the lease is held as long as the process lives
def _leased_gpu() -> tuple[int, TextIO]:
    import torch

    found = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    return lease([str(device.uuid) for device in found], lock_folder(), jobs_per_gpu())


def keep_large_blocks_apart() -> None:
    """From now on this process maps every block of memory from 1 MB on by itself, with glibc.

    As soon as one such block was freed, it would otherwise put them among the small ones. Tensors
    of ever other sizes then leave holes that are never all filled again, and a training grows from
    epoch to epoch, to twice its size (docs/benchmarks.md).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 2**20)


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
