"""The training loop that every backbone shares: steps, epochs, validation, early stopping."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ace_steps.backbones.recommender import Recommender
from ace_steps.backbones.settings import BackboneSettings, TrainingSettings
from ace_steps.errors import InputError
from ace_steps.evaluation.metrics import mean_metric
from ace_steps.evaluation.ranking import rank_targets
from ace_steps.progress import Progress
from ace_steps.runtime import computing_precision, derive_seed
from ace_steps.sequences.batches import Batch, needed_rows, renumbered
from ace_steps.sequences.histories import Histories, Targets, held_out
from ace_steps.training.checkpoints import TrainingState
from ace_steps.training.objectives import (
    Negatives,
    NegativeSampler,
    full_softmax,
    sampled_softmax,
)
from ace_steps.training.optimizers import (
    build_optimizer,
    load_optimizer,
    load_weights,
    optimizer_as_arrays,
    rate_of_step,
    set_rate,
    weights_as_arrays,
)
from ace_steps.training.tasks import Task

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
        histories: Their validation items decide when to stop.
        task: Lays out the batches of an epoch.
        settings: The backbone's.
        seed: The run's.
        state: Empty, or where an interrupted run had got to.
        keep: Called after every epoch with the state to go on from.

    Returns:
        The state after the last epoch; with the same arguments the same numbers, interrupted or
        not, on a CPU with as many threads.

    Raises:
        InputError: there is no validation item, or the loss is not finite.
    """
    training = settings.training
    targets = held_out(histories, "valid")
    if not len(targets.user):
        raise InputError("interactions: no validation item, so nothing can stop the training.")
    trainer = Trainer(recommender, task, training, seed)
    if state.curve:
        load_weights(recommender, state.weights)
        load_optimizer(recommender, trainer.optimizer, state.optimizer)
    while not _is_finished(state, training):
        epoch, started = len(state.curve) + 1, time.perf_counter()
        try:
            row = trainer.train_epoch(epoch)
            row |= _validate(recommender, histories, targets, settings)
        except InputError as fault:  # something is not finite
            kept = f" The state after epoch {epoch - 1} is kept." if epoch > 1 else ""
            raise InputError(
                f"epoch {epoch}: {str(fault).removesuffix('.')}; lower lr (now {training.lr:g}) "
                f"or raise warmup_steps.{kept}"
            ) from None
        seconds = time.perf_counter() - started
        state.curve.append(row)
        state.weights = weights_as_arrays(recommender)
        state.optimizer = optimizer_as_arrays(recommender, trainer.optimizer)
        if state.best_epoch == epoch:
            state.best_weights = state.weights
        keep(state)
        _log_epoch(state, training, seconds)
    return state


