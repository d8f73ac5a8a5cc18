"""The chapters on the run itself: what was run, what it took, and what could not run."""

import platform
import string
from importlib import metadata

import polars as pl
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

import ace_steps
from ace_steps.config import grid, loading
from ace_steps.evaluation.completeness import Gap
from ace_steps.reporting import formatting, plots
from ace_steps.reporting.artifacts import Artifacts
from ace_steps.reporting.page import Cell, Code, Section, Table, Text, cell
from ace_steps.reporting.plots import PLAIN, SINGLES, Style
from ace_steps.reporting.scores import selection_metric

ORIGINS = "taken_from"  # the fact that says where an encoder's settings were taken from
PACKAGES = (
    *("torch", "transformers", "numpy", "scipy", "polars", "pyarrow", "safetensors"),
    *("snakemake", "matplotlib"),
)
RULES = (  # in the order of the work
    *("fetch_dataset", "fetch_encoder", "preprocess_dataset", "embed_items", "merge_vectors"),
    *("gram_vectors", "factor_vectors", "refine_vectors", "train_backbone", "rank_targets"),
    *("merge_ranks", "select_points", "collect_metrics", "compare_runs"),
)
COSTS = {
    "total": Style("all jobs of the rule", SINGLES[-1], "", "s"),
    "longest": Style("its longest job", SINGLES[1], "", "D"),
    "memory": Style("peak memory of one job", SINGLES[3], "", "^"),
}


def run_section(artifacts: Artifacts) -> Section:
    """What was run: counts, refinements, encoders, versions, the configuration itself."""
    config, runs = artifacts.config, artifacts.runs
    counts = [
        formatting.plural(len(config["datasets"]), "dataset"),
        formatting.plural(len(config["encoders"]), "encoder"),
        formatting.plural(runs["refinement"].n_unique(), "refinement grid point"),
        formatting.plural(runs["backbone"].n_unique(), "backbone grid point"),
        formatting.plural(len(config["seeds"]), "seed"),
    ]
    metric = formatting.metric(*selection_metric(config))
    text = (
        f"{formatting.plural(len(runs), 'run')} of {', '.join(counts)}. Every grid point runs on "
        f"seed {config['seeds'][0]}; the one with the best {metric} on the validation targets "
        "stands for its entry and runs on all seeds. Test targets play no part in the choice."
    )
    blocks = [
        Text(text),
        _entries_table(config, "refinements", "method"),
        _entries_table(config, "backbones", "model"),
        _encoder_table(artifacts),
        _versions_table(),
        Code("The whole configuration, defaults filled in", loading.as_yaml(config)),
    ]
    return Section("What was run", "what-was-run", blocks)


def _entries_table(config: dict, kind: str, registry_key: str) -> Table:
    """The entries of one kind with their settings, null left out, grids in brackets."""
    points = [point.entry for point in grid.expand(config[kind]).values()]
    rows = []
    for name, entry in config[kind].items():
        settings = ", ".join(
            f"{formatting.dotted(key)} {formatting.scalar(value)}"
            for key, value in _flat(entry).items()
            if key != registry_key and value is not None
        )
        rows.append(
            [formatting.entry(name), entry.get(registry_key), settings or None, points.count(name)]
        )
    heads = [kind.removesuffix("s"), registry_key, "settings", "grid points"]
    caption = f"The {kind}; a list in brackets is a grid."
    return Table(caption, heads, rows, "the configuration, below")


def _encoder_table(artifacts: Artifacts) -> Table | Text:
    """How each embedding was made and where its settings came from, by dataset and encoder."""
    columns = []
    for encoder in artifacts.encoders.values():
        facts = dict(encoder.facts)
        for key, origin in facts.pop(ORIGINS, {}).items():
            facts[key] = f"{formatting.scalar(encoder.settings.get(key))} ({origin})"
        columns.append(_flat(facts))
    keys = list(dict.fromkeys(key for column in columns for key in column))
    if not keys:
        return Text("No embedding says how it was made.", is_warning=True)
    return Table(
        "How the texts were embedded; in brackets where a setting was taken from.",
        ["fact", *(" · ".join(pair) for pair in artifacts.encoders)],
        [
            [formatting.phrase(key), *(_fact_cell(each.get(key)) for each in columns)]
            for key in keys
        ],
        f"{artifacts.folder}/embed/<dataset>/<encoder>/item_vectors.parquet, provenance",
    )


def _fact_cell(value: object) -> Cell:
    """A number, or a text; of a digest its beginning."""
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return cell(value)
    text = formatting.scalar(value)
    is_digest = len(text) == 64 and set(text) <= set(string.hexdigits)
    return cell(f"{text[:16]}…" if is_digest else text)


