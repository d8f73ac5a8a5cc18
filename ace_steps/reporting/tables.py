"""Result tables in a paper's shape: methods down, datasets across; the best and the sure marked."""

from dataclasses import dataclass, field
from itertools import product

import polars as pl

from ace_steps.config.grid import Plan
from ace_steps.evaluation.results import chosen_runs, seed_means

Column = tuple[str, str, int]  # dataset, metric, cutoff
ABOVE_RANDOM, ABOVE_BEST, BELOW = "*", "†", "↓"
BETTER = {"baseline": ABOVE_RANDOM, "best_baseline": ABOVE_BEST, "both": ABOVE_RANDOM + ABOVE_BEST}


@dataclass(frozen=True)
class Entry:
    """One cell: a score, its sample deviation over seeds, its place and what is sure of it.

    Attributes:
        mean: The test metric, mean over seeds.
        deviation: Sample deviation over seeds; None for one seed.
        place: best, second or empty.
        signs: Significant differences: better than random, than the best baseline, worse.
    """

    mean: float
    deviation: float | None = None
    place: str = ""
    signs: str = ""


@dataclass(frozen=True)
class Block:
    """Rows under one heading: a label and an entry (or None) for each column."""

    title: str
    rows: list[tuple[str, list[Entry | None]]]


@dataclass(frozen=True)
class Sheet:
    """One table: an encoder's results on all datasets and backbones."""

    encoder: str
    columns: list[Column]
    blocks: list[Block]
    sources: list[str] = field(default_factory=list)


def sheets(
    config: dict,
    runs: pl.DataFrame,
    metrics: pl.DataFrame,
    comparisons: pl.DataFrame,
    published: list[dict],
) -> list[Sheet]:
    """One sheet for each encoder: a block for each backbone, and one of published figures.

    Args:
        config: The checked configuration.
        runs: The table ``runs``; only its chosen points are shown.
        metrics: The table ``metrics``.
        comparisons: The table ``comparisons``.
        published: Others' figures: method, source, and figures by dataset and ``metric@K``.
    """
    means = seed_means(metrics, chosen_runs(runs, Plan(config)))
    means = means.filter(pl.col("split") == "test")
    alpha = config["statistics"]["alpha"]
    sure = comparisons.filter((pl.col("slice") == "all") & (pl.col("p_holm") < alpha))
    found = []
    for encoder in means["encoder"].unique(maintain_order=True):
        mine = means.filter(encoder=encoder)
        datasets = mine["dataset"].unique(maintain_order=True)
        columns = [
            (dataset, metric, int(cutoff))
            for dataset, text in product(datasets, config["statistics"]["metrics"])
            for metric, cutoff in [text.split("@")]
        ]
        blocks = [
            _block(name, columns, rows, sure.filter(encoder=encoder, backbone_entry=name))
            for (name,), rows in mine.group_by("backbone_entry", maintain_order=True)
        ]
        theirs, sources = _published(published, columns)
        found.append(Sheet(encoder, columns, [*blocks, *theirs], sources))
    return found


def _block(name: str, columns: list[Column], means: pl.DataFrame, sure: pl.DataFrame) -> Block:
    """One backbone's rows, the best and the second of each column marked."""
    entries = means["refinement_entry"].unique(maintain_order=True).to_list()
    scores = {
        (entry, (dataset, metric, cutoff)): (mean, deviation)
        for entry, dataset, metric, cutoff, mean, deviation in means.select(
            *("refinement_entry", "dataset", "metric", "cutoff", "mean", "deviation")
        ).iter_rows()
    }
    signs = _signs(sure)
    ordered = {
        column: sorted({f"{scores[e, column][0]:.4f}" for e in entries if (e, column) in scores})
        for column in columns
    }
    rows = []
    for entry in entries:
        cells = [
            Entry(
                *scores[entry, column],
                _place(scores[entry, column][0], ordered[column]),
                signs.get((entry, column), ""),
            )
            if (entry, column) in scores
            else None
            for column in columns
        ]
        rows.append((entry, cells))
    return Block(name, rows)


def _place(mean: float, ordered: list[str]) -> str:
    """By what is printed, so that equal print is equal marking."""
    place = len(ordered) - ordered.index(f"{mean:.4f}")
    return {1: "best", 2: "second"}.get(place, "") if len(ordered) > 1 else ""


def _signs(sure: pl.DataFrame) -> dict[tuple[str, Column], str]:
    found: dict[tuple[str, Column], str] = {}
    columns = ("refinement_a", "dataset", "metric", "cutoff", "role", "difference")
    for entry, dataset, metric, cutoff, role, difference in sure.select(columns).iter_rows():
        key = (entry, (dataset, metric, cutoff))
        sign = BETTER[role] if difference > 0 else BELOW
        found[key] = "".join(sorted({*found.get(key, ""), *sign}))
    return found


def _published(published: list[dict], columns: list[Column]) -> tuple[list[Block], list[str]]:
    """The published rows that have a figure in one of the columns, and their sources."""
    rows, sources = [], []
    for each in published:
        values = [each["figures"].get(d, {}).get(f"{metric}@{k}") for d, metric, k in columns]
        if not any(value is not None for value in values):
            continue
        if each["source"] not in sources:
            sources.append(each["source"])
        label = f"{each['method']} [{sources.index(each['source']) + 1}]"
        rows.append((label, [None if value is None else Entry(value) for value in values]))
    return ([Block("published, not run here", rows)] if rows else []), sources
