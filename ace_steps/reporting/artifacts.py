"""Reads what a run left behind; a file that is not there is noted, one that is damaged refused."""

from collections.abc import Iterable
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
        folder, benchmark_folder, choice_file: Where things lie, as sources are given.
        runs: The table ``runs`` in the order of the configuration, with ``order``.
        data: ``data_report`` of every dataset, with the column dataset.
        encoders: How the item vectors of each (dataset, encoder) were made.
        refinements: Facts of each refinement, by (dataset, encoder, grid point): lambda, scale.
        devices: What each run was trained on.
        benchmarks: One row per job: rule, job, seconds, memory_mb, cpu_s.
        cold_items: Of the chosen grid points, on the first seed.
        missing: What could not be read because it is not there, each thing once.
    """

    config: dict
    folder: str
    benchmark_folder: str
    choice_file: str
    runs: pl.DataFrame
    metrics: pl.DataFrame
    data: pl.DataFrame
    spectra: pl.DataFrame
    geometry: pl.DataFrame
    curves: pl.DataFrame
    encoders: dict[tuple[str, str], Provenance]
    refinements: dict[tuple[str, str, str], dict]
    devices: dict[Run, str]
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
    plan = Plan(config)
    runs = _collected(plan, results / "report", reader)
    # A refinement that knows nothing of the encoder has files for the first encoder alone.
    trained = list(dict.fromkeys(plan.home_run(Run(*row)) for row in runs.select(RUN).iter_rows()))
    refined = list(dict.fromkeys(run[:3] for run in trained))
    pairs = list(runs.select(RUN[:2]).unique(maintain_order=True).iter_rows())
    selection = results / "report" / "selection.parquet"
    choice = selection if selection.is_file() else results / "report" / "runs.parquet"
    reports = [
        reader.tables("preprocess", [(name,)], DATA_REPORT).with_columns(dataset=pl.lit(name))
        for name in config["datasets"]
    ]
    embeddings = {pair: reader.existing("embed", pair, "item_vectors.parquet") for pair in pairs}
    trainings = _facts(results / "train", trained, "training_curve.parquet")
    return Artifacts(
        config=config,
        folder=shown(results),
        benchmark_folder=shown(benchmarks),
        choice_file=f"{shown(results)}/report/{choice.name}",
        runs=runs,
        metrics=read_table(results / "report" / "metrics.parquet", METRICS),
        data=pl.concat(reports),
        spectra=reader.tables("refine", refined, SPECTRUM),
        geometry=reader.tables("refine", refined, GEOMETRY),
        curves=reader.tables("train", trained, TRAINING_CURVE),
        encoders={pair: read_provenance(path) for pair, path in embeddings.items() if path},
        refinements=_facts(results / "refine", refined, "spectrum.parquet"),
        devices={run: str(facts.get("device", "not recorded")) for run, facts in trainings.items()},
        benchmarks=_benchmarks(benchmarks, trained, reader.missing),
        comparisons=_optional(results / "report" / "comparisons.parquet", COMPARISONS),
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

    def tables(self, stage: str, identities: list[tuple], spec: TableSpec) -> pl.DataFrame:
        """One table of each identity, one below the other."""
        name = f"{spec.name}.parquet"
        paths = [self.existing(stage, identity, name) for identity in identities]
        frames = [read_table(path, spec) for path in paths if path]
        return pl.concat([pl.from_arrow(spec.schema.empty_table()), *frames])


def _collected(plan: Plan, report: Path, reader: _Reader) -> pl.DataFrame:
    """The collected runs that the configuration asks for, in its order; the others are noted."""
    runs = in_order(read_table(report / "runs.parquet", RUNS), plan)
    if not len(runs):
        path = report / "runs.parquet"
        raise InputError(f"{path}: holds no run of this configuration; run collect_metrics again.")
    gaps = _optional(report / "gaps.parquet", GAPS)
    gaps = gaps.filter([plan.home_run(Run(*row)) == row for row in gaps.select(RUN).iter_rows()])
    reader.missing += reader.places.recorded(gaps)
    known = {*runs.select(RUN).iter_rows(), *gaps.select(RUN).iter_rows()}
    planned = [run for cell in plan.cells for run in plan.first_runs(cell)]
    causes = [reader.places.cause(run) for run in planned if run not in known]
    reader.missing += [replace(cause, n_runs=1) for cause in causes]
    return runs


def _optional(path: Path, spec: TableSpec) -> pl.DataFrame:
    """A table, or one without rows where no file is."""
    return read_table(path, spec) if path.is_file() else pl.from_arrow(spec.schema.empty_table())


def _cold_items(config: dict, plan: Plan, runs: pl.DataFrame, reader: _Reader) -> pl.DataFrame:
    """How new items rank: what is there, and where the report is to have it what is not."""
    first = runs.filter("is_chosen", seed=config["seeds"][0]).select(RUN)
    shown = list(dict.fromkeys(plan.home_run(Run(*row)) for row in first.iter_rows()))
    if not config.get("cold_items", {}).get("in_report"):
        name = f"{COLD_ITEMS.name}.parquet"
        shown = [run for run in shown if reader.places.artifact("recommend", run, name).is_file()]
    return reader.tables("recommend", shown, COLD_ITEMS)


def _facts(folder: Path, identities: Iterable[tuple], name: str) -> dict[tuple, dict]:
    """The facts in the provenance of each file that is there; what is not is noted elsewhere."""
    paths = {identity: folder.joinpath(*map(str, identity), name) for identity in identities}
    return {key: read_provenance(path).facts for key, path in paths.items() if path.is_file()}


def _benchmarks(folder: Path, runs: list[Run], missing: list[Gap]) -> pl.DataFrame:
    """One row per benchmark file of these runs; what Snakemake could not measure is null."""
    stages = STAGES.values()
    n_parts = {rule: s.n_parts for s in stages for rule in s.rules}
    known = {tuple(map(str, run[:n])) for run in runs for n in n_parts.values()}
    schema = {"rule": pl.String, "job": pl.String} | dict.fromkeys(BENCHMARK.values(), pl.Float64)
    frames = [pl.DataFrame(schema=schema)]
    for path in sorted(folder.glob("*/**/*.tsv")):
        rule, *job = path.relative_to(folder).parent.joinpath(path.stem).parts
        if rule in n_parts and tuple(job[: n_parts[rule]]) not in known:
            continue  # of a grid point that is configured no more
        frames.append(
            _benchmark(path)
            .with_columns(rule=pl.lit(rule), job=pl.lit("/".join(job)))
            .select(list(schema))
        )
    if len(frames) == 1:
        missing.append(Gap(f"benchmark files, {shown(folder)}/<rule>/<identity>.tsv"))
    return pl.concat(frames)


def _benchmark(path: Path) -> pl.DataFrame:
    try:
        table = pl.read_csv(path, separator="\t", infer_schema=False)
        return table.select(
            pl.col(name).cast(pl.Float64, strict=False).alias(new)
            for name, new in BENCHMARK.items()
        )
    except polars.exceptions.PolarsError as fault:
        reason = str(fault).splitlines()[0]
        raise InputError(f"{path}: not a benchmark file of Snakemake ({reason}).") from None
