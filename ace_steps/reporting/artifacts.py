"""Reads what a run left behind; a file that is not there is noted, one that is damaged refused."""

from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import polars.exceptions

from ace_steps.config.grid import Plan, Run
from ace_steps.errors import InputError
from ace_steps.evaluation.completeness import STAGES, Gap, Places, merged, shown
from ace_steps.evaluation.results import in_order, spread
from ace_steps.io.parquet import read_provenance, read_table
from ace_steps.io.provenance import Provenance
from ace_steps.io.tables import (
    COLD_ITEMS,
    COMPARISONS,
    DATA_REPORT,
    GAPS,
    GEOMETRY,
    METRICS,
    RUN,
    RUNS,
    SPECTRUM,
    TRAINING_CURVE,
    TableSpec,
)

BENCHMARK = {"s": "seconds", "max_rss": "memory_mb", "cpu_time": "cpu_s"}  # Snakemake's columns


@dataclass(frozen=True)
class Artifacts:
    """Everything a report is written from; tables of several runs stand one below the other.

    Attributes:
        folder, benchmark_folder: Where things lie, as sources are given.
        runs: The table ``runs`` in the order of the configuration, with ``order``.
        data: ``data_report`` of every dataset, with the column dataset.
        geometry: With the column lambda, as it was used; null where a refinement has none.
        curves: With the column device.
        encoders: How the item vectors of each (dataset, encoder) were made.
        benchmarks: One row per job: rule, job, seconds, memory_mb, cpu_s.
        cold_items: Of the chosen grid points, on the first seed.
        missing: What could not be read because it is not there, each thing once.
    """

    config: dict
    folder: str
    benchmark_folder: str
    runs: pl.DataFrame
    metrics: pl.DataFrame
    data: pl.DataFrame
    spectra: pl.DataFrame
    geometry: pl.DataFrame
    curves: pl.DataFrame
    encoders: dict[tuple[str, str], Provenance]
    benchmarks: pl.DataFrame
    comparisons: pl.DataFrame
    cold_items: pl.DataFrame
    missing: list[Gap]


def read_artifacts(config: dict, results: Path, benchmarks: Path, logs: Path) -> Artifacts:
    """All artifacts of a configuration's runs.

    Args:
        config: A checked configuration.
        results: The folder of results; ``report/metrics.parquet`` and ``runs.parquet`` must exist.
        benchmarks: Snakemake's benchmark files, ``<rule>/<identity>.tsv``.
        logs: Logs of the jobs, ``<rule>/<identity>.log``; read where an artifact is missing.

    Raises:
        InputError: a required table is missing; any file is damaged or of another kind.
    """
    reader = _Reader(Places(results, logs, config))
    plan, report = Plan(config), results / "report"
    runs = _collected_runs(plan, report, reader)
    # A refinement that knows nothing of the encoder has files for the first encoder alone.
    trained = list(dict.fromkeys(plan.home_run(Run(*row)) for row in runs.select(RUN).iter_rows()))
    refined = list(dict.fromkeys(run[:3] for run in trained))
    pairs = runs.select(RUN[:2]).unique(maintain_order=True).rows()
    data = [
        reader.tables("preprocess", [(name,)], DATA_REPORT).with_columns(dataset=pl.lit(name))
        for name in config["datasets"]
    ]
    embeddings = {pair: reader.existing("embed", pair, "item_vectors.parquet") for pair in pairs}
    return Artifacts(
        config=config,
        folder=shown(results),
        benchmark_folder=shown(benchmarks),
        runs=runs,
        metrics=read_table(report / "metrics.parquet", METRICS),
        data=pl.concat(data),
        spectra=reader.tables("refine", refined, SPECTRUM),
        geometry=reader.tables("refine", refined, GEOMETRY, {"lambda": pl.Float64}),
        curves=reader.tables("train", trained, TRAINING_CURVE, {"device": pl.String}),
        encoders={pair: read_provenance(path) for pair, path in embeddings.items() if path},
        benchmarks=_benchmarks(benchmarks, trained, reader.missing),
        comparisons=_optional(report / "comparisons.parquet", COMPARISONS),
        cold_items=spread(_cold_items(config, plan, runs, reader), plan),
        missing=merged(reader.missing),
    )


