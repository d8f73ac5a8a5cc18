"""What a GPU was used for while something ran, for benchmarks/training.py."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

PAUSE_S = 0.05


def device_name(device: str) -> str:
    """What is computed on, for the head of a table."""
    if device == "cpu":
        return f"{len(os.sched_getaffinity(0))} cores"
    import torch

    return torch.cuda.get_device_name()


@dataclass
class GpuUse:
    """Samples of how busy torch's current GPU was, as its driver tells."""

    samples: list[int] = field(default_factory=list)

    def since_last(self) -> dict:
        """Share of the time since the last call in which a kernel ran; peak memory in MB."""
        import torch

        taken, self.samples = self.samples, []
        busy = sum(taken) / (100 * len(taken)) if taken else 0.0
        return {"gpu_busy": busy, "gpu_mb": torch.cuda.max_memory_allocated() / 2**20}


@contextmanager
def watched(device: str) -> Iterator[GpuUse | None]:
    """Sample a GPU's use in a thread; nothing for the CPU."""
    if device == "cpu":
        yield None
        return
    import torch

    use, is_over = GpuUse(), threading.Event()

    def sample() -> None:
        while not is_over.wait(PAUSE_S):
            use.samples.append(torch.cuda.utilization())

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield use
    finally:
        is_over.set()
        thread.join()
