"""What a run happens on: devices, dtypes, seeds, memory."""

import hashlib
import resource
from typing import TYPE_CHECKING

from ace_steps.errors import InputError

if TYPE_CHECKING:
    import torch

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
    """The device to compute on; ``auto`` takes the GPU the scheduler made visible, else the CPU.

    Raises:
        InputError: ``cuda`` is asked for and none is visible, or the name is unknown.
    """
    import torch

    if name not in DEVICES:
        raise InputError(f"unknown device '{name}'; wanted one of {', '.join(DEVICES)}.")
    has_gpu = torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        raise InputError("device 'cuda' was asked for, but torch sees no GPU.")
    return torch.device("cuda" if has_gpu and name != "cpu" else "cpu")


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
