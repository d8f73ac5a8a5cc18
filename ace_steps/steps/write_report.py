r"""Write the report of a configuration's runs: HTML, Markdown, a plain summary, figures.

python -m ace_steps.steps.write_report --config workflow/config/config.yaml --results results/demo \
    --logs logs/demo --benchmarks logs/demo/benchmarks --report report.html --markdown report.md \
    --summary summary.txt --figures figures
"""

import logging
import os
from pathlib import Path

from ace_steps import command
from ace_steps.config import loading
from ace_steps.io.files import write_text
from ace_steps.reporting import render
from ace_steps.reporting.artifacts import read_artifacts
from ace_steps.reporting.report import build, plain_summary
from ace_steps.reporting.sheets import write_figures

log = logging.getLogger(__name__)


def run(
    *,
    config: str,
    results: Path,
    benchmarks: Path,
    logs: Path,
    report: Path,
    markdown: Path,
    summary: Path,
    figures: Path | None,
) -> None:
    """Read what the runs left, build one page, write it in every form."""
    artifacts = read_artifacts(loading.load(config).as_json(), results, benchmarks, logs)
    page = build(artifacts)
    if figures:
        write_figures(page, figures)
    write_text(report, render.html(page, seen_from(report, figures)))
    write_text(markdown, render.markdown(page, seen_from(markdown, figures)))
    write_text(summary, plain_summary(artifacts, str(report)))
    n_missing = len(artifacts.missing)
    log.info("reported %d runs, %d artifacts not found: %s", len(artifacts.runs), n_missing, report)


def seen_from(file: Path, figures: Path | None) -> str:
    """The folder of figures as a file beside it names it; empty where none is written."""
    return os.path.relpath(figures, file.parent) if figures else ""


def main(argv: list[str] | None = None) -> int:
    """Parse the options and run the step; the exit code."""
    options = command.parser(__doc__)
    options.add_argument("--config", required=True, help="run configuration, a file or JSON")
    options.add_argument("--results", type=Path, required=True, help="folder of results")
    options.add_argument("--benchmarks", type=Path, required=True, help="Snakemake's benchmarks")
    options.add_argument("--logs", type=Path, required=True, help="logs of the jobs")
    options.add_argument("--report", type=Path, required=True, help="HTML file to write")
    options.add_argument("--markdown", type=Path, required=True, help="Markdown file to write")
    options.add_argument("--summary", type=Path, required=True, help="plain table to write")
    options.add_argument("--figures", type=Path, help="folder to write figures to, SVG and CSV")
    return command.execute(run, options.parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())
