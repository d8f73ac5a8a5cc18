"""Time and memory of preprocess_dataset on logs of MovieLens-20M's shape, and of plain loops.

python benchmarks/preprocess.py --millions 2 20 60 --loops 2

Each size is generated, then preprocessed by the step's own command line in a process of its own
(read, chronological order, 5-core, leave-one-out, numbering, texts, report, four Parquet tables).
The loops do the same work but for texts and report, in plain Python on lists and dictionaries.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl

N_USERS, N_ITEMS = 138_493, 26_744  # of MovieLens-20M
FIRST_S, LAST_S = 789_652_009, 1_427_784_002  # 1995 to 2015
SHORTEST = 20  # events of a MovieLens-20M user
SETTINGS = {
    "reader": "recbole",
    "duplicates": "first",
    "template": "{title}",
    "max_field_chars": 200,
    "blank_text": "error",
}


def generate(folder: Path, n_events: int, generator: np.random.Generator) -> tuple[Path, Path]:
    """Write a log and a catalogue; users scale with the events, items do not.

    Histories are log-normal with at least 20 events, items Zipf-like, lines in random order; a user
    rates in bursts, so that many times are equal, as in MovieLens.
    """
    n_users = max(1, round(N_USERS * n_events / 20e6))
    weights = generator.lognormal(0.0, 1.0, n_users)
    extra = generator.multinomial(n_events - SHORTEST * n_users, weights / weights.sum())
    users = np.repeat(np.arange(n_users, dtype=np.int32), extra + SHORTEST)
    popularity = 1.0 / np.arange(10, N_ITEMS + 10) ** 1.1
    places = np.searchsorted(np.cumsum(popularity / popularity.sum()), generator.random(n_events))
    begin = generator.integers(FIRST_S, LAST_S, n_users)
    times = begin[users] + generator.geometric(0.02, n_events) * 7
    order = generator.permutation(n_events)
    log, catalogue = folder / "log.inter", folder / "catalogue.item"
    pl.DataFrame(
        {
            "user_id:token": users[order],
            "item_id:token": np.minimum(places, N_ITEMS - 1).astype(np.int32)[order],
            "timestamp:float": times[order],
        }
    ).write_csv(log, separator="\t")
    titles = [f"Film {i} ({1920 + i % 96})" for i in range(N_ITEMS)]
    items = {"item_id:token": np.arange(N_ITEMS), "title:token_seq": titles}
    pl.DataFrame(items).write_csv(catalogue, separator="\t")
    return log, catalogue


def measure(command: list[str]) -> tuple[float, float, float]:
    """Wall time and CPU time in seconds, and largest resident memory in GB, of a process."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    if status:
        raise SystemExit(f"{' '.join(command[:4])} ended with status {status}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**20


def step_command(log: Path, catalogue: Path) -> list[str]:
    """The step's command line on the generated files."""
    options = ["--raw-interactions", log, "--raw-items", catalogue, "--dataset", "generated"]
    options += ["--settings", json.dumps(SETTINGS)]
    for name in ("interactions", "users", "items", "data-report"):
        options += [f"--{name}", log.with_name(f"{name}.parquet")]
    module = ["-m", "ace_steps.steps.preprocess_dataset"]
    return [sys.executable, *module, *map(str, options)]


def plain_loops(log: Path) -> list[tuple[int, int, int, float, str]]:
    """Interactions (user, position, item, time, split) by loops over lines and lists."""
    with log.open() as lines:
        next(lines)
        rows = [line.rstrip("\n").split("\t") for line in lines]
    rows = sorted(((u, float(t), place, i) for place, (u, i, t) in enumerate(rows)))
    seen, events = set(), []
    for user, moment, _, item in rows:
        if (user, item) not in seen:
            seen.add((user, item))
            events.append((user, item, moment))
    while True:
        by_user = Counter(user for user, _, _ in events)
        by_item = Counter(item for _, item, _ in events)
        kept = [e for e in events if by_user[e[0]] >= 5 and by_item[e[1]] >= 5]
        if len(kept) == len(events):
            break
        events = kept
    users = {user: i for i, user in enumerate(sorted(by_user))}
    items = {item: i for i, item in enumerate(sorted(by_item), start=1)}
    table, place = [], Counter()
    for user, item, moment in events:
        position = place[user]
        place[user] += 1
        left = by_user[user] - position
        split = "test" if left == 1 else "valid" if left == 2 else "train"
        table.append((users[user], position, items[item], moment, split))
    return table


def agrees(table: list[tuple[int, int, int, float, str]], interactions: Path) -> bool:
    """Whether the loops and the step found the same interactions."""
    found = pl.read_parquet(interactions)
    columns = ("user", "position", "item", "timestamp", "split")
    schema = {"user": pl.Int32, "position": pl.Int32, "item": pl.Int32}
    schema |= {"timestamp": pl.Float64, "split": pl.String}
    plain = pl.DataFrame(table, schema=schema, orient="row").cast({"timestamp": pl.Int64})
    return plain.sort("user", "position").equals(found.select(columns))


def show(n_events: int, name: str, seconds: float, cpu: float, memory: str) -> None:
    """Print one row."""
    rate = n_events / seconds
    row = f"| {n_events:,} | {name} | {seconds:.1f} | {cpu:.1f} | {memory} | {rate:,.0f} |"
    print(row, flush=True)


def main() -> int:
    """Measure each size, print a table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--millions", type=float, nargs="+", default=[2, 20, 60])
    options.add_argument("--loops", type=float, nargs="*", default=[2], help="millions for loops")
    chosen = options.parse_args()
    print("| events | by | seconds | CPU seconds | GB at the peak | events a second |")
    print("|---|---|---|---|---|---|")
    for millions in chosen.millions:
        n_events = round(millions * 1e6)
        with tempfile.TemporaryDirectory() as folder:
            log, catalogue = generate(Path(folder), n_events, np.random.default_rng(0))
            seconds, cpu, memory = measure(step_command(log, catalogue))
            show(n_events, "step", seconds, cpu, f"{memory:.2f}")
            if millions in chosen.loops:
                begin, begin_cpu = time.perf_counter(), time.process_time()
                table = plain_loops(log)
                seconds, cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
                same = agrees(table, log.with_name("interactions.parquet"))
                show(n_events, f"loops, {'same' if same else 'OTHER'} rows", seconds, cpu, "")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
