"""The report's sections on what was run: configuration, encoders, data, time and memory, gaps."""

import platform
import string
from dataclasses import replace
from importlib import metadata

import polars as pl
import yaml

import ace_steps
from ace_steps import grid
from ace_steps.reporting import wording
from ace_steps.reporting.artifacts import Artifacts
from ace_steps.reporting.page import Cell, Code, Column, Section, Table, Text

TIMES = " \N{MULTIPLICATION SIGN} "
RULES = (
    "fetch_dataset",
    "fetch_encoder",
    "preprocess_dataset",
    "embed_items",
    "merge_vectors",
    "factor_vectors",
    "refine_vectors",
    "train_backbone",
    "rank_targets",
    "collect_metrics",
)
COUNTED = ("users", "items", "events")
KEY_STATISTICS = (
    "density",
    "history_length_mean",
    "history_length_median",
    "history_length_max",
    "tied_events_share",
    "tied_test_targets_share",
    "test_targets_unseen_share",
    "blank_texts",
    "duplicate_texts",
    "text_chars_mean",
)
PACKAGES = (
    "torch",
    "transformers",
    "numpy",
    "scipy",
    "polars",
    "pyarrow",
    "safetensors",
    "snakemake",
    "matplotlib",
)


def run_section(artifacts: Artifacts) -> Section:
    """What was run: counts, refinements, encoders, versions, the configuration itself."""
    config, runs = artifacts.config, artifacts.runs
    selection = wording.metric(config["selection"]["metric"], config["selection"]["cutoff"])
    counts = [
        wording.plural(len(config["datasets"]), "dataset"),
        wording.plural(len(config["encoders"]), "encoder"),
        wording.plural(runs["refinement"].n_unique(), "refinement point"),
        wording.plural(runs["backbone"].n_unique(), "backbone point"),
        wording.plural(len(config["seeds"]), "seed"),
    ]
    text = (
        f"{wording.plural(len(runs), 'run')}: {TIMES.join(counts)}. Of each entry that holds a "
        f"grid, the point with the best {selection} on the validation targets, mean over seeds, "
        "stands for the entry; "
        "test targets play no part in the choice."
    )
    written = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    blocks = (
        Text(text),
        _entries_table(config, "refinements", "method"),
        _entries_table(config, "backbones", "model"),
        *_encoder_tables(artifacts),
        _versions_table(),
        Code("The whole configuration", written),
    )
    return Section("What was run", "what-was-run", blocks)


def data_section(artifacts: Artifacts) -> Section:
    """What the logs held before and after each filter, and what else was counted."""
    data = artifacts.data
    if not len(data):
        return Section("Data", "data", (Text("No data report was found.", is_warning=True),))
    names = data["dataset"].unique(maintain_order=True).to_list()
    counts = {
        name: dict(data.filter(pl.col("dataset") == name).select("statistic", "value").iter_rows())
        for name in names
    }
    source = f"{artifacts.folder}/preprocess/<dataset>/data_report.parquet"
    stages = {(name, stage) for name in names for stage in _stages(counts[name])}
    shown = {f"{noun}{stage}" for noun in COUNTED for _, stage in stages}
    others = [s for s in data["statistic"].unique(maintain_order=True) if s not in shown]
    key = [statistic for statistic in KEY_STATISTICS if statistic in others]
    rest = [statistic for statistic in others if statistic not in key]
    blocks = [
        *_data_warnings(counts),
        _filter_table(counts, source),
        _statistics_table("Key figures of the data.", key, counts, source),
    ]
    if rest:
        caption = "Everything else that was counted."
        table = _statistics_table(caption, rest, counts, source)
        blocks.append(replace(table, is_folded=True))
    return Section("Data", "data", tuple(blocks))


def _stages(counts: dict[str, float]) -> list[str]:
    """Suffixes that users, items and events were all counted under, most events first."""
    stages = [name.removeprefix("events") for name in counts if name.startswith("events")]
    whole = [stage for stage in stages if all(noun + stage in counts for noun in COUNTED)]
    return sorted(whole, key=lambda stage: (-counts["events" + stage], stage == ""))


def _filter_table(counts: dict[str, dict[str, float]], source: str) -> Table:
    """Users, items and events of each dataset after each filter."""
    rows = [
        (
            Cell(name, name),
            Cell(wording.phrase(stage) or "Final"),
            *(_count(counts[name][noun + stage]) for noun in COUNTED),
        )
        for name in counts
        for stage in _stages(counts[name])
    ]
    columns = (Column("dataset", is_number=False), Column("stage", is_number=False))
    caption = "Users, items and events, as they are in the source and after each filter."
    return Table(caption, (*columns, *map(Column, COUNTED)), tuple(rows), source)


def _statistics_table(
    caption: str, statistics: list[str], counts: dict[str, dict[str, float]], source: str
) -> Table:
    """A row for each statistic, a column for each dataset."""
    rows = tuple(
        (Cell(wording.phrase(name), name), *(_statistic(found, name) for found in counts.values()))
        for name in statistics
    )
    columns = (Column("statistic", is_number=False), *map(Column, counts))
    return Table(caption, columns, rows, source)


def _data_warnings(counts: dict[str, dict[str, float]]) -> list[Text]:
    """A line for each count that differs from what the configuration expects."""
    return [
        Text(
            f"{dataset}: {wording.phrase(name).lower()}: {wording.number(value)}.", is_warning=True
        )
        for dataset, found in counts.items()
        for name, value in found.items()
        if name.startswith("warning_")
    ]


