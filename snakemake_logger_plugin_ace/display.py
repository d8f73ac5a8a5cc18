"""The handler that turns Snakemake's events into lines."""

import logging
import re
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_ace.logs import StepLog, last_lines

LOOK_EVERY_S = 1.0
FIRST_LINE_S = 60.0  # a job that takes longer is heard of, then after twice the time each time,
LINE_EVERY_S = 600.0  # but at least this often
N_RUNNING = 10  # jobs that a terminal shows at once
N_LOG_LINES = 30  # of a job that failed
N_CHARS = 120  # of what a step said last; its log has all of it

# What Snakemake says to those who develop it or a workflow; all else is shown.
NOISE = re.compile(
    r"(None$|Assuming unrestricted shared filesystem|Building DAG of jobs|Using shell:|host:"
    r"|Select jobs to execute|Updating checkpoint dependencies|DAG of jobs will be updated"
    r"|Using workflow specific profile|Group jobs: inactive|Removing temporary output|Job stats:"
    r"|(Some jobs were|Rules with provenance) triggered"
    r"|Singularity containers: ignored|Conda environments: ignored)"
)

# A failed job's command, a page long: --printshellcmds and Snakemake's log have it.
COMMAND = re.compile(r"Command '.*' (returned|died)", re.DOTALL)


@dataclass
class Job:
    """A job on its way."""

    title: str  # rule and wildcards
    log: StepLog | None
    begun: float  # time.monotonic()
    next_line: float = field(init=False)
    shown: str = ""  # what was printed of its progress last

    def __post_init__(self) -> None:
        self.next_line = self.begun + FIRST_LINE_S

    @property
    def last(self) -> str:
        """What its step said last, cut to what fits a line."""
        said = self.log.last if self.log else ""
        return said if len(said) <= N_CHARS else f"{said[:N_CHARS]}…"


