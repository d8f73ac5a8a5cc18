"""CPU time of a training step of SASRec, by objective and item encoder, in turns on one core.

python benchmarks/objectives.py --inter amazon-beauty.inter --negatives 0 1024 4096

Item vectors are drawn at random: a step costs the same whatever they hold. `table` is trained in
full (random, llm2x, svd, whitening, ace); `alpharec` and `llmemb` are frozen vectors of 576 entries
under two layers, with and without an activation between them. Negatives 0 are the full softmax.
"""

import argparse
import statistics
import time
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from atomic import histories_of
from sasrec import WIDTH, settings_json

from ace_steps.backbones.recommender import build_recommender
from ace_steps.backbones.settings import parse_backbone
from ace_steps.sequences.histories import Histories
from ace_steps.training.loop import Trainer
from ace_steps.training.tasks import build_task

WIDE = 576
LAYERS = {"kind": "mlp", "parts": [WIDE], "hidden": WIDE // 2, "width": WIDTH}
ENCODERS = {
    "table": {"kind": "table"},
    "alpharec": LAYERS | {"activation": "leaky_relu"},
    "llmemb": LAYERS | {"activation": "identity"},
}


class Case:
    """One objective with one item encoder, a step at a time."""

    def __init__(
        self, histories: Histories, encoder: str, negatives: int, options: argparse.Namespace
    ) -> None:
        self.name = f"| {encoder} | {negatives or 'full softmax'} "
        sizes = {"batch_size": options.sequences, "num_negatives": negatives}
        text = settings_json(**sizes, precision=options.precision)
        settings = parse_backbone(text, "benchmark")
        n_items, kind = int(histories.items.max()), ENCODERS[encoder]
        drawn = 0.1 * torch.randn(n_items, WIDTH if encoder == "table" else WIDE)
        matrix = torch.cat([torch.zeros(1, drawn.shape[1]), drawn])
        recommender = build_recommender(matrix, kind, settings, seed=1).train()
        task = build_task(histories, settings, recommender.network, n_items)
        self.trainer = Trainer(recommender, task, settings.training, seed=1)
        self.sampler = self.trainer.sampler(1)
        self.batches = list(islice(task.batches(np.random.default_rng(0)), options.steps))
        self.ms: list[float] = []

    def step(self, place: int) -> None:
        """Make one step and keep its CPU time."""
        began = time.process_time()
        self.trainer.step(self.batches[place], self.sampler)
        self.ms.append(1000 * (time.process_time() - began))


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--inter", type=Path, required=True, help="RecBole atomic file")
    options.add_argument("--negatives", type=int, nargs="+", default=[0, 1024])
    options.add_argument("--encoders", choices=ENCODERS, nargs="+", default=list(ENCODERS))
    options.add_argument("--sequences", type=int, default=128, help="of one step")
    options.add_argument("--steps", type=int, default=20)
    options.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    histories, _ = histories_of(chosen.inter)
    pairs = [(encoder, n) for encoder in chosen.encoders for n in chosen.negatives]
    cases = [Case(histories, encoder, n, chosen) for encoder, n in pairs]
    for place in range(chosen.steps):
        for case in cases:
            case.step(place)
    capability = torch.backends.cpu.get_cpu_capability()
    precision = cases[0].trainer.precision  # computed in, where another was asked for in vain
    print(f"torch {torch.__version__}, {capability}, {precision}, {chosen.sequences} windows")
    print("\n| item encoder | negatives | CPU ms a step | ratio to the first |\n|---|---|---|---|")
    first = statistics.median(cases[0].ms[2:])
    for case in cases:
        median = statistics.median(case.ms[2:])  # the first steps ask for memory
        print(f"{case.name}| {median:.0f} | {first / median:.2f} |")


if __name__ == "__main__":
    main()
