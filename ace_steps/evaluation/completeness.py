"""What a workflow has finished and what it lacks: every stage's files, and why one is missing."""

from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from ace_steps.config.grid import Cell, Plan, Run
from ace_steps.errors import InputError
from ace_steps.evaluation.results import chosen_run
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
        pattern: Path of its artifact within the results; of several one that is small and that a
            report reads: vectors and weights of a finished run may be deleted.
        rules: What produces it, in the order they run; the last one names it in the table ``gaps``.
        is_kept: Whether a finished run still has it.
    """

    pattern: str
    rules: tuple[str, ...]
    is_kept: bool = True

    @property
    def n_parts(self) -> int:
        """Parts of a run's identity that name its artifact, its logs and its benchmarks."""
        return self.pattern.count("{")

    def path(self, run: Run) -> str:
        """Path of a run's artifact within the results."""
        return self.pattern.format(**run._asdict())


RUN_FOLDER = "{dataset}/{encoder}/{refinement}/{backbone}/{seed}"
STAGES = {  # by their folders of the results, in the order that a run goes through them
    "preprocess": Stage("preprocess/{dataset}/data_report.parquet", ("preprocess_dataset",)),
    "embed": Stage(
        "embed/{dataset}/{encoder}/item_vectors.parquet",
        ("embed_items", "request_vectors", "import_vectors", "merge_vectors"),
    ),
    "factor": Stage(
        "factor/{dataset}/{encoder}/factor.safetensors",
        ("gram_vectors", "factor_vectors"),
        is_kept=False,
    ),
    "refine": Stage(
        "refine/{dataset}/{encoder}/{refinement}/spectrum.parquet", ("refine_vectors",)
    ),
    "train": Stage(f"train/{RUN_FOLDER}/training_curve.parquet", ("train_backbone",)),
    "rank": Stage(f"rank/{RUN_FOLDER}/ranks.parquet", ("rank_targets", "merge_ranks")),
    "recommend": Stage(f"recommend/{RUN_FOLDER}/cold_items.parquet", ("rank_cold_items",)),
}
CHAIN = tuple(stage for name, stage in STAGES.items() if name != "recommend")  # up to the metrics
# What is fetched for a stage: the configuration's section that names its source, and the rule.
FETCHED = {"preprocess": ("datasets", "fetch_dataset"), "embed": ("encoders", "fetch_encoder")}


def ranks_path(run: Run, results: Path) -> Path:
    """The file of a run's ranks."""
    return results / STAGES["rank"].path(run)


def selection_path(cell: Cell, results: Path) -> Path:
    """The file of a cell's choice."""
    return results / CHOICE_PATTERN.format(**cell._asdict())


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
        is_there = [(self.results / stage.path(run)).is_file() for stage in CHAIN]
        n_passed = max((n for n, there in enumerate(is_there, 1) if there), default=0)
        if n_passed < len(CHAIN):
            return CHAIN[n_passed]
        lost = (stage for stage, there in zip(CHAIN, is_there, strict=True) if not there)
        return next((stage for stage in lost if stage.is_kept), None)

    def gap(self, stage: str, identity: tuple, name: str) -> Gap:
        """What a missing ``artifact`` leaves open: the newest log of its jobs tells why."""
        what = "/".join((shown(self.results), stage, *map(str, identity), name))
        logs = self._logs(stage, tuple(map(str, identity)))
        if not logs:
            return Gap(what)
        newest = max(logs, key=lambda log: log.stat().st_mtime_ns)
        log = f"{shown(self.logs)}/{newest.relative_to(self.logs)}"
        return Gap(what, log=log, last_line=last_line(newest))

    def stopped_at(self, stage: Stage, run: Run) -> Gap:
        """What the stage that a run stopped at leaves open."""
        folder, *identity, name = stage.path(run).split("/")
        return self.gap(folder, tuple(identity), name)

    def cause(self, run: Run) -> Gap:
        """Why a run has no metrics: what it lacks, or that they were not collected."""
        stage = self.lacking(run)
        if stage is None:
            return Gap(f"the metrics of the run {'/'.join(map(str, run))}")
        return self.stopped_at(stage, run)

    def recorded(self, gaps: pl.DataFrame) -> list[Gap]:
        """What the table ``gaps`` holds, each run a gap."""
        by_rule, recorded = {stage.rules[-1]: stage for stage in CHAIN}, []
        for row in gaps.iter_rows(named=True):
            gap = self.stopped_at(by_rule[row["stage"]], Run(*(row[name] for name in RUN)))
            recorded.append(replace(gap, n_runs=1, last_line=row["reason"]))
        return recorded

    def _logs(self, stage: str, identity: tuple[str, ...]) -> list[Path]:
        """Logs of fetching and of a stage's jobs; of shards those of the missing ones."""
        jobs = [(rule, *identity) for rule in STAGES[stage].rules]
        section, fetch_rule = FETCHED.get(stage, ("", ""))
        source = self.config.get(section, {}).get(identity[-1], {}).get("source")
        if source:
            jobs.append((fetch_rule, source))
        shards = {path.stem for path in self.artifact(stage, identity, "shards").glob("*")}
        logs = []
        for *folders, name in jobs:
            folder = self.logs.joinpath(*folders)
            logs += [log for log in [folder / f"{name}.log"] if log.is_file()]
            logs += [log for log in (folder / name).glob("*.log") if log.stem not in shards]
        return logs