class Trainer:
    """A recommender with its optimizer and its task.

    Data order, dropout and drawn negatives of an epoch follow from the seed and the epoch's number
    alone, so that nothing but weights and the optimizer's tensors carries over between epochs.
    """

    def __init__(
        self, recommender: Recommender, task: Task, training: TrainingSettings, seed: int
    ) -> None:
        self.recommender, self.task, self.training, self.seed = recommender, task, training, seed
        self.optimizer = build_optimizer(recommender, training)
        self.device = next(recommender.parameters()).device
        self.precision = computing_precision(training.precision, self.device)
        if self.precision != training.precision:
            log.info("no %s on this %s; computing in float32", training.precision, self.device.type)

    def train_epoch(self, epoch: int) -> dict:
        """One pass over the targets; epoch, loss, seconds and targets_per_s of training_curve.

        Raises:
            InputError: the loss of a step is not finite; the weights are those of the step before.
        """
        self.recommender.train()
        sampler = self.sampler(epoch)
        rng = np.random.default_rng(derive_seed(self.seed, f"order/{epoch}"))
        n_before = (epoch - 1) * self.task.n_steps
        n_steps = self.training.epochs * self.task.n_steps
        total, n_trained, started = 0.0, 0, time.perf_counter()
        progress = Progress(self.task.n_targets, "targets", log, title=f"epoch {epoch}")
        gpus = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(gpus), progress:
            torch.manual_seed(derive_seed(self.seed, f"dropout/{epoch}"))
            for step, batch in enumerate(self.task.batches(rng), start=1):
                set_rate(self.optimizer, rate_of_step(self.training, n_before + step, n_steps))
                loss = self.step(batch.to(self.device), sampler)
                if not math.isfinite(loss):
                    raise InputError(
                        f"step {step} of {self.task.n_steps}: the loss is {loss}, no finite number."
                    )
                n_targets = len(batch.targets)
                total, n_trained = total + loss * n_targets, n_trained + n_targets
                progress.add(n_targets)
        seconds = time.perf_counter() - started
        return {
            "epoch": epoch,
            "loss": total / n_trained,
            "seconds": seconds,
            "targets_per_s": n_trained / seconds,
        }

    def step(self, batch: Batch, sampler: NegativeSampler | None = None) -> float:
        """One update; the batch's mean loss before it, in nats. No update if it is not finite.

        Without a sampler every target is compared with the whole catalog.
        """
        if sampler is None:
            loss = full_softmax(*self.queries(batch), batch.targets)
        else:
            loss = self._sampled_loss(batch, sampler.draw(self.device))
        value = loss.item()
        if math.isfinite(value):
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
        return value

    def _sampled_loss(self, batch: Batch, negatives: Negatives) -> Tensor:
        """Of the catalog, only the items that occur in the step are encoded."""
        rows = needed_rows(batch, negatives.items)
        batch = renumbered(batch, rows)
        negatives = replace(negatives, items=torch.searchsorted(rows, negatives.items))
        return sampled_softmax(*self.queries(batch, rows), batch.targets, negatives)

    def queries(self, batch: Batch, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Queries (m, query dim) of the trained positions, and the items to score.

        With rows, these items alone; the batch then names items by their indices in ``rows``.

        In bfloat16 the item encoder computes in it everywhere, the network on a GPU alone: on a
        CPU, its many shapes of product gain little there, and the library behind them keeps a
        kernel of some megabytes for each.
        """
        is_half = self.precision == "bfloat16"
        network = self.recommender.network
        with torch.autocast(self.device.type, torch.bfloat16, enabled=is_half):
            items = self.recommender.items(rows).float()
        is_half_network = is_half and self.device.type == "cuda"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=is_half_network):
            states = [
                network(block.history, items, block.packing).flatten(0, 1)[block.trained]
                for block in batch.blocks
            ]
        queries = torch.cat(states)
        scored = network.scored_items(items, rows)
        return queries.to(torch.bfloat16) if is_half else queries, scored

    def sampler(self, epoch: int) -> NegativeSampler | None:
        """What draws an epoch's negatives; None where every item is one."""
        if not self.training.num_negatives:
            return None
        seed = derive_seed(self.seed, f"negatives/{epoch}")
        return NegativeSampler(self.task.train_counts, self.training.num_negatives, seed)


def _is_finished(state: TrainingState, training: TrainingSettings) -> bool:
    n_epochs = len(state.curve)
    return n_epochs >= training.epochs or n_epochs - state.best_epoch >= training.patience


def _validate(
    recommender: Recommender, histories: Histories, targets: Targets, settings: BackboneSettings
) -> dict:
    """Validation metrics of the weights as they are, and the one that stops the training."""
    recommender.eval()
    ranks = rank_targets(recommender, histories, targets, **settings.ranking.as_json()).rank
    row = {f"valid_{name}_{at}": mean_metric(ranks, name, at) for name, at in CURVE_METRICS}
    training = settings.training
    return row | {"value": mean_metric(ranks, training.metric, training.cutoff)}


def _log_epoch(state: TrainingState, training: TrainingSettings, seconds: float) -> None:
    """A line on the last epoch, which took ``seconds`` with its validation."""
    row, n_epochs, best = state.curve[-1], len(state.curve), state.curve[state.best_epoch - 1]
    n_left = min(training.epochs - n_epochs, state.best_epoch + training.patience - n_epochs)
    log.info(
        f"epoch {n_epochs}: loss {row['loss']:.4f}, "
        f"{training.metric}@{training.cutoff} {row['value']:.4f} "
        f"(best {best['value']:.4f} in epoch {state.best_epoch}), {row['seconds']:.1f} s, "
        f"{row['targets_per_s']:.0f} targets/s; {n_left * seconds:.0f} s left unless it improves"
    )
