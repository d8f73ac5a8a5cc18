"""The training loop that every backbone shares: epochs, validation, early stopping."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from tqdm import tqdm

from ace_steps.backbones.recommender import Recommender
from ace_steps.backbones.settings import BackboneSettings, TrainingSettings
from ace_steps.errors import InputError
from ace_steps.evaluation.metrics import mean_metric
from ace_steps.evaluation.ranking import rank_targets
from ace_steps.runtime import derive_seed
from ace_steps.training.batches import Batch
from ace_steps.training.histories import Histories, Targets, held_out
from ace_steps.training.objectives import full_softmax
from ace_steps.training.optimisers import (
    build_optimiser,
    load_optimiser,
    load_weights,
    optimiser_as_arrays,
    warm_up,
    weights_as_arrays,
)
from ace_steps.training.tasks import NextItem

log = logging.getLogger(__name__)

CURVE_METRICS = (("recall", 10), ("recall", 20), ("ndcg", 10), ("ndcg", 20))


@dataclass
class TrainingState:
    """What the next epoch starts from; data order and dropout follow from the seed and the epoch.

    Attributes:
        weights: The trained parameters by name, after the last epoch.
        optimiser: Its tensors, named ``<parameter>/<tensor>``.
        best_weights: The parameters after the epoch with the best validation value.
        curve: One row an epoch, under the columns of the table training_curve, and ``value``, the
            metric that stops the training.
    """

    weights: dict[str, np.ndarray] = field(default_factory=dict)
    optimiser: dict[str, np.ndarray] = field(default_factory=dict)
    best_weights: dict[str, np.ndarray] = field(default_factory=dict)
    curve: list[dict] = field(default_factory=list)

    @property
    def best_epoch(self) -> int:
        """The first epoch with the highest validation value; 0 before any."""
        values = [row["value"] for row in self.curve]
        return 1 + int(np.argmax(values)) if values else 0


def train(
    recommender: Recommender,
    histories: Histories,
    task: NextItem,
    *,
    settings: BackboneSettings,
    seed: int,
    state: TrainingState,
    keep: Callable[[TrainingState], None],
) -> TrainingState:
    """Train until the validation metric has not improved for ``patience`` epochs.

    Args:
        recommender: Fresh, on the device to train on.
        histories: Their validation targets decide when to stop.
        task: What is trained: the batches of an epoch.
        settings: The backbone's settings.
        seed: The run's seed.
        state: Empty, or where an interrupted run had got to.
        keep: Called after every epoch with the state to go on from.

    Returns:
        The state after the last epoch; with the same arguments the same numbers, interrupted or
        not, on a CPU with as many threads.

    Raises:
        InputError: there is no validation target, or the loss is not finite.
    """
    training = settings.training
    targets = held_out(histories, "valid")
    if not len(targets.user):
        raise InputError("interactions: no validation target, so nothing can stop the training.")
    optimiser = build_optimiser(recommender, training)
    if state.curve:
        load_weights(recommender, state.weights)
        load_optimiser(recommender, optimiser, state.optimiser)
    while not _is_finished(state, training):
        epoch = len(state.curve) + 1
        row = _train_epoch(recommender, optimiser, task, training, seed=seed, epoch=epoch)
        row |= _validate(recommender, histories, targets, settings)
        state.curve.append(row)
        state.weights = weights_as_arrays(recommender)
        state.optimiser = optimiser_as_arrays(recommender, optimiser)
        if state.best_epoch == epoch:
            state.best_weights = state.weights
        keep(state)
        _log_epoch(state, training)
    return state


def _is_finished(state: TrainingState, training: TrainingSettings) -> bool:
    n_epochs = len(state.curve)
    return n_epochs >= training.epochs or n_epochs - state.best_epoch >= training.patience


def _train_epoch(
    recommender: Recommender,
    optimiser: torch.optim.Optimizer,
    task: NextItem,
    training: TrainingSettings,
    *,
    seed: int,
    epoch: int,
) -> dict:
    """One pass over the training windows; its part of the epoch's row of training_curve."""
    device = next(recommender.parameters()).device
    recommender.train()
    rng = np.random.default_rng(derive_seed(seed, f"order/{epoch}"))
    total, n_done, started = 0.0, 0, time.perf_counter()
    progress = tqdm(total=task.n_targets, unit=" targets", desc=f"epoch {epoch}", disable=None)
    with torch.random.fork_rng([device] if device.type == "cuda" else []), progress:
        torch.manual_seed(derive_seed(seed, f"dropout/{epoch}"))
        for step, batch in enumerate(task.batches(rng), start=1):
            warm_up(optimiser, training, (epoch - 1) * task.n_steps + step)
            loss = _step(recommender, optimiser, batch.to(device))
            if not math.isfinite(loss):
                raise InputError(
                    f"epoch {epoch}, step {step} of {task.n_steps}: the loss is {loss}, not a "
                    f"finite number; lower lr (now {training.lr:g}) or raise warmup_steps."
                )
            n_targets = len(batch.targets)
            total, n_done = total + loss * n_targets, n_done + n_targets
            progress.update(n_targets)
    seconds = time.perf_counter() - started
    rate = n_done / seconds
    return {"epoch": epoch, "loss": total / n_done, "seconds": seconds, "targets_per_s": rate}


def _step(recommender: Recommender, optimiser: torch.optim.Optimizer, batch: Batch) -> float:
    """One update; the batch's mean loss before it, in nats."""
    items = recommender.items()
    queries = [
        recommender.network(block.history, items, block.packing).flatten(0, 1)[block.trained]
        for block in batch.blocks
    ]
    scored = recommender.network.scored_items(items)
    loss = full_softmax(torch.cat(queries), scored, batch.targets)
    value = loss.item()
    if math.isfinite(value):  # else the weights stay those of the last good step
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    return value


def _validate(
    recommender: Recommender, histories: Histories, targets: Targets, settings: BackboneSettings
) -> dict:
    """Validation metrics of the weights as they are, and the one that stops the training."""
    recommender.eval()
    ranking, training = settings.ranking, settings.training
    ranks = rank_targets(
        recommender,
        histories,
        targets,
        tie_policy=ranking.tie_policy,
        mask_seen=ranking.mask_seen,
    ).rank
    row = {f"valid_{name}_{at}": mean_metric(ranks, name, at) for name, at in CURVE_METRICS}
    return row | {"value": mean_metric(ranks, training.metric, training.cutoff)}


def _log_epoch(state: TrainingState, training: TrainingSettings) -> None:
    row, n_epochs = state.curve[-1], len(state.curve)
    n_left = min(training.epochs - n_epochs, state.best_epoch + training.patience - n_epochs)
    log.info(
        "epoch %d: loss %.4f, %s@%d %.4f (best %.4f in epoch %d), %.1f s, %.0f targets/s; "
        "%.0f s left unless it improves",
        n_epochs,
        row["loss"],
        training.metric,
        training.cutoff,
        row["value"],
        state.curve[state.best_epoch - 1]["value"],
        state.best_epoch,
        row["seconds"],
        row["targets_per_s"],
        n_left * row["seconds"],
    )
