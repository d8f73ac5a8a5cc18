"""Where the Gram matrix is summed and solved: NumPy and SciPy, or torch on a GPU."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ace_steps.refine.factor import Solver, eigenpairs
from ace_steps.refine.moments import MomentSum

DRIVER_NODES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/kfd")  # NVIDIA, WSL, AMD


class Algebra(NamedTuple):
    """What makes an empty sum of moments, what solves for eigenvalues, and the device's name."""

    new_sum: Callable[[], MomentSum]
    solve: Solver
    device: str


def algebra(device: str, width: int) -> Algebra:
    """The arithmetic of a device; torch is imported only where a GPU may be used.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``.
        width: Entries of one vector.

    Raises:
        InputError: the device is unknown or not there.
    """
    if device == "cpu" or (device == "auto" and not _has_gpu_driver()):
        return Algebra(lambda: MomentSum(width), eigenpairs, "cpu")
    from ace_steps.runtime import select_device

    found = select_device(device)
    if found.type == "cpu":
        return Algebra(lambda: MomentSum(width), eigenpairs, "cpu")
    from ace_steps.refine.torch_algebra import TorchMomentSum, TorchSolver

    return Algebra(lambda: TorchMomentSum(width, found), TorchSolver(found), found.type)


def _has_gpu_driver() -> bool:
    """Whether a GPU may be here; without this, every CPU job would wait for torch to load."""
    return any(Path(node).exists() for node in DRIVER_NODES)
