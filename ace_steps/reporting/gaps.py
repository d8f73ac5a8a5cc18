"""The report's section on what could not run; ``ace_steps.evaluation.completeness`` knows."""

from ace_steps.evaluation.completeness import Gap
from ace_steps.reporting import wording
from ace_steps.reporting.page import Cell, Column, Section, Table, Text


def missing_section(gaps: list[Gap], folder: str) -> Section:
    """What could not be shown, and the last word of the job that was to make it.

    Args:
        gaps: What is missing, each thing once.
        folder: The folder of results, as sources are given.
    """
    title, anchor = "What could not run", "missing"
    if not gaps:
        text = Text("Nothing is missing: every artifact of the configuration was found.")
        return Section(title, anchor, (text,))
    n_runs = sum(gap.n_runs for gap in gaps)
    lacking = f"{wording.plural(n_runs, 'run')} without a result. " if n_runs else ""
    text = (
        f"{lacking}All else in this report is made from what was found. A job that stopped says "
        "why in the last line of its log; a job without a log was never started."
    )
    rows = tuple(_row(gap) for gap in gaps)
    words = ("not found", "last line of its log", "log")
    columns = (
        *(Column(word, is_number=False) for word in words),
        Column("runs without a result"),
    )
    caption = "Artifacts that were not found, the runs they hold up, and the log of their job."
    table = Table(caption, columns, rows, f"{folder}/ and the logs named in the rows")
    return Section(title, anchor, (Text(text, is_warning=True), table))


def _row(gap: Gap) -> tuple[Cell, ...]:
    log = Cell(gap.log, gap.log) if gap.log else Cell("none: never started")
    last = Cell(gap.last_line or wording.NOTHING)
    return Cell(gap.what, gap.what), last, log, Cell(str(gap.n_runs), gap.n_runs)
