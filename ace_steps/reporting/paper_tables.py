"""Results and comparisons as Markdown and as LaTeX for a paper: methods down, datasets across.

The files are laid out by the templates ``results.*`` and ``comparisons.*``: pandas' Styler can
neither shrink a table to the line nor put a heading between rows. Each LaTeX file says at its top
which packages it needs.
"""

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ace_steps.config.grid import Plan
from ace_steps.evaluation.results import chosen_runs, seed_means
from ace_steps.reporting import formatting
from ace_steps.reporting.scores import SETUP, best_and_second

Column = tuple[str, str, int]  # dataset, metric, cutoff
ABOVE_RANDOM, ABOVE_BASELINE, BELOW = "*", "†", "↓"
BETTER = {
    "baseline": ABOVE_RANDOM,
    "best_baseline": ABOVE_BASELINE,
    "both": ABOVE_RANDOM + ABOVE_BASELINE,
}
SHORT_METRICS = {"recall": "R", "ndcg": "N", "mrr": "MRR"}
RESULTS = (
    "Test targets, mean over seeds ± sample standard deviation; best of a backbone bold, second "
    f"underlined. {ABOVE_RANDOM} better than random init, {ABOVE_BASELINE} better than the best "
    f"baseline by validation, {BELOW} worse, at a corrected p below {{alpha}}."
)
COMPARED = (
    "Paired differences over test users. Intervals are bootstrap intervals over users; p is "
    "corrected after Holm over all rows of this table."
)
PAIR = ("refinement_a", "refinement_b")
COMPARISON_HEADS = ("slice", "metric", "users", "a", "b", "a - b", "change", "interval", "p")
TEX = str.maketrans(
    {
        **{letter: f"\\{letter}" for letter in "&%$#_{}"},
        **{letter: f"${letter}$" for letter in "<>*"},
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "\\": r"\textbackslash{}",
        "±": r"$\pm$",
        "·": r"$\cdot$",
        ABOVE_BASELINE: r"$\dagger$",
        BELOW: r"$\downarrow$",
        formatting.MINUS: "$-$",
        formatting.MISSING: "--",
    }
)


@dataclass(frozen=True)
class Score:
    """One entry of a table of results.

    Attributes:
        text: The test metric, mean over seeds.
        spread: Sample standard deviation over seeds with ±; empty for one seed.
        mark: best, second or empty.
        signs: Significant differences: better than random init, than the best baseline, worse.
    """

    text: str
    spread: str = ""
    mark: str = ""
    signs: str = ""


@dataclass(frozen=True)
class ResultTable:
    """An encoder's results on all datasets and backbones.

    Attributes:
        encoder: Its name.
        datasets: Theirs, in the order of the columns.
        columns: What is shown of each method.
        blocks: Rows by heading: a label and a score (or None) for each column.
        sources: Of the published figures, numbered from 1.
    """

    encoder: str
    datasets: list[str]
    columns: list[Column]
    blocks: dict[str, list[tuple[str, list[Score | None]]]]
    sources: list[str]


def result_tables(
    config: dict,
    runs: pl.DataFrame,
    metrics: pl.DataFrame,
    comparisons: pl.DataFrame,
    published: list[dict],
) -> list[ResultTable]:
    """One table for each encoder: a block for each backbone, and one of published figures.

    Args:
        config: The checked configuration.
        runs: The table ``runs``; only its chosen grid points are shown.
        metrics: The table ``metrics``.
        comparisons: The table ``comparisons``.
        published: Others' figures: method, source, and figures by dataset and ``metric@K``.
    """
    means = seed_means(metrics, chosen_runs(runs, Plan(config))).filter(split="test")
    alpha = config["statistics"]["alpha"]
    significant = comparisons.filter(pl.col("p_holm") < alpha, slice="all")
    pairs = [name.split("@") for name in config["statistics"]["metrics"]]
    tables = []
    for (encoder,), of_encoder in means.group_by("encoder", maintain_order=True):
        datasets = of_encoder["dataset"].unique(maintain_order=True).to_list()
        columns = [(d, metric, int(cutoff)) for d, (metric, cutoff) in product(datasets, pairs)]
        blocks = {
            name: _rows(columns, rows, significant.filter(encoder=encoder, backbone_entry=name))
            for (name,), rows in of_encoder.group_by("backbone_entry", maintain_order=True)
        }
        others, sources = _published(published, columns)
        if others:
            blocks["published, not run here"] = others
        tables.append(ResultTable(encoder, datasets, columns, blocks, sources))
    return tables


