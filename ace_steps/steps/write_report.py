r"""Write the report of a configuration's runs: HTML, Markdown, a plain summary, figures.

python -m ace_steps.steps.write_report --config workflow/config/config.yaml --results results/demo \
    --logs logs/demo --benchmarks logs/demo/benchmarks --report report.html --markdown report.md \
    --summary summary.txt --figures figures
"""

import os
from pathlib import Path
from typing import Annotated

from ace_steps.command import log, main_of
from ace_steps.config import loading
from ace_steps.io.files import write_text
from ace_steps.reporting import page
from ace_steps.reporting.artifacts import read_artifacts
from ace_steps.reporting.report import build, plain_summary


def run(
    *,
    config: Annotated[str, "run configuration, a file or JSON"],
    results: Annotated[Path, "folder of results"],
    benchmarks: Annotated[Path, "Snakemake's benchmarks"],
    logs: Annotated[Path, "logs of the jobs"],
    report: Annotated[Path, "HTML file to write"],
    markdown: Annotated[Path, "Markdown file to write"],
    summary: Annotated[Path, "plain table to write"],
    figures: Annotated[Path | None, "folder to write figures to, SVG and CSV"] = None,
) -> None:
    """Read what the runs left, build one page, write it in every form."""
    artifacts = read_artifacts(loading.load(config).as_json(), results, benchmarks, logs)
    built = build(artifacts)
    if figures:
        page.write_figures(built, figures)
    write_text(report, page.html(built, seen_from(report, figures)))
    write_text(markdown, page.markdown(built, seen_from(markdown, figures)))
    write_text(summary, plain_summary(artifacts, str(report)))
    n_missing = len(artifacts.missing)
    log.info("reported %d runs, %d artifacts missing: %s", len(artifacts.runs), n_missing, report)


def seen_from(file: Path, figures: Path | None) -> str:
    """The folder of figures as a file beside it names it; empty where none is written."""
    return os.path.relpath(figures, file.parent) if figures else ""


main = main_of(run)

if __name__ == "__main__":
    raise SystemExit(main())
