"""What a training goes on from, after an epoch."""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class TrainingState:
    """What the next epoch starts from; data order and dropout follow from the seed and the epoch.

    Attributes:
        weights: The trained parameters by name, after the last epoch.
        optimizer: Its tensors, named ``<parameter>/<tensor>``.
        best_weights: The parameters after the epoch with the best validation value.
        curve: One row an epoch, under the columns of the table training_curve, and ``value``, the
            metric that stops the training.
    """

    weights: dict[str, np.ndarray] = field(default_factory=dict)
    optimizer: dict[str, np.ndarray] = field(default_factory=dict)
    best_weights: dict[str, np.ndarray] = field(default_factory=dict)
    curve: list[dict] = field(default_factory=list)

    @property
    def best_epoch(self) -> int:
        """The first epoch with the highest validation value; 0 before any."""
        values = [row["value"] for row in self.curve]
        return 1 + int(np.argmax(values)) if values else 0
