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
WIDTH, N_COMPONENTS = 48, 16
MADE = Provenance("made_for_a_test", facts={"device": "cpu"})
SPLITS = ("valid", "test")


def made_config(lambdas: list[float], seeds: list[int], entries: tuple[str, ...] = ()) -> dict:
    """A resolved experiment on a dataset ``shop`` and an encoder ``small``, one backbone sasrec.

    Args:
        lambdas: The grid of the entry ace.
        seeds: Seeds.
        entries: Refinements beside ace, in this order, before it.
    """
    refinements = {name: {} for name in entries} | {"ace": {"lambda": lambdas}}
    short = {
        "experiment": "made",
        "datasets": {"shop": {"source": "ml-100k"}},
        "encoders": {"small": {"source": "smollm2-135m"}},
        "refinements": refinements,
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


def make_results(
    folder: Path, benchmarks: Path, config: dict, quality: dict[str, float], n_users: int
) -> None:
    """Every artifact of a configuration that a report reads, ``report/`` excepted.

    Args:
        folder: The folder of results.
        benchmarks: The folder of benchmark files.
        config: The configuration.
        quality: For each refinement point, the share of ranks that are small, in (0, 1).
        n_users: Users of every dataset.
    """
    refinements = grid.expand(config["refinements"])
    for dataset in config["datasets"]:
        _data_report(folder, dataset, n_users)
        for encoder in config["encoders"]:
            _embedding(folder, dataset, encoder)
            for point in refinements.values():
                _refined(folder, (dataset, encoder, point.name), point)
    plan, runs = grid.Plan(config), []
    for cell in plan.cells:
        first = plan.first_runs(cell)
        chosen = write_selection(folder, cell, {run: quality[run.refinement] for run in first})
        runs += plan.runs(cell, chosen)
    for run in runs:
        generator = np.random.default_rng([run.seed, *map(ord, "".join(map(str, run)))])
        draws = [_ranks(generator, quality[run.refinement], n_users) for _ in SPLITS]
        write_ranks(folder / "rank", run, *draws)
        _curve(folder, run, quality[run.refinement])
        for rule, seconds in {"train_backbone": 40.0, "rank_targets": 2.5}.items():
            write_benchmark(benchmarks / rule / f"{'/'.join(map(str, run))}.tsv", seconds, 900.0)
    write_benchmark(benchmarks / "embed_items" / "shop" / "small" / "1-of-2.tsv", 30.0, 1500.0)
    write_benchmark(benchmarks / "embed_items" / "shop" / "small" / "2-of-2.tsv", 34.0, 1400.0)


def write_selection(folder: Path, cell: grid.Cell, scores: dict[Run, float]) -> Run:
    """Write the choice of one cell where the pipeline puts it; the chosen run."""
    table = selection_table(cell, scores, metric="ndcg", cutoff=10)
    write_table(table, SELECTION, selection_path(cell, folder), MADE)
    return chosen_run(table)


def write_benchmark(path: Path, seconds: float, memory_mb: float) -> None:
    """A benchmark file with Snakemake's columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = "s h:m:s max_rss max_vms max_uss max_pss io_in io_out mean_load cpu_time"
    head = columns.replace(" ", "\t")
    row = [seconds, "0:00:40", memory_mb, 9999.0, 800.0, 810.0, 0.0, 1.0, 150.0, 1.5 * seconds]
    path.write_text(head + "\n" + "\t".join(map(str, row)) + "\n")


def _ranks(generator: np.random.Generator, quality: float, n_users: int) -> list[float]:
    """Ranks in [1, N_ITEMS], the smaller the better the quality."""
    share = generator.random(n_users) ** (1 + 4 * quality)
    return np.ceil(share * N_ITEMS).clip(1).tolist()


def _data_report(folder: Path, dataset: str, n_users: int) -> None:
    counts = {
        "users_raw": n_users + 40,
        "items_raw": N_ITEMS + 25,
        "events_raw": 12 * n_users,
        "users_after_core": n_users,
        "items_after_core": N_ITEMS,
        "events_after_core": 9 * n_users,
        "users": n_users,
        "items": N_ITEMS,
        "events": 9 * n_users,
        "density": 9 / N_ITEMS,
        "tied_events_share": 0.0625,
        "duplicate_texts": 3,
        "history_length_mean": 9.0,
        "users_with_history_000004_to_000007": n_users - 60,
        "users_with_history_000008_to_000015": 60,
        "train_share_of_top_01_percent_items": 0.125,
        "train_share_of_top_10_percent_items": 0.5,
    }
    table = pl.DataFrame({"statistic": list(counts), "value": list(map(float, counts.values()))})
    path = folder / "preprocess" / dataset / "data_report.parquet"
    write_table(table, DATA_REPORT, path, MADE)


def _embedding(folder: Path, dataset: str, encoder: str) -> None:
    counts = {
        **{"n_texts": 1340, "n_tokens": 51_901, "n_tokens_longest": 256, "n_truncated": 67},
        "max_tokens": 256,
    }
    facts = {"model": "toy-135m", "dtype": "bfloat16", "device": "cpu", **counts}
    note = Provenance("merge_vectors", facts=facts)
    path = folder / "embed" / dataset / encoder / "item_vectors.parquet"
    with vector_writer(path, "item_vectors", WIDTH, np.dtype(np.float32), note) as writer:
        writer.write({"item": [1], "item_id": ["a"]}, np.ones((1, WIDTH), np.float32))


def singular_values() -> np.ndarray:
    """A steep spectrum: one direction far above a power law."""
    places = np.arange(1, WIDTH + 1)
    return np.where(places == 1, 17.0, 3.0 / places)


def gains(point: grid.Point) -> np.ndarray:
    """Singular values after a refinement, by its formula."""
    s = singular_values()[:N_COMPONENTS]
    kind = point.settings["method"]
    if kind == "ace":
        return s / np.sqrt(s**2 + point.settings["lambda"])
    return s if kind in ("svd", "llm2x") else np.ones_like(s)


def _refined(folder: Path, names: tuple[str, str, str], point: grid.Point) -> None:
    identity = dict(zip(("dataset", "encoder", "refinement"), names, strict=True))
    gain = gains(point)
    spectrum = pl.DataFrame(
        {
            **identity,
            "component": np.arange(1, WIDTH + 1, dtype=np.int32),
            "singular_value": singular_values(),
            "gain": np.pad(gain, (0, WIDTH - len(gain))),
        }
    )
    facts = {key: point.settings[key] for key in ("lambda",) if key in point.settings}
    note = Provenance("refine_vectors", point.settings, facts=facts)
    measures = {"raw": _measures(singular_values()), "refined": _measures(gain)}
    rows = [
        {**identity, "measure": measure, "stage": stage, "value": value}
        for stage, found in measures.items()
        for measure, value in found.items()
    ]
    place = folder.joinpath("refine", *names)
    write_table(spectrum, SPECTRUM, place / "spectrum.parquet", note)
    write_table(pl.DataFrame(rows), GEOMETRY, place / "geometry.parquet", note)


def _measures(s: np.ndarray) -> dict[str, float]:
    share = s**2 / (s**2).sum()
    return {
        "mean_cosine": float(share[0]),
        "effective_rank": float(np.exp(-(share * np.log(share)).sum())),
        "participation_ratio": float(1 / (share**2).sum()),
        "top_share": float(share[0]),
    }


def _curve(folder: Path, run: Run, quality: float) -> None:
    epochs = np.arange(1, 9)
    score = quality * 0.08 * (1 - np.exp(-epochs / 2)) - 0.0006 * (epochs - 6).clip(0)
    curve = pl.DataFrame(
        {
            **run._asdict(),
            "epoch": epochs.astype(np.int32),
            "loss": 7.0 * np.exp(-epochs / 9) + 1 - quality,
            "seconds": 4.5 + 0.01 * epochs,
            "targets_per_s": 2000.0 + epochs,
            "valid_recall_10": 1.8 * score,
            "valid_recall_20": 2.4 * score,
            "valid_ndcg_10": score,
            "valid_ndcg_20": 1.2 * score,
            "is_best": epochs == 6,
        }
    )
    path = folder.joinpath("train", *map(str, run), "training_curve.parquet")
    write_table(curve, TRAINING_CURVE, path, MADE)
