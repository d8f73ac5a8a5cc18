r"""Write the results and the comparisons as tables for reading and for a paper.

python -m ace_steps.steps.write_tables --config workflow/config/config.yaml \
    --metrics results/demo/report/metrics.parquet --runs results/demo/report/runs.parquet \
    --comparisons results/demo/report/comparisons.parquet \
    --published data/published.yaml --tables tables
"""

from pathlib import Path
from typing import Annotated

import yaml

from ace_steps.command import log, main_of
from ace_steps.config import loading
from ace_steps.io.files import write_text
from ace_steps.io.parquet import read_table
from ace_steps.io.tables import COMPARISONS, METRICS, RUNS
from ace_steps.reporting import paper_tables


def run(
    *,
    config: Annotated[str, "run configuration, a file or JSON"],
    metrics: Annotated[Path, "table metrics"],
    runs: Annotated[Path, "table runs"],
    comparisons: Annotated[Path, "table comparisons"],
    published: Annotated[Path, "others' figures, YAML"],
    tables: Annotated[Path, "folder to write into"],
) -> None:
    """Read the tables, lay them out, write each as Markdown and as LaTeX."""
    settings = loading.load(config).as_json()
    compared = read_table(comparisons, COMPARISONS)
    others = yaml.safe_load(published.read_text(encoding="utf-8"))
    measured = (read_table(runs, RUNS), read_table(metrics, METRICS))
    results = paper_tables.result_tables(settings, *measured, compared, others)
    alpha = settings["statistics"]["alpha"]
    for kind in ("md", "tex"):
        write_text(tables / f"results.{kind}", paper_tables.results_text(results, alpha, kind))
        write_text(tables / f"comparisons.{kind}", paper_tables.comparisons_text(compared, kind))
    log.info("wrote %d tables of results and %d comparisons", len(results), len(compared))


main = main_of(run)

if __name__ == "__main__":
    raise SystemExit(main())