def _flat(facts: dict, prefix: str = "") -> dict[str, object]:
    """Nested facts by dotted key."""
    flat: dict[str, object] = {}
    for key, value in facts.items():
        is_nested = isinstance(value, dict)
        flat |= _flat(value, f"{prefix}{key}.") if is_nested else {prefix + key: value}
    return flat


def _versions_table() -> Table:
    """The versions the report was written with; one environment serves every step."""
    versions = {"ace_steps": ace_steps.__version__, "Python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    source = "the environment that wrote this report"
    return Table("Versions.", ["package", "version"], versions.items(), source, is_folded=True)


def cost_section(artifacts: Artifacts) -> Section:
    """Time and memory per rule, as a figure and as a table."""
    section = Section("Time and memory", "cost")
    jobs = artifacts.benchmarks.filter(pl.col("rule") != "write_report")  # an earlier report's
    if not len(jobs):
        text = "No benchmark files were found; Snakemake writes one for each job it runs."
        section.blocks.append(Text(text, is_warning=True))
        return section
    sums = rule_sums(jobs)
    source = f"{artifacts.benchmark_folder}/<rule>/<identity>.tsv, written by Snakemake"
    with plots.panels(2, max(plots.HEIGHT, 0.8 + 0.24 * len(sums))) as axes:
        draw_costs(axes[0], sums, ("longest", "total"))
        axes[0].set(title="Time", xlabel="seconds")
        draw_costs(axes[1], sums, ("memory",))
        axes[1].set(title="Peak memory", xlabel="MB")
    figure = plots.finished(
        axes,
        "cost/stages.svg",
        "Time and peak memory of each rule; the axes of values are logarithmic.",
        legend=list(COSTS.values()),
        data=sums,
        source=source,
    )
    whole = sums["total"].sum()
    rows = [
        [
            row["rule"],
            row["n_jobs"],
            cell(row["total"], formatting.seconds, share=row["total"] / whole if whole else 0),
            cell(row["longest"], formatting.seconds),
            cell(row["cpu"], formatting.seconds),
            row["memory"] and round(row["memory"]),
        ]
        for row in sums.to_dicts()
    ]
    caption = (
        f"Time and memory of the {len(jobs)} jobs whose benchmarks were found, "
        f"{formatting.seconds(whole)} in all; jobs may have run side by side."
    )
    heads = ["rule", "jobs", "time, all jobs", "longest job", "CPU time", "peak memory, MB"]
    section.blocks += [figure, Table(caption, heads, rows, source)]
    return section


def rule_sums(jobs: pl.DataFrame) -> pl.DataFrame:
    """What the jobs of each rule took together, in the order of the work.

    Args:
        jobs: rule, seconds, memory_mb, cpu_s: one row per job; null where not measured.

    Returns:
        rule, n_jobs, total and longest in seconds, cpu in seconds, memory in MB (of one job).
    """
    order = pl.col("rule").replace_strict(RULES, range(len(RULES)), default=len(RULES))
    return (
        jobs.group_by("rule", maintain_order=True)
        .agg(
            n_jobs=pl.len(),
            total=pl.col("seconds").sum(),
            longest=pl.col("seconds").max(),
            cpu=pl.col("cpu_s").sum(),
            memory=pl.col("memory_mb").max(),
        )
        .sort(order, "rule")
    )


def draw_costs(axes: Axes, sums: pl.DataFrame, columns: tuple[str, ...]) -> None:
    """Rules from the top down, a mark for each value above 0 on a logarithmic axis."""
    for column in columns:
        look = COSTS[column]
        marks = sums.with_row_index("y").filter(pl.col(column) > 0)
        style = {"color": look.color, "marker": look.marker, "linestyle": "none"}
        axes.plot(marks[column], marks["y"], **style, markersize=6)
    axes.set_yticks(range(len(sums)), sums["rule"])
    axes.set_ylim(len(sums) - 0.4, -0.6)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(PLAIN)
    axes.xaxis.set_minor_formatter(NullFormatter())


def missing_section(gaps: list[Gap], folder: str) -> Section:
    """What could not be shown, and the last line of the log of the job that was to make it."""
    section = Section("What could not run", "missing")
    if not gaps:
        text = "Nothing is missing: every artifact of the configuration was found."
        section.blocks.append(Text(text))
        return section
    n_runs = sum(gap.n_runs for gap in gaps)
    lacking = f"{formatting.plural(n_runs, 'run')} without a result. " if n_runs else ""
    text = (
        f"{lacking}All else in this report is made from what is there. A job that stopped says "
        "why in the last line of its log; a job without a log was never started."
    )
    table = Table(
        "Missing artifacts, the runs they hold up, and the log of their job.",
        ["missing artifact", "last line of its log", "log", "runs without a result"],
        [
            [gap.what, gap.last_line or None, gap.log or "none: never started", gap.n_runs]
            for gap in gaps
        ],
        f"{folder}/ and the logs named in the rows",
    )
    section.blocks += [Text(text, is_warning=True), table]
    return section
