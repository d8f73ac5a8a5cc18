"""The training loop that every backbone shares: epochs, validation, early stopping."""

import logging
import time
from collections.abc import Callable

from ace_steps.backbones.recommender import Recommender
from ace_steps.backbones.settings import BackboneSettings, TrainingSettings
from ace_steps.errors import InputError
from ace_steps.evaluation.metrics import mean_metric
from ace_steps.evaluation.ranking import rank_targets
from ace_steps.sequences.histories import Histories, Targets, held_out
from ace_steps.training.optimizers import (
    load_optimizer,
    load_weights,
    optimizer_as_arrays,
    weights_as_arrays,
)
from ace_steps.training.state import TrainingState
from ace_steps.training.tasks import Task
from ace_steps.training.trainer import Trainer, remedy

log = logging.getLogger(__name__)

CURVE_METRICS = (("recall", 10), ("recall", 20), ("ndcg", 10), ("ndcg", 20))


def train(
    recommender: Recommender,
    histories: Histories,
    task: Task,
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
    trainer = Trainer(recommender, task, training, seed)
    if state.curve:
        load_weights(recommender, state.weights)
        load_optimizer(recommender, trainer.optimizer, state.optimizer)
    while not _is_finished(state, training):
        epoch = len(state.curve) + 1
        row = trainer.train_epoch(epoch)
        begun = time.perf_counter()
        try:
            row |= _validate(recommender, histories, targets, settings)
        except InputError as mistake:
            raise InputError(
                f"epoch {epoch}, step {task.n_steps} of {task.n_steps}: "
                f"{str(mistake).removesuffix('.')}; {remedy(training, epoch)}"
            ) from None
        n_seconds = row["seconds"] + time.perf_counter() - begun
        state.curve.append(row)
        state.weights = weights_as_arrays(recommender)
        state.optimizer = optimizer_as_arrays(recommender, trainer.optimizer)
        if state.best_epoch == epoch:
            state.best_weights = state.weights
        keep(state)
        _log_epoch(state, training, n_seconds)
    return state


def _is_finished(state: TrainingState, training: TrainingSettings) -> bool:
    n_epochs = len(state.curve)
    return n_epochs >= training.epochs or n_epochs - state.best_epoch >= training.patience


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


def _log_epoch(state: TrainingState, training: TrainingSettings, seconds: float) -> None:
    """A line on the last epoch, which took so many seconds with its validation."""
    row, n_epochs, best = state.curve[-1], len(state.curve), state.curve[state.best_epoch - 1]
    n_left = min(training.epochs - n_epochs, state.best_epoch + training.patience - n_epochs)
    log.info(
        f"epoch {n_epochs}: loss {row['loss']:.4f}, "
        f"{training.metric}@{training.cutoff} {row['value']:.4f} "
        f"(best {best['value']:.4f} in epoch {state.best_epoch}), {row['seconds']:.1f} s, "
        f"{row['targets_per_s']:.0f} targets/s; {n_left * seconds:.0f} s left unless it improves"
    )
