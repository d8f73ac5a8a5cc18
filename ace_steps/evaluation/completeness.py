"""What a workflow has finished and what it lacks: every stage's files, and why one is missing."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from ace_steps.config.grid import Cell, Plan, Run
from ace_steps.errors import InputError
from ace_steps.evaluation.selection import chosen_run
from ace_steps.io.parquet import read_table
from ace_steps.io.tables import GAPS, RUN, SELECTION

FINISHED = "finished"  # value of the configuration's report_on: missing runs are left out
N_CHARS = 300  # of a log's line that are shown
TAIL_BYTES = 65_536  # of a log that are read: enough for any last line
CHOICE_PATTERN = "select/{dataset}/{encoder}/{refinement_entry}/{backbone_entry}/selection.parquet"


@dataclass(frozen=True)
class Stage:
    """One stage of a run; the rules share its path patterns.

    Attributes:
        folder: Its folder of the results.
        n_parts: Parts of a run's identity that name its artifact, its logs and its benchmarks.
        file: The artifact; of several one that is small and that a report reads: vectors and
            weights of a finished run may be deleted.
        rules: What produces it, in the order they run; the last one stands for the stage.
        sharded: Rules before them of many jobs, each of which leaves a shard and a log.
        is_kept: Whether a finished run still has it.
    """

    folder: str
    n_parts: int
    file: str
    rules: tuple[str, ...]
    sharded: tuple[str, ...] = ()
    is_kept: bool = True

    @property
    def rule(self) -> str:
        """The stage as the table ``gaps`` names it."""
        return self.rules[-1]

    @property
    def pattern(self) -> str:
        """The artifact's path within the results, with the parts of the identity in braces."""
        parts = [f"{{{name}}}" for name in RUN[: self.n_parts]]
        return "/".join((self.folder, *parts, self.file))


CHAIN = (  # what a run goes through, in this order
    Stage("preprocess", 1, "data_report.parquet", ("preprocess_dataset",)),
    Stage(
        "embed",
        2,
        "item_vectors.parquet",
        rules=("import_vectors", "merge_vectors"),
        sharded=("embed_items", "request_vectors"),
    ),
    Stage("factor", 2, "factor.safetensors", ("factor_vectors",), ("gram_vectors",), is_kept=False),
    Stage("refine", 3, "spectrum.parquet", ("refine_vectors",)),
    Stage("train", 5, "training_curve.parquet", ("train_backbone",)),
    Stage("rank", 5, "ranks.parquet", ("merge_ranks",), ("rank_targets",)),
)
BESIDE = Stage("recommend", 5, "cold_items.parquet", ("rank_cold_items",))
STAGES = {stage.folder: stage for stage in (*CHAIN, BESIDE)}
FETCHED = {"preprocess": ("datasets", "fetch_dataset"), "embed": ("encoders", "fetch_encoder")}


def ranks_path(run: Run, results: Path) -> Path:
    """The file of a run's ranks."""
    return results / STAGES["rank"].pattern.format(**run._asdict())


def selection_path(cell: Cell, results: Path) -> Path:
    """The file of a cell's choice."""
    return results / CHOICE_PATTERN.format(**cell._asdict())


@dataclass(frozen=True)
class FinishedRuns:
    """Runs in the order of the configuration.

    Attributes:
        runs: Those whose ranks are there.
        chosen: The chosen grid points, on the seed they were chosen on.
        selection: The table ``selection`` of all cells.
        gaps: The table ``gaps``: runs that the configuration asks for and that are not there.
    """

    runs: list[Run]
    chosen: set[Run]
    selection: pl.DataFrame
    gaps: pl.DataFrame


def finished_runs(config: dict, results: Path, logs: Path) -> FinishedRuns:
    """The runs of a configuration that are there, and why others are not.

    Args:
        config: A checked configuration; unless its report_on is finished, nothing may be missing.
        results: The folder of results.
        logs: The folder of logs.

    Raises:
        InputError: no run is there; a run is missing and report_on is not finished; a choice is
            damaged or holds other grid points than its configuration.
    """
    plan, places = Plan(config), Places(results, logs, config)
    tables, expected = [], []
    for cell in plan.cells:
        path = selection_path(cell, results)
        if path.is_file():
            tables.append(_read_choice(path, plan.first_runs(cell)))
            expected += plan.runs(cell, chosen_run(tables[-1]))
        else:
            expected += plan.first_runs(cell)
    is_partial = config.get("report_on") == FINISHED
    stages = {
        run: None if not is_partial and ranks_path(run, results).is_file() else places.lacking(run)
        for run in expected
    }
    missing = [run for run, stage in stages.items() if stage]
    if len(missing) == len(expected) or (missing and not is_partial):
        name, stage = "/".join(map(str, missing[0])), stages[missing[0]].rule
        raise InputError(
            f"{results}: {len(missing)} of {len(expected)} runs are missing; the first is {name}, "
            f"of which {stage} left nothing."
        )
    if not tables:
        raise InputError(f"{results}/select: expected choices of select_points, got none.")
    rows = [
        (*run, stages[run].rule, places.stopped_at(stages[run], run).last_line) for run in missing
    ]
    schema = pl.from_arrow(GAPS.schema.empty_table()).schema
    return FinishedRuns(
        runs=[run for run, stage in stages.items() if not stage],
        chosen={chosen_run(table) for table in tables},
        selection=pl.concat(tables),
        gaps=pl.DataFrame(rows, schema=schema, orient="row"),
    )


