"""A results folder as a run leaves it, made of formulas: known ranks, spectra by the method's own
gains, curves that rise. Every table goes through the package's writer."""

import json
from pathlib import Path

import numpy as np
import polars as pl

from ace_steps.config import grid, loading
from ace_steps.config.grid import Run
from ace_steps.evaluation.completeness import selection_path
from ace_steps.evaluation.results import chosen_run, selection_table
from ace_steps.io.parquet import write_table
from ace_steps.io.provenance import Provenance
from ace_steps.io.tables import DATA_REPORT, GEOMETRY, RANKS, SELECTION, SPECTRUM, TRAINING_CURVE
from ace_steps.io.vectors import vector_writer

N_ITEMS = 300
DIM, N_COMPONENTS = 48, 16
MADE = Provenance("made_for_a_test", facts={"device": "cpu"})
SPLITS = ("valid", "test")
COUNTS = {
    "users_raw": 340,
    "items_raw": 1325,
    "events_raw": 3600,
    "users_after_core": 300,
    "items_after_core": N_ITEMS,
    "events_after_core": 2700,
    "users": 300,
    "items": N_ITEMS,
    "events": 2700,
    "density": 0.03,
    "tied_events_share": 0.0625,
    "duplicate_texts": 3,
    "users_with_history_000004_to_000007": 240,
    "users_with_history_000008_to_000015": 60,
    "train_share_of_top_01_percent_items": 0.125,
    "train_share_of_top_10_percent_items": 0.5,
}
TEXT_FACTS = {"n_texts": 1340, "n_tokens": 51_901, "n_tokens_longest": 256, "n_truncated": 67}


def made_config(lambdas: list[float], seeds: list[int], entries: tuple[str, ...] = ()) -> dict:
    """A resolved experiment on a dataset ``shop`` and an encoder ``small``, one backbone sasrec.

    Args:
        lambdas: The grid of the entry ace.
        seeds: Seeds.
        entries: Refinements beside ace, in this order, before it.
    """
    short = {
        "experiment": "made",
        "datasets": {"shop": {"source": "ml-100k"}},
        "encoders": {"small": {"source": "smollm2-135m"}},
        "refinements": {name: {} for name in entries} | {"ace": {"lambda": lambdas}},
        "seeds": seeds,
    }
    return loading.load(as_option(short)).as_json()


def as_option(config: dict) -> str:
    """A configuration as a step's option."""
    return json.dumps(config)


def ranks_table(run: Run, valid: list[float], test: list[float]) -> pl.DataFrame:
    """The table ranks of one run; user u's target is item u + 1, and one more on test."""
    users = {"valid": valid, "test": test}
    rows = [
        {
            **run._asdict(),
            "split": split,
            "user": user,
            "item": user + 1 + (split == "test"),
            "rank": float(rank),
            "n_ties": 0,
            "history_length": 5 + (split == "test"),
            "target_train_count": 3,
        }
        for split in SPLITS
        for user, rank in enumerate(users[split])
    ]
    return pl.DataFrame(rows)


def write_ranks(folder: Path, run: Run, valid: list[float], test: list[float]) -> Path:
    """Write the ranks of one run where the pipeline puts them."""
    path = folder.joinpath(*map(str, run), "ranks.parquet")
    write_table(ranks_table(run, valid, test), RANKS, path, MADE)
    return path


def write_selection(folder: Path, cell: grid.Cell, scores: dict[Run, float]) -> Run:
    """Write the choice of one cell where the pipeline puts it; the chosen run."""
    table = selection_table(cell, scores, metric="ndcg", cutoff=10)
    write_table(table, SELECTION, selection_path(cell, folder), MADE)
    return chosen_run(table)