def _rows(
    columns: list[Column], means: pl.DataFrame, significant: pl.DataFrame
) -> list[tuple[str, list[Score | None]]]:
    """One backbone's rows."""
    entries = means["refinement_entry"].unique(maintain_order=True).to_list()
    rows = {entry: [] for entry in entries}
    for dataset, metric, cutoff in columns:
        column = {"dataset": dataset, "metric": metric, "cutoff": cutoff}
        signs: dict[str, set[str]] = {}
        for row in significant.filter(**column).to_dicts():
            sign = BETTER[row["role"]] if row["difference"] > 0 else BELOW
            signs.setdefault(row["refinement_a"], set()).update(sign)
        measured = means.filter(**column)
        marks = best_and_second(measured["mean"])
        scores = {}
        for row in measured.to_dicts():
            entry, text = row["refinement_entry"], formatting.score(row["mean"])
            spread = "" if row["deviation"] is None else f"± {row['deviation']:.4f}"
            scores[entry] = Score(
                text, spread, marks.get(text, ""), "".join(sorted(signs.get(entry, "")))
            )
        for entry in entries:
            rows[entry].append(scores.get(entry))
    return [(formatting.entry(entry), scores) for entry, scores in rows.items()]


def _published(
    published: list[dict], columns: list[Column]
) -> tuple[list[tuple[str, list[Score | None]]], list[str]]:
    """The published rows that have a figure in one of the columns, and their sources."""
    rows, sources = [], []
    for each in published:
        values = [each["figures"].get(d, {}).get(f"{metric}@{k}") for d, metric, k in columns]
        if not any(value is not None for value in values):
            continue
        if each["source"] not in sources:
            sources.append(each["source"])
        label = f"{each['method']} [{sources.index(each['source']) + 1}]"
        scores = [None if value is None else Score(formatting.score(value)) for value in values]
        rows.append((label, scores))
    return rows, sources


def results_text(tables: list[ResultTable], alpha: float, suffix: str) -> str:
    """All tables, one below the other; ``suffix`` is md or tex."""
    return _render(f"results.{suffix}.jinja", tables=tables, legend=RESULTS.format(alpha=alpha))


def comparisons_text(comparisons: pl.DataFrame, suffix: str) -> str:
    """Every row of the table ``comparisons``; ``suffix`` is md or tex.

    In LaTeX rows stand under their setup and their pair, over pages.
    """
    rows = []
    for row in comparisons.to_dicts():
        a, b = (formatting.entry(row[name]) for name in PAIR)
        seeds = formatting.plural(row["n_seeds"], "seed")
        title = f"{' · '.join(row[name] for name in SETUP)}: {a} (a) against {b} (b), {seeds}"
        rows.append(row | {"title": title, "cells": _comparison_cells(row)})
    return _render(
        f"comparisons.{suffix}.jinja",
        rows=rows,
        names=(*SETUP, *PAIR),
        heads=COMPARISON_HEADS,
        legend=COMPARED,
    )


def tex(text: str) -> str:
    """Text as LaTeX sets it, no character taken for a command."""
    return text.translate(TEX)


def _short(metric: str, cutoff: int) -> str:
    """``R@20``: a metric as short as a table's head has to be."""
    return f"{SHORT_METRICS[metric]}@{cutoff}"


def _comparison_cells(row: dict) -> list[str]:
    """A comparison as ``COMPARISON_HEADS`` name it."""
    return [
        row["slice"].replace("_", " "),
        _short(row["metric"], row["cutoff"]),
        str(row["n_users"]),
        formatting.score(row["mean_a"]),
        formatting.score(row["mean_b"]),
        formatting.signed(row["difference"]),
        formatting.change(row["relative"]) or formatting.MISSING,
        f"[{formatting.signed(row['low'])}, {formatting.signed(row['high'])}]",
        formatting.p_value(row["p_holm"]),
    ]


def _render(template: str, **context: object) -> str:
    """A template with the delimiters of its format: braces and percents mean much in LaTeX."""
    delimiters = {
        **{"block_start_string": "<%", "block_end_string": "%>"},
        **{"variable_start_string": "<<", "variable_end_string": ">>"},
    }
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **delimiters if ".tex." in template else {},
    )
    environment.filters |= {
        "tex": tex,
        "short": _short,
        "entry": formatting.entry,
        "p_value": formatting.p_value,
    }
    return environment.get_template(template).render(context)
