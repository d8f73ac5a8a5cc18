"""One epoch of training: batches in, updated weights out."""

import logging
import math
import time
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ace_steps.backbones.recommender import Recommender
from ace_steps.backbones.settings import TrainingSettings
from ace_steps.errors import InputError
from ace_steps.progress import Progress
from ace_steps.runtime import computing_precision, derive_seed
from ace_steps.sequences.batches import Batch, needed_rows, renumbered
from ace_steps.training.objectives import NegativeSampler, full_softmax, sampled_softmax
from ace_steps.training.optimizers import build_optimizer, rate_of_step, set_rate
from ace_steps.training.tasks import Task

log = logging.getLogger(__name__)


class Trainer:
    """A recommender with its optimizer and what it is trained to do.

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
        total, n_done, started = 0.0, 0, time.perf_counter()
        progress = Progress(self.task.n_targets, "targets", log, title=f"epoch {epoch}")
        gpus = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(gpus), progress:
            torch.manual_seed(derive_seed(self.seed, f"dropout/{epoch}"))
            for step, batch in enumerate(self.task.batches(rng), start=1):
                set_rate(self.optimizer, rate_of_step(self.training, n_before + step, n_steps))
                loss = self.step(batch.to(self.device), sampler)
                if not math.isfinite(loss):
                    raise InputError(
                        f"epoch {epoch}, step {step} of {self.task.n_steps}: the loss is {loss}, "
                        f"not a finite number; {remedy(self.training, epoch)}"
                    )
                n_targets = len(batch.targets)
                total, n_done = total + loss * n_targets, n_done + n_targets
                progress.add(n_targets)
        seconds = time.perf_counter() - started
        return {
            "epoch": epoch,
            "loss": total / n_done,
            "seconds": seconds,
            "targets_per_s": n_done / seconds,
        }

    def step(self, batch: Batch, sampler: NegativeSampler | None = None) -> float:
        """One update; the batch's mean loss before it, in nats, not made where it is not finite.

        Without a sampler every target is compared with the whole catalogue.
        """
        loss = self._full_loss(batch) if sampler is None else self._sampled_loss(batch, sampler)
        value = loss.item()
        if math.isfinite(value):
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
        return value

    def _full_loss(self, batch: Batch) -> Tensor:
        return full_softmax(*self.queries(batch), batch.targets)

    def _sampled_loss(self, batch: Batch, sampler: NegativeSampler) -> Tensor:
        """Of the catalogue, only the items that the step names are encoded."""
        drawn = sampler.draw(self.device)
        rows = needed_rows(batch, drawn.items)
        batch = renumbered(batch, rows)
        drawn = replace(drawn, items=torch.searchsorted(rows, drawn.items))
        return sampled_softmax(*self.queries(batch, rows), batch.targets, drawn)

    def queries(self, batch: Batch, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Queries (m, query width) of the trained positions, and the items to score.

        With rows, these items alone; the batch then names items by their places in ``rows``.

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


def remedy(training: TrainingSettings, epoch: int) -> str:
    """What to do where an epoch's numbers are not finite, and what is left of the training."""
    kept = f" The state after epoch {epoch - 1} is kept." if epoch > 1 else ""
    return f"lower lr (now {training.lr:g}) or raise warmup_steps.{kept}"
