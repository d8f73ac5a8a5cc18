"""The chapter on time and memory, from the benchmark files of the jobs."""

import polars as pl
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from ace_steps.reporting import formatting
from ace_steps.reporting.artifacts import Artifacts
from ace_steps.reporting.page import Section, Table, TableCell, Text, value_cell
from ace_steps.reporting.plots import PANEL_INCHES, PLAIN, SINGLES, Panel, Style, plot

RULES = (  # in the order of the work
    *("fetch_dataset", "fetch_encoder", "preprocess_dataset", "embed_items", "merge_vectors"),
    *("gram_vectors", "factor_vectors", "refine_vectors", "train_backbone", "rank_targets"),
    *("merge_ranks", "select_points", "collect_metrics", "compare_runs"),
)
LOOKS = {
    "total": Style("all jobs of the rule", SINGLES[-1], "", "s"),
    "longest": Style("its longest job", SINGLES[1], "", "D"),
    "memory": Style("peak memory of one job", SINGLES[3], "", "^"),
}


def cost_section(artifacts: Artifacts) -> Section:
    """Time and memory per rule, as a figure and as a table."""
    jobs = artifacts.benchmarks.filter(pl.col("rule") != "write_report")  # an earlier report's
    if not len(jobs):
        text = "No benchmark files were found; Snakemake writes one for each job it runs."
        return Section("Time and memory", "cost", (Text(text, is_warning=True),))
    sums = rule_sums(jobs)
    source = f"{artifacts.benchmark_folder}/<rule>/<identity>.tsv, written by Snakemake"
    figure = plot(
        "cost/stages.svg",
        "Time and peak memory of each rule; the axes of values are logarithmic.",
        [
            _panel(sums, "Time", "seconds", ("longest", "total")),
            _panel(sums, "Peak memory", "MB", ("memory",)),
        ],
        legend=list(LOOKS.values()),
        csv=sums.write_csv(float_precision=6),
        source=source,
    )
    whole = sums["total"].sum()
    rows = tuple(
        (
            TableCell(row["rule"]),
            value_cell(row["n_jobs"]),
            TableCell(
                formatting.seconds(row["total"]),
                row["total"],
                share=row["total"] / whole if whole else 0,
            ),
            *(value_cell(row[key], formatting.seconds) for key in ("longest", "cpu")),
            value_cell(row["memory"] and round(row["memory"])),
        )
        for row in sums.to_dicts()
    )
    caption = (
        f"Time and memory of the {len(jobs)} jobs whose benchmarks were found, "
        f"{formatting.seconds(whole)} in all; jobs may have run side by side."
    )
    heads = ("rule", "jobs", "time, all jobs", "longest job", "CPU time", "peak memory, MB")
    blocks = (figure, Table(caption, heads, rows, source))
    return Section("Time and memory", "cost", blocks)


def rule_sums(jobs: pl.DataFrame) -> pl.DataFrame:
    """What the jobs of each rule took together, in the order of the work.

    Args:
        jobs: rule, seconds, memory_mb, cpu_s: one row per job; null where not measured.

    Returns:
        rule, n_jobs, total and longest in seconds, cpu in seconds, memory in MB (of one job).
    """
    order = {rule: place for place, rule in enumerate(RULES)}
    return (
        jobs.group_by("rule", maintain_order=True)
        .agg(
            n_jobs=pl.len(),
            total=pl.col("seconds").sum(),
            longest=pl.col("seconds").max(),
            cpu=pl.col("cpu_s").sum(),
            memory=pl.col("memory_mb").max(),
        )
        .sort(pl.col("rule").replace_strict(order, default=len(order)), "rule")
    )


def _panel(sums: pl.DataFrame, title: str, unit: str, columns: tuple[str, ...]) -> Panel:
    """Rules from the top down, a mark for each value above 0 on a logarithmic axis."""

    def draw(axes: Axes) -> None:
        for column in columns:
            look = LOOKS[column]
            points = [(value, y) for y, value in enumerate(sums[column]) if value]
            style = {"color": look.color, "marker": look.marker, "linestyle": "none"}
            axes.plot(*zip(*points, strict=True), **style, markersize=6) if points else None
        axes.set_yticks(range(len(sums)), sums["rule"])
        axes.set_ylim(len(sums) - 0.4, -0.6)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(PLAIN)
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set(xlabel=unit)

    values = zip(sums["rule"], sums[columns[-1]].round(1), strict=True)
    spoken = "; ".join(f"{rule} {formatting.number(value)}" for rule, value in values)
    height = max(PANEL_INCHES[1], 0.8 + 0.24 * len(sums))
    alt = f"Dot chart. {LOOKS[columns[-1]].label.capitalize()}, {unit}: {spoken}."
    return Panel(title, alt, draw, height)