def _read_choice(path: Path, points: list[Run]) -> pl.DataFrame:
    table = read_table(path, SELECTION)
    stray = [run for run in map(Run._make, table.select(RUN).rows()) if run not in set(points)]
    if stray or table["is_chosen"].sum() != 1:
        what = f"a choice with {'/'.join(map(str, stray[0]))}" if stray else "no single choice"
        raise InputError(f"{path}: {what}, which is none of this configuration; run it again.")
    return table


@dataclass(frozen=True)
class Gap:
    """One thing that is not there.

    Attributes:
        what: The artifact's path, or a few words.
        n_runs: Runs that have no metrics because of it.
        log: Path of the log of the job that was to produce it; empty where none was started.
        last_line: What that log ends with.
    """

    what: str
    n_runs: int = 0
    log: str = ""
    last_line: str = ""


@dataclass(frozen=True)
class Places:
    """Where a run leaves its artifacts and its logs, and the configuration it is of."""

    results: Path
    logs: Path
    config: dict

    def artifact(self, stage: str, identity: tuple, name: str) -> Path:
        """``<results>/<stage>/<identity>/<name>``."""
        return self.results.joinpath(stage, *map(str, identity), name)

    def lacking(self, run: Run) -> Stage | None:
        """The stage that a run stopped at; None where everything is there that is kept.

        It is the one after the last that left something: an artifact before that may have been
        deleted once it had served. Where the last stage is there, it is the first that is not.
        """
        is_there = [self.artifact(s.folder, run[: s.n_parts], s.file).is_file() for s in CHAIN]
        lost = [stage for stage, there in zip(CHAIN, is_there, strict=True) if not there]
        if not any(stage.is_kept for stage in lost):
            return None
        n_passed = max((n for n, there in enumerate(is_there, 1) if there), default=0)
        if n_passed < len(CHAIN):
            return CHAIN[n_passed]
        return next(stage for stage in lost if stage.is_kept)

    def gap(self, stage: str, identity: tuple, name: str) -> Gap:
        """What a missing artifact leaves open: its job's log tells why.

        Args:
            stage: Folder of the artifact's stage, in ``STAGES``.
            identity: What names the artifact within it, e.g. dataset, encoder, refinement.
            name: The artifact's file name.
        """
        what = "/".join((shown(self.results), stage, *map(str, identity), name))
        logs = list(self._logs(STAGES[stage], identity))
        if not logs:
            return Gap(what)
        newest = max(reversed(logs), key=lambda log: log.stat().st_mtime_ns)  # of equals the last
        return self._explained(what, newest)

    def stopped_at(self, stage: Stage, run: Run) -> Gap:
        """What the stage that a run stopped at leaves open."""
        return self.gap(stage.folder, run[: stage.n_parts], stage.file)

    def cause(self, run: Run) -> Gap:
        """Why a run has no metrics: what it lacks, or that they were not collected."""
        stage = self.lacking(run)
        if stage:
            return self.stopped_at(stage, run)
        what = f"the metrics of the run {'/'.join(map(str, run))}"
        log = self.logs / "collect_metrics" / "all.log"
        return self._explained(what, log) if log.is_file() else Gap(what)

    def recorded(self, gaps: pl.DataFrame) -> list[Gap]:
        """What the table ``gaps`` holds, each run a gap; its reason where the log is gone."""
        by_rule, recorded = {stage.rule: stage for stage in CHAIN}, []
        for row in gaps.to_dicts():
            gap = self.stopped_at(by_rule[row["stage"]], Run(*(row[key] for key in RUN)))
            last = gap.last_line if gap.log else row["reason"]
            recorded.append(replace(gap, n_runs=1, last_line=last))
        return recorded

    def _logs(self, stage: Stage, identity: tuple) -> Iterator[Path]:
        """Logs of fetching and of a stage's jobs in the order they run; of missing shards alone."""
        kind, fetching = FETCHED.get(stage.folder, ("", ""))
        source = self.config.get(kind, {}).get(identity[-1], {}).get("source")
        if source:
            yield from sorted((self.logs / fetching / source).glob("*.log"))
            yield from (self.logs / fetching).glob(f"{source}.log")
        shards = {path.stem for path in self.artifact(stage.folder, identity, "shards").glob("*")}
        *parents, name = map(str, identity[: stage.n_parts])
        for rule in stage.sharded:
            logs = sorted(self.logs.joinpath(rule, *parents, name).glob("*.log"))
            yield from (log for log in logs if log.stem not in shards)
        for rule in stage.rules:
            log = self.logs.joinpath(rule, *parents, f"{name}.log")
            yield from [log] if log.is_file() else []

    def _explained(self, what: str, log: Path) -> Gap:
        return Gap(what, 0, f"{shown(self.logs)}/{log.relative_to(self.logs)}", last_line(log))


def shown(folder: Path) -> str:
    """A folder as the report writes it: as given, but of an absolute path the last name alone."""
    return folder.name if folder.is_absolute() else folder.as_posix()


def merged(gaps: list[Gap]) -> list[Gap]:
    """Each thing that is missing once, with all runs that wait for it."""
    by_name: dict[str, Gap] = {}
    for gap in gaps:
        n_before = by_name[gap.what].n_runs if gap.what in by_name else 0
        by_name[gap.what] = replace(by_name.get(gap.what, gap), n_runs=n_before + gap.n_runs)
    return list(by_name.values())


def last_line(log: Path) -> str:
    """The last line of a log that holds anything; of a progress bar what it showed last."""
    with log.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - TAIL_BYTES))
        text = stream.read().decode(errors="replace")
    lines = [line.strip() for line in text.replace("\r", "\n").split("\n") if line.strip()]
    line = lines[-1] if lines else "the log is empty"
    return line if len(line) <= N_CHARS else f"{line[:N_CHARS]}…"