def write_benchmark(path: Path, seconds: float, memory_mb: float | str) -> None:
    """A benchmark file with Snakemake's columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = ["s", "h:m:s", "max_rss", "max_vms", "mean_load", "cpu_time"]
    row = [seconds, "0:00:40", memory_mb, 9999.0, 150.0, 1.5 * seconds]
    path.write_text("\t".join(columns) + "\n" + "\t".join(map(str, row)) + "\n")


def make_results(
    folder: Path, benchmarks: Path, config: dict, quality: dict[str, float], n_users: int
) -> None:
    """Every artifact of a configuration that a report reads, ``report/`` excepted.

    ``quality`` is, for each refinement's grid point, how small the ranks are, in (0, 1).
    """
    counts = {"statistic": list(COUNTS), "value": list(map(float, COUNTS.values()))}
    facts = {"model": "toy-135m", "dtype": "bfloat16", **TEXT_FACTS, "max_tokens": 256}
    note = Provenance("merge_vectors", facts=facts)
    for dataset in config["datasets"]:
        path = folder / "preprocess" / dataset / "data_report.parquet"
        write_table(pl.DataFrame(counts), DATA_REPORT, path, MADE)
        for encoder in config["encoders"]:
            path = folder / "embed" / dataset / encoder / "item_vectors.parquet"
            with vector_writer(path, "item_vectors", DIM, np.dtype(np.float32), note) as writer:
                vectors = np.ones((1, DIM), np.float32)
                writer.write({"item": [1], "item_id": ["a"]}, vectors)
            for point in grid.expand(config["refinements"]).values():
                _write_refined(folder, (dataset, encoder, point.name), point)
    plan, runs = grid.Plan(config), []
    for cell in plan.cells:
        first = plan.first_runs(cell)
        chosen = write_selection(folder, cell, {run: quality[run.refinement] for run in first})
        runs += plan.runs(cell, chosen)
    for run in runs:
        generator = np.random.default_rng([run.seed, *map(ord, "".join(map(str, run)))])
        exponent = 1 + 4 * quality[run.refinement]
        shares = generator.random((len(SPLITS), n_users)) ** exponent
        write_ranks(folder / "rank", run, *np.ceil(shares * N_ITEMS).clip(1).tolist())
        _write_curve(folder, run, quality[run.refinement])
        for rule, seconds in {"train_backbone": 40.0, "rank_targets": 2.5}.items():
            write_benchmark(benchmarks / rule / f"{'/'.join(map(str, run))}.tsv", seconds, 900.0)


def _write_refined(folder: Path, names: tuple[str, str, str], point: grid.Point) -> None:
    """Spectrum and measures of a steep spectrum and of what a refinement's formula makes of it."""
    components = np.arange(1, DIM + 1)
    raw = np.where(components == 1, 17.0, 3.0 / components)
    s = raw[:N_COMPONENTS]
    lambda_ = point.settings.get("lambda")
    gain = np.ones_like(s) if lambda_ is None else s / np.sqrt(s**2 + lambda_)
    identity = dict(zip(("dataset", "encoder", "refinement"), names, strict=True))
    spectrum = pl.DataFrame(
        {
            **identity,
            "component": components.astype(np.int32),
            "singular_value": raw,
            "gain": np.pad(gain, (0, DIM - len(gain))),
        }
    )
    rows = []
    for stage, values in {"raw": raw, "refined": gain}.items():
        share = values**2 / (values**2).sum()
        rank = np.exp(-(share * np.log(share)).sum())
        measures = {"mean_cosine": share[0], "effective_rank": rank, "top_share": share[0]}
        rows += [
            identity | {"stage": stage, "measure": name, "value": float(value)}
            for name, value in measures.items()
        ]
    facts = {} if lambda_ is None else {"lambda": lambda_}
    note = Provenance("refine_vectors", point.settings, facts=facts)
    place = folder.joinpath("refine", *names)
    write_table(spectrum, SPECTRUM, place / "spectrum.parquet", note)
    write_table(pl.DataFrame(rows), GEOMETRY, place / "geometry.parquet", note)


def _write_curve(folder: Path, run: Run, quality: float) -> None:
    """Eight epochs, the sixth of which is the best."""
    epochs = np.arange(1, 9)
    score = quality * 0.08 * (1 - np.exp(-epochs / 2)) - 0.0006 * (epochs - 6).clip(0)
    curve = pl.DataFrame(
        {
            **run._asdict(),
            "epoch": epochs.astype(np.int32),
            "loss": 7.0 * np.exp(-epochs / 9) + 1 - quality,
            "seconds": 4.5 + 0.01 * epochs,
            "targets_per_s": 2000.0 + epochs,
            **{f"valid_{m}_{k}": score for m in ("recall", "ndcg") for k in (10, 20)},
            "is_best": epochs == 6,
        }
    )
    path = folder.joinpath("train", *map(str, run), "training_curve.parquet")
    write_table(curve, TRAINING_CURVE, path, MADE)
