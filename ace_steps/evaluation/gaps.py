"""What a run lacks and why: the stage that left nothing, and the last word of its job's log."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from ace_steps.config.grid import Run
from ace_steps.io.tables import RUN

N_CHARS = 300  # of a log's line that are shown
TAIL_BYTES = 65_536  # of a log that are read: enough for any last line


@dataclass(frozen=True)
class Job:
    """One rule's part in a stage.

    Attributes:
        rule: Its name, which its logs and benchmarks lie under.
        n_parts: Parts of a run's identity that name them.
        is_scattered: Whether it is many jobs, each of which leaves a shard and a log.
    """

    rule: str
    n_parts: int
    is_scattered: bool = False


@dataclass(frozen=True)
class Stage:
    """One stage of a run.

    Attributes:
        folder: Its folder of the results.
        n_parts: Parts of a run's identity that name its artifact.
        file: The artifact; of several one that is small and that a report reads: vectors and
            weights of a run that is done may be deleted.
        jobs: What makes it, in the order they run; the last one's rule stands for the stage.
        is_kept: Whether a run that is done still has it.
    """

    folder: str
    n_parts: int
    file: str
    jobs: tuple[Job, ...]
    is_kept: bool = True

    @property
    def rule(self) -> str:
        """The stage as the table ``gaps`` names it."""
        return self.jobs[-1].rule


CHAIN = (  # what a run goes through, in this order
    Stage("preprocess", 1, "data_report.parquet", (Job("preprocess_dataset", 1),)),
    Stage(
        "embed",
        2,
        "item_vectors.parquet",
        (
            Job("embed_items", 2, is_scattered=True),
            Job("request_vectors", 2, is_scattered=True),
            Job("import_vectors", 2),
            Job("merge_vectors", 2),
        ),
    ),
    Stage(
        "factor",
        2,
        "factor.safetensors",
        (Job("gram_vectors", 2, is_scattered=True), Job("factor_vectors", 2)),
        is_kept=False,
    ),
    Stage("refine", 3, "spectrum.parquet", (Job("refine_vectors", 3),)),
    Stage("train", 5, "training_curve.parquet", (Job("train_backbone", 5),)),
    Stage(
        "rank",
        5,
        "ranks.parquet",
        (Job("rank_targets", 5, is_scattered=True), Job("merge_ranks", 5)),
    ),
)
BESIDE = Stage("recommend", 5, "cold_items.parquet", (Job("rank_cold_items", 5),))
STAGES = {stage.folder: stage for stage in (*CHAIN, BESIDE)}
FETCHED = {"preprocess": ("datasets", "fetch_dataset"), "embed": ("encoders", "fetch_encoder")}


@dataclass(frozen=True)
class Gap:
    """One thing that is not there.

    Attributes:
        what: The artifact's path, or a few words.
        n_runs: Runs that have no metrics because of it.
        log: Path of the log of the job that was to make it; empty where none was started.
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
        """The stage that a run stopped at; None where everything is there that a done run keeps.

        It is the one after the last that left something: an artifact before that may have been
        deleted once it had served. Where the last stage is there, it is the first that is not.
        """
        found = [self.artifact(s.folder, run[: s.n_parts], s.file).is_file() for s in CHAIN]
        lost = [place for place, s in enumerate(CHAIN) if s.is_kept and not found[place]]
        if not lost:
            return None
        n_done = max((place for place, is_there in enumerate(found, 1) if is_there), default=0)
        return CHAIN[n_done] if n_done < len(CHAIN) else CHAIN[lost[0]]

    def gap(self, stage: str, identity: tuple, name: str) -> Gap:
        """What a missing artifact leaves open: its job's log tells why.

        Args:
            stage: Folder of the artifact's stage, in ``STAGES``.
            identity: What names the artifact within it, e.g. dataset, encoder, refinement.
            name: The artifact's file name.
        """
        what = "/".join((shown(self.results), stage, *map(str, identity), name))
        logs = list(enumerate(self._logs(STAGES[stage], identity)))
        if not logs:
            return Gap(what)
        _, log = max(logs, key=lambda pair: (pair[1].stat().st_mtime_ns, pair[0]))
        return self._told(what, log)

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
        return self._told(what, log) if log.is_file() else Gap(what)

    def recorded(self, gaps: pl.DataFrame) -> list[Gap]:
        """What the table ``gaps`` holds, each run a gap; its reason where the log is gone."""
        by_rule = {stage.rule: stage for stage in CHAIN}
        found = []
        for row in gaps.to_dicts():
            gap = self.stopped_at(by_rule[row["stage"]], Run(*(row[key] for key in RUN)))
            last = gap.last_line if gap.log else row["reason"]
            found.append(replace(gap, n_runs=1, last_line=last))
        return found

    def _logs(self, stage: Stage, identity: tuple) -> Iterator[Path]:
        """The logs of a stage's jobs in the order they run; of shards those that are not there."""
        yield from self._logs_of_fetching(stage, identity)
        for job in stage.jobs:
            folder = self.logs.joinpath(job.rule, *map(str, identity[: job.n_parts]))
            if not job.is_scattered:
                log = folder.with_name(f"{folder.name}.log")
                yield from [log] if log.is_file() else []
                continue
            shards = self.artifact(stage.folder, identity, "shards").glob("*")
            done = {path.stem for path in shards}
            yield from (log for log in sorted(folder.glob("*.log")) if log.stem not in done)

    def _logs_of_fetching(self, stage: Stage, identity: tuple) -> list[Path]:
        kind, rule = FETCHED.get(stage.folder, ("", ""))
        source = self.config.get(kind, {}).get(identity[-1], {}).get("source")
        if not source:
            return []
        folder = self.logs / rule / source
        return [*sorted(folder.glob("*.log")), *folder.parent.glob(f"{source}.log")]

    def _told(self, what: str, log: Path) -> Gap:
        return Gap(what, 0, f"{shown(self.logs)}/{log.relative_to(self.logs)}", last_line(log))


def shown(folder: Path) -> str:
    """A folder as the report writes it: as given, but of an absolute path the last name alone."""
    return folder.name if folder.is_absolute() else folder.as_posix()


def merged(gaps: list[Gap]) -> list[Gap]:
    """Each thing that is missing once, with all runs that wait for it."""
    found: dict[str, Gap] = {}
    for gap in gaps:
        known = found.setdefault(gap.what, replace(gap, n_runs=0))
        found[gap.what] = replace(known, n_runs=known.n_runs + gap.n_runs)
    return list(found.values())


def last_line(log: Path) -> str:
    """The last line of a log that holds anything; of a progress bar what it showed last."""
    with log.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - TAIL_BYTES))
        text = stream.read().decode(errors="replace")
    lines = [line.strip() for line in text.replace("\r", "\n").split("\n") if line.strip()]
    line = lines[-1] if lines else "the log is empty"
    return line if len(line) <= N_CHARS else f"{line[:N_CHARS]}…"