class _Reader:
    """Reads the files of a results folder that exist and notes the others."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.missing: list[Gap] = []

    def existing(self, stage: str, identity: tuple, name: str) -> Path | None:
        path = self.places.artifact(stage, identity, name)
        if path.is_file():
            return path
        self.missing.append(self.places.gap(stage, identity, name))
        return None

    def tables(
        self,
        stage: str,
        identities: list[tuple],
        spec: TableSpec,
        facts: dict[str, pl.DataType] | None = None,
    ) -> pl.DataFrame:
        """One table of each identity, one below the other.

        ``facts`` are columns to add from each file's provenance, with their types.
        """
        facts = facts or {}
        added = [pl.lit(None, kind).alias(name) for name, kind in facts.items()]
        frames = [_empty(spec).with_columns(added)]
        for identity in identities:
            path = self.existing(stage, identity, f"{spec.name}.parquet")
            if path:
                known = read_provenance(path).facts
                added = [pl.lit(known.get(name), kind).alias(name) for name, kind in facts.items()]
                frames.append(read_table(path, spec).with_columns(added))
        return pl.concat(frames)


def _collected_runs(plan: Plan, report: Path, reader: _Reader) -> pl.DataFrame:
    """The collected runs that the configuration asks for, in its order; the others are noted."""
    path = report / "runs.parquet"
    runs = in_order(read_table(path, RUNS), plan)
    if not len(runs):
        raise InputError(f"{path}: holds no run of this configuration; run collect_metrics again.")
    gaps = _optional(report / "gaps.parquet", GAPS)
    gaps = gaps.filter([plan.home_run(Run(*row)) == row for row in gaps.select(RUN).iter_rows()])
    reader.missing += reader.places.recorded(gaps)
    known = {*runs.select(RUN).iter_rows(), *gaps.select(RUN).iter_rows()}
    planned = [run for cell in plan.cells for run in plan.first_runs(cell)]
    causes = [reader.places.cause(run) for run in planned if run not in known]
    reader.missing += [replace(cause, n_runs=1) for cause in causes]
    return runs


def _empty(spec: TableSpec) -> pl.DataFrame:
    return pl.from_arrow(spec.schema.empty_table())


def _optional(path: Path, spec: TableSpec) -> pl.DataFrame:
    """A table, or one without rows where no file is."""
    return read_table(path, spec) if path.is_file() else _empty(spec)


def _cold_items(config: dict, plan: Plan, runs: pl.DataFrame, reader: _Reader) -> pl.DataFrame:
    """How new items rank: what is there, and where the report is to have it what is not."""
    first = runs.filter("is_chosen", seed=config["seeds"][0]).select(RUN)
    reported = list(dict.fromkeys(plan.home_run(Run(*row)) for row in first.iter_rows()))
    if not config.get("cold_items", {}).get("in_report"):
        path = f"{COLD_ITEMS.name}.parquet"
        reported = [r for r in reported if reader.places.artifact("recommend", r, path).is_file()]
    return reader.tables("recommend", reported, COLD_ITEMS)


def _benchmarks(folder: Path, runs: list[Run], missing: list[Gap]) -> pl.DataFrame:
    """One row per benchmark file of these runs; what Snakemake could not measure is null."""
    n_parts = {rule: stage.n_parts for stage in STAGES.values() for rule in stage.rules}
    known = {tuple(map(str, run[:n])) for run in runs for n in set(n_parts.values())}
    schema = {"rule": pl.String, "job": pl.String} | dict.fromkeys(BENCHMARK.values(), pl.Float64)
    frames = [pl.DataFrame(schema=schema)]
    for path in sorted(folder.glob("*/**/*.tsv")):
        rule, *job = path.relative_to(folder).with_suffix("").parts
        if rule in n_parts and tuple(job[: n_parts[rule]]) not in known:
            continue  # of a grid point that is configured no more
        measured = [
            pl.col(name).cast(pl.Float64, strict=False).alias(new)
            for name, new in BENCHMARK.items()
        ]
        try:
            table = pl.read_csv(path, separator="\t", infer_schema=False).select(
                pl.lit(rule).alias("rule"), pl.lit("/".join(job)).alias("job"), *measured
            )
        except polars.exceptions.PolarsError as fault:
            reason = str(fault).splitlines()[0]
            raise InputError(f"{path}: not a benchmark file of Snakemake ({reason}).") from None
        frames.append(table)
    if len(frames) == 1:
        missing.append(Gap(f"benchmark files, {shown(folder)}/<rule>/<identity>.tsv"))
    return pl.concat(frames)