class LogHandler(LogHandlerBase):
    """Prints lines to standard error, a dry run's to standard output."""

    def __post_init__(self) -> None:
        options = self.common_settings
        self._is_plain = bool(options.verbose or options.printshellcmds or options.debug_dag)
        self._console = Console(
            stderr=not options.stdout,
            no_color=options.nocolor or None,
            highlight=False,
            markup=False,
            emoji=False,
            soft_wrap=True,
        )
        is_dumb = self._console.is_dumb_terminal
        self._is_terminal = self._console.file.isatty() and not is_dumb
        self._jobs: dict[int, Job] = {}
        self._n_done = self._n_jobs = 0
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._live: Live | None = None
        self._handle: dict[str | None, Callable[[logging.LogRecord], None]] = {
            LogEvent.RUN_INFO: self._run_info,
            LogEvent.JOB_INFO: self._job_info,
            LogEvent.JOB_FINISHED: self._job_finished,
            LogEvent.JOB_ERROR: self._job_error,
            LogEvent.GROUP_ERROR: self._group_error,
            LogEvent.PROGRESS: self._progress,
            LogEvent.ERROR: self._message,
            None: self._message,
        }

    writes_to_stream = True
    writes_to_file = False
    has_filter = False  # Snakemake's own, for --quiet
    has_formatter = False  # Snakemake's own, for --verbose
    needs_rulegraph = False

    def emit(self, record: logging.LogRecord) -> None:
        """Show what a person wants to know of an event."""
        try:
            with self._lock:
                if self._is_plain:
                    self._print_plainly(record)
                elif handle := self._handle.get(getattr(record, "event", None)):
                    handle(record)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Leave the terminal as it was; Snakemake calls this more than once."""
        self._ended.set()
        with self._lock:
            self._stop_live()
        super().close()

    def _run_info(self, record: logging.LogRecord) -> None:
        """How many jobs of each rule; the first of the two times that a dry run sends it."""
        if self._n_jobs:
            return
        self._n_jobs = record.stats["total"]
        if self.common_settings.dryrun:
            self._print(record.getMessage())
            return
        rules = ", ".join(
            f"{rule} {count}"
            for rule, count in record.stats.items()
            if rule not in ("total", "all") and count
        )
        self._print(f"{self._n_jobs} jobs: {rules}")
        if self._is_terminal:
            self._live = Live(
                get_renderable=self._running,
                console=self._console,
                transient=True,
                auto_refresh=False,
                redirect_stdout=sys.stdout.isatty(),
            )
            self._live.start()
        threading.Thread(target=self._watch, name="running jobs", daemon=True).start()

    def _job_info(self, record: logging.LogRecord) -> None:
        """A job that starts, or that a dry run would start."""
        title = title_of(record)
        if self.common_settings.dryrun:
            self._print(f"{title}: {short_reason(record.reason)}")
            return
        if record.log and not self._jobs and not self._n_done:
            self._print(f"logs of the steps: {log_folder(record)}")
        log = StepLog(Path(record.log[0])) if record.log else None
        self._jobs[record.jobid] = Job(title, log, time.monotonic())
        if self._live:
            self._live.refresh()

    def _job_finished(self, record: logging.LogRecord) -> None:
        self._n_done += 1
        job = self._jobs.pop(record.job_id, None)
        if job is None or job.log is None:  # a target that has nothing to do itself
            return
        self._read(job, is_complete=True)
        seconds = duration(time.monotonic() - job.begun)
        said = f": {job.last}" if job.last else ""
        self._print(f"{self._counts()} {job.title}, {seconds}{said}")

    def _job_error(self, record: logging.LogRecord) -> None:
        """The end of the log of a job that failed."""
        job = self._jobs.pop(record.jobid, None)
        title = job.title if job else f"{record.rule_name}, job {record.jobid}"
        self._print(f"{self._counts()} FAILED {title}", "bold red")
        if record.rule_msg:
            self._print(f"    {record.rule_msg}", "red")
        for key, value in record.aux.items():
            self._print(f"    {key}: {value}")
        self._print_logs(record.log)

    def _group_error(self, record: logging.LogRecord) -> None:
        """The log of a submission that failed; Snakemake sends its jobs' errors after it."""
        self._print(f"{self._counts()} FAILED group {record.groupid}", "bold red")
        self._print_logs(record.aux_logs)

    def _print_logs(self, paths: list[str]) -> None:
        """Where the logs of a failure are and, with ``--show-failed-logs``, how they end."""
        for path in paths:
            self._print(f"    log: {path}")
            if self.common_settings.show_failed_logs:
                for line in last_lines(Path(path), N_LOG_LINES) or ["(empty)"]:
                    self._print(f"    | {line}")

    def _progress(self, record: logging.LogRecord) -> None:
        """How many jobs there are by now; a checkpoint may have added some."""
        self._n_jobs = record.total
        if record.done >= record.total:
            self._stop_live()

    def _message(self, record: logging.LogRecord) -> None:
        """Anything else that Snakemake says, but its routine."""
        message = COMMAND.sub(r"the command \1", str(record.msg))
        if record.levelno >= logging.ERROR:
            self._print(message, "red")
        elif record.levelno >= logging.WARNING:
            self._print(message, "yellow")
        elif message and not NOISE.match(message):
            self._print(message)

    def look(self) -> None:
        """Read what the running jobs logged meanwhile, and show what is new."""
        with self._lock:
            for job in self._jobs.values():
                self._read(job)
            if self._live:
                self._live.refresh()
            elif not self._is_terminal:
                self._print_progress(time.monotonic())

    def _watch(self) -> None:
        """Look at the running jobs until the run ends."""
        while not self._ended.wait(LOOK_EVERY_S):
            self.look()

    def _read(self, job: Job, *, is_complete: bool = False) -> None:
        if job.log is None:
            return
        job.log.read_news(is_complete=is_complete)
        for warning in job.log.take_warnings():
            self._print(f"{job.title}: warning: {warning}", "yellow")

    def _print_progress(self, now: float) -> None:
        """A line for each job whose time has come and who has news."""
        for job in self._jobs.values():
            if now < job.next_line or job.last == job.shown:
                continue
            job.next_line = now + min(now - job.begun, LINE_EVERY_S)
            job.shown = job.last
            self._print(f"{self._counts()} {job.title}: {job.last}")

    def _running(self) -> Group:
        """The running jobs, one a line, those with news first."""
        jobs = sorted(self._jobs.values(), key=lambda job: (not job.last, job.begun))
        now = time.monotonic()
        lines = [
            f"  {job.title}, {duration(now - job.begun)}{': ' * bool(job.last)}{job.last}"
            for job in jobs[:N_RUNNING]
        ]
        if len(jobs) > N_RUNNING:
            lines.append(f"  and {len(jobs) - N_RUNNING} more")
        head = f"{self._counts()} done, {len(jobs)} running"
        return Group(*(Text(line, no_wrap=True, overflow="ellipsis") for line in [head, *lines]))

    def _counts(self) -> str:
        return f"[{self._n_done}/{self._n_jobs}]"

    def _print_plainly(self, record: logging.LogRecord) -> None:
        """An event as Snakemake itself would show it."""
        text = self.format(record)
        if text and text != "None":
            self._print(text)

    def _print(self, line: str, style: str = "") -> None:
        self._console.print(Text(line, style=style))

    def _stop_live(self) -> None:
        if self._live:
            self._live.stop()
            self._live = None


def title_of(record: logging.LogRecord) -> str:
    """A job's rule and wildcards, e.g. ``train_backbone toy/minilm/ace/sasrec/1``."""
    values = [str(value) for value in record.wildcards.values() if value != "1-of-1"]
    return f"{record.rule_name} {'/'.join(values)}".rstrip()


def log_folder(record: logging.LogRecord) -> str:
    """Where the logs of all rules lie, from that of one: ``logs/toy/<step>/``."""
    folder, rule, _ = record.log[0].partition(f"/{record.rule_name}/")
    return f"{folder}/<step>/" if rule else str(Path(record.log[0]).parent)


def short_reason(reason: str) -> str:
    """The first reason to run a job, without its files: ``missing output files``."""
    return re.split("[:;]", reason, maxsplit=1)[0].strip().lower()


def duration(seconds: float) -> str:
    """Time in the two largest units, e.g. ``48 s``, ``3 min 20 s``, ``2 h 5 min``."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"