def shown(folder: Path) -> str:
    """A folder as the report writes it: as given, but of an absolute path the last name alone."""
    return folder.name if folder.is_absolute() else folder.as_posix()


def merged(gaps: list[Gap]) -> list[Gap]:
    """Each thing that is missing once, with all runs that wait for it."""
    by_name: dict[str, Gap] = {}
    for gap in gaps:
        known = by_name.get(gap.what, replace(gap, n_runs=0))
        by_name[gap.what] = replace(known, n_runs=known.n_runs + gap.n_runs)
    return list(by_name.values())


def last_line(log: Path) -> str:
    """The last line of a log that holds anything; of a progress bar what it showed last."""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - TAIL_BYTES))
        text = stream.read().decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    line = lines[-1] if lines else "the log is empty"
    return line if len(line) <= N_CHARS else f"{line[:N_CHARS]}…"


@dataclass(frozen=True)
class FinishedRuns:
    """Runs that are there and the chosen ones, on the seed they were chosen on, in the order of the
    configuration; the tables ``selection`` of all cells, and ``gaps`` of the other runs.
    """

    runs: list[Run]
    chosen: set[Run]
    selection: pl.DataFrame
    gaps: pl.DataFrame


def finished_runs(config: dict, results: Path, logs: Path) -> FinishedRuns:
    """The runs of a checked configuration that are there, and why others are not.

    Raises:
        InputError: no run is there; a run is missing and report_on is not finished; a choice is
            damaged or holds other grid points than its configuration.
    """
    plan, places = Plan(config), Places(results, logs, config)
    is_partial = config.get("report_on") == FINISHED
    choices, expected = [], []
    for cell in plan.cells:
        path = selection_path(cell, results)
        if path.is_file():
            choices.append(_read_choice(path, plan.first_runs(cell)))
            expected += plan.runs(cell, chosen_run(choices[-1]))
        else:
            expected += plan.first_runs(cell)
    missing = {
        run: stage
        for run in expected
        if (is_partial or not ranks_path(run, results).is_file()) and (stage := places.lacking(run))
    }
    if missing and (len(missing) == len(expected) or not is_partial):
        first, stage = next(iter(missing.items()))
        raise InputError(
            f"{results}: {len(missing)} of {len(expected)} runs are missing; the first is "
            f"{'/'.join(map(str, first))}, of which {stage.rules[-1]} left nothing."
        )
    if not choices:
        raise InputError(f"{results}/select: expected choices of select_points, got none.")
    gaps = [
        (*run, stage.rules[-1], places.stopped_at(stage, run).last_line)
        for run, stage in missing.items()
    ]
    return FinishedRuns(
        runs=[run for run in expected if run not in missing],
        chosen={chosen_run(table) for table in choices},
        selection=pl.concat(choices),
        gaps=pl.DataFrame(
            gaps, schema=pl.from_arrow(GAPS.schema.empty_table()).schema, orient="row"
        ),
    )


def _read_choice(path: Path, grid_points: list[Run]) -> pl.DataFrame:
    table = read_table(path, SELECTION)
    runs = [Run(*row) for row in table.select(RUN).iter_rows()]
    if not set(runs) <= set(grid_points) or table["is_chosen"].sum() != 1:
        raise InputError(
            f"{path}: expected one choice among the grid points of this configuration, got "
            f"{', '.join('/'.join(map(str, run)) for run in runs)}; run select_points again."
        )
    return table
