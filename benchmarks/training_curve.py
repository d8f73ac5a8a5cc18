"""What benchmarks/training.py keeps of every epoch, and when a training is over."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from gpu_use import GpuUse
from memory import resident_mb


def read_rows(path: Path) -> list[dict]:
    """What was written there, none where nothing was."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def append(path: Path, row: dict) -> None:
    """One more line of JSON."""
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")


@dataclass
class Curve:
    """What was seen after each epoch, written line by line, and when to stop.

    Attributes:
        path: A line of JSON an epoch, after one that tells of the run.
        epochs: At most so many.
        patience: Epochs without a better validation NDCG@10 before the end.
        gpu: What watches the GPU, where there is one.
        seconds: Wall time of training and validation so far.
        scores: Validation NDCG@10 after each epoch.
    """

    path: Path
    epochs: int
    patience: int
    gpu: GpuUse | None = None
    seconds: float = 0.0
    scores: list[float] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path, epochs: int, patience: int, gpu: GpuUse | None = None) -> "Curve":
        """With the epochs of an earlier run, where there was one."""
        rows = [row for row in read_rows(path) if "epoch" in row]
        seconds = rows[-1]["elapsed_s"] if rows else 0.0
        return cls(path, epochs, patience, gpu, seconds, [row["ndcg@10"] for row in rows])

    @property
    def is_over(self) -> bool:
        """Whether the last epoch was the last."""
        since = len(self.scores) - 1 - self.scores.index(max(self.scores)) if self.scores else 0
        return len(self.scores) == self.epochs or since >= self.patience

    def add(self, *, train_s: float, rank_s: float, targets: int, found: dict) -> bool:
        """Keep an epoch; True where it was the last."""
        self.seconds += train_s + rank_s
        self.scores.append(found["ndcg@10"])
        row = {"epoch": len(self.scores), "train_s": train_s, "rank_s": rank_s, "targets": targets}
        row |= {"elapsed_s": self.seconds, "peak_mb": resident_mb("VmHWM")}
        if self.gpu:
            row |= self.gpu.since_last()
        append(self.path, row | found)
        return self.is_over