def cost_section(artifacts: Artifacts) -> Section:
    """Time and memory per rule from the benchmark files."""
    jobs = artifacts.benchmarks.filter(pl.col("rule") != "write_report")  # an earlier report's
    if not len(jobs):
        text = "No benchmark files were found; Snakemake writes one for each job it runs."
        return Section("Time and memory", "cost", (Text(text, is_warning=True),))
    order = {rule: place for place, rule in enumerate(RULES)}
    rules = jobs.group_by("rule", maintain_order=True).agg(
        n_jobs=pl.len(),
        total=pl.col("seconds").sum(),
        longest=pl.col("seconds").max(),
        cpu=pl.col("cpu_s").sum(),
        memory=pl.col("memory_mb").max(),
    )
    sums = rules.to_dicts()
    sums.sort(key=lambda row: (order.get(row["rule"], len(order)), row["rule"]))
    whole = sum(row["total"] for row in sums)
    labels = ("jobs", "time, all jobs", "longest job", "CPU time", "peak memory, MB")
    columns = (Column("rule", is_number=False), *map(Column, labels))
    caption = (
        f"Time and memory of the {len(jobs)} jobs whose benchmarks were found, "
        f"{wording.seconds(whole)} in all; jobs may have run side by side."
    )
    source = "<benchmarks>/<rule>/<identity>.tsv, written by Snakemake"
    rows = tuple(_cost_row(row, whole) for row in sums)
    return Section("Time and memory", "cost", (Table(caption, columns, rows, source),))


def missing_section(artifacts: Artifacts) -> Section:
    """What the report could not show."""
    if not artifacts.missing:
        text = Text("Nothing: every artifact of the configuration was found.")
        return Section("What is missing", "missing", (text,))
    lines = [f"Not found: {line}." for line in artifacts.missing]
    texts = tuple(Text(line, is_warning=True) for line in lines)
    return Section("What is missing", "missing", texts)


def _entries_table(config: dict, kind: str, registry_key: str) -> Table:
    """The entries of one kind with their settings, grids in brackets."""
    sizes: dict[str, int] = {}
    for point in grid.expand(config[kind]).values():
        sizes[point.entry] = sizes.get(point.entry, 0) + 1
    rows = []
    for name, entry in config[kind].items():
        rest = _flat({key: value for key, value in entry.items() if key != registry_key})
        settings = ", ".join(f"{wording.dotted(k)} {_setting(v)}" for k, v in rest.items())
        made_by = entry.get(registry_key, wording.NOTHING)
        cells = (Cell(name, name), Cell(made_by, made_by), Cell(settings or wording.NOTHING))
        rows.append((*cells, Cell(str(sizes[name]), sizes[name])))
    heads = (kind.removesuffix("s"), registry_key, "settings")
    columns = (*(Column(head, is_number=False) for head in heads), Column("points"))
    caption = f"The {kind}; a list in brackets is a grid."
    return Table(caption, columns, tuple(rows), "the configuration, below")


def _setting(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(wording.scalar, value))}]"
    return wording.scalar(value)


def _encoder_tables(artifacts: Artifacts) -> list[Table | Text]:
    """What the embedding found out, a column for each dataset and encoder."""
    notes = {pair: _flat(note.facts) for pair, note in artifacts.encoders.items()}
    facts = list(dict.fromkeys(fact for note in notes.values() for fact in note))
    if not facts:
        return [Text("No embedding says how it was made.", is_warning=True)]
    columns = [Column("fact", is_number=False), *(Column(" · ".join(pair)) for pair in notes)]
    rows = tuple(
        (Cell(wording.phrase(fact), fact), *(_fact(note.get(fact)) for note in notes.values()))
        for fact in facts
    )
    source = f"{artifacts.folder}/embed/<dataset>/<encoder>/item_vectors.parquet, provenance"
    return [Table("How the texts were embedded.", tuple(columns), rows, source)]


def _fact(value: object) -> Cell:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Cell(wording.number(value), value)
    text = wording.NOTHING if value is None else wording.scalar(value)
    is_digest = len(text) == 64 and set(text) <= set(string.hexdigits)
    return Cell(f"{text[:16]}…" if is_digest else text)


def _flat(facts: dict, prefix: str = "") -> dict[str, object]:
    """Nested facts by dotted key."""
    found: dict[str, object] = {}
    for key, value in facts.items():
        found |= (
            _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return found


def _versions_table() -> Table:
    """The versions the report was written with; one environment serves every step."""
    versions = {"ace_steps": ace_steps.__version__, "Python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    rows = tuple((Cell(name, name), Cell(version, version)) for name, version in versions.items())
    columns = (Column("package", is_number=False), Column("version"))
    source = "the environment that wrote this report"
    return Table("Versions.", columns, rows, source, is_folded=True)


def _count(value: float | None) -> Cell:
    return Cell(wording.number(value), value)


def _statistic(counts: dict[str, float], name: str) -> Cell:
    """A statistic of one dataset; shares in per cent."""
    is_share = name == "density" or "share" in name.split("_")
    write = wording.share if is_share else wording.number
    return Cell(write(counts.get(name)), counts.get(name))


def _cost_row(row: dict, whole: float) -> tuple[Cell, ...]:
    return (
        Cell(row["rule"], row["rule"]),
        Cell(str(row["n_jobs"]), row["n_jobs"]),
        Cell(
            wording.seconds(row["total"]), row["total"], share=row["total"] / whole if whole else 0
        ),
        Cell(wording.seconds(row["longest"]), row["longest"]),
        Cell(wording.seconds(row["cpu"]), row["cpu"]),
        Cell(wording.number(row["memory"] and round(row["memory"])), row["memory"]),
    )
