"""Ranking by counting in blocks, and by sorting every user's scores, on catalogues of many sizes.

python benchmarks/rank.py --items 10000 100000 1000000 --users 2000

SASRec of width 128 with a drawn table and random histories of 10 events. Each size and way runs in
a process of its own: seconds, and the most memory the process ever had above what it had before it
ranked (the item table among the latter). Both give nearly the same mean rank, which is
checked; their products round differently.
"""

import argparse
import json
import subprocess
import sys
import time

import numpy as np
import torch
from memory import begin_peak, resident_mb
from sasrec import WIDTH, settings_json

from ace_steps.backbones.recommender import Recommender, build_recommender
from ace_steps.backbones.settings import parse_backbone
from ace_steps.evaluation.ranking import next_queries, rank_targets
from ace_steps.sequences.histories import Histories, Targets

EVENTS, ROWS = 10, 256  # ROWS: users whose scores are sorted at once


def made(n_items: int, n_users: int) -> tuple[Recommender, Histories, Targets]:
    """A recommender with drawn weights, histories and one target a user."""
    generator = torch.Generator().manual_seed(0)
    table = torch.empty(n_items + 1, WIDTH).normal_(0, 0.1, generator=generator)
    table[0] = 0
    settings = parse_backbone(settings_json(), "benchmark")
    recommender = build_recommender(table, {"kind": "table"}, settings, seed=0).eval()
    drawn = np.random.default_rng(0).integers(1, n_items + 1, n_users * (EVENTS + 1))
    start = np.arange(n_users) * (EVENTS + 1)
    histories = Histories(
        items=drawn.astype(np.int32),
        offsets=np.append(start, len(drawn)),
        n_train=np.full(n_users, EVENTS),
        has_valid=np.ones(n_users, bool),
        has_test=np.zeros(n_users, bool),
    )
    length = np.full(n_users, EVENTS)
    return recommender, histories, Targets(np.arange(n_users), drawn[start + EVENTS], start, length)


def by_counting(recommender: Recommender, histories: Histories, targets: Targets) -> np.ndarray:
    return rank_targets(
        recommender, histories, targets, tie_policy="optimistic", mask_seen=False
    ).rank


@torch.inference_mode()
def by_sorting(recommender: Recommender, histories: Histories, targets: Targets) -> np.ndarray:
    items = recommender.items()
    queries = next_queries(recommender.network, items, histories, targets)
    ranks = []
    for start in range(0, len(queries), ROWS):
        order = (queries[start : start + ROWS] @ items[1:].T).argsort(dim=1, descending=True)
        wanted = torch.from_numpy(targets.item[start : start + ROWS] - 1).unsqueeze(1)
        ranks.append((order == wanted).int().argmax(dim=1) + 1)
    return torch.cat(ranks).double().numpy()


WAYS = {"counting": by_counting, "sorting": by_sorting}


def measure(way: str, n_items: int, n_users: int) -> dict:
    """In this process: seconds, memory beyond what was there, and the mean rank."""
    given = made(n_items, n_users)
    before = resident_mb("VmRSS")
    begin_peak()
    begun = time.perf_counter()
    ranks = WAYS[way](*given)
    seconds = time.perf_counter() - begun
    return {"seconds": seconds, "mb": resident_mb("VmHWM") - before, "mean_rank": ranks.mean()}


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--items", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    options.add_argument("--users", type=int, default=2000)
    options.add_argument("--only", choices=WAYS, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.only:
        print(json.dumps(measure(chosen.only, chosen.items[0], chosen.users)))
        return
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {chosen.users} users\n")
    print("| items | counting, s | sorting, s | ratio | counting, MB | sorting, MB |")
    print("|---|---|---|---|---|---|")
    for n_items in chosen.items:
        count, sort = (found_alone(way, n_items, chosen.users) for way in WAYS)
        assert abs(count["mean_rank"] - sort["mean_rank"]) < 1e-4 * sort["mean_rank"]
        print(
            f"| {n_items:,} | {count['seconds']:.1f} | {sort['seconds']:.1f} "
            f"| {sort['seconds'] / count['seconds']:.1f} | {count['mb']:.0f} | {sort['mb']:.0f} |",
            flush=True,
        )


def found_alone(way: str, n_items: int, n_users: int) -> dict:
    """What a process of its own measured."""
    command = [sys.executable, __file__, "--only", way, "--items", str(n_items)]
    done = subprocess.run([*command, "--users", str(n_users)], check=True, capture_output=True)
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
