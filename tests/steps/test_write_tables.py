"""write_tables: results and comparisons as Markdown and as LaTeX."""

import re
import shutil
import subprocess

import polars as pl
import pytest
import yaml

from ace_steps.io.parquet import write_table
from ace_steps.io.tables import COMPARISONS, METRICS, RUNS
from ace_steps.reporting.paper_tables import (
    ResultTable,
    Score,
    comparisons_text,
    results_text,
    tex,
)
from ace_steps.steps import write_tables
from tests.conftest import ROOT
from tests.reporting.made_results import MADE, as_option, made_config

CONFIG = made_config([5], [1, 2], ("random", "whitening"))
CONFIG["datasets"] = {"amazon-beauty": CONFIG["datasets"]["shop"]}
CONFIG["refinements"]["ace"]["lambda"] = 5
SCORES = {"random": (0.10, 0.12), "whitening": (0.13, 0.15), "ace": (0.15, 0.15)}
SETUP = {"dataset": "amazon-beauty", "encoder": "small", "backbone_entry": "sasrec"}
ROW = {
    **SETUP,
    **{"refinement_a": "ace", "refinement_b": "random", "role": "baseline", "slice": "all"},
    **{"metric": "recall", "cutoff": 20, "n_users": 9, "n_seeds": 2, "mean_a": 0.15},
    **{"mean_b": 0.11, "difference": 0.04, "relative": 0.3636, "low": 0.01, "high": 0.05},
    **{"p": 0.001, "p_holm": 0.002, "seed_deviation": 0.01, "p_seeds": 0.2},
}


def compared(*changes):
    return pl.DataFrame([ROW | change for change in changes]).cast(
        dict(pl.from_arrow(COMPARISONS.schema.empty_table()).schema)
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The tables of three methods on one dataset."""
    folder = tmp_path_factory.mktemp("tables")
    runs, metrics = [], []
    for name, by_seed in SCORES.items():
        for seed, value in zip((1, 2), by_seed, strict=True):
            run = {"dataset": "amazon-beauty", "encoder": "small", "backbone": "sasrec"}
            run |= {"refinement": "ace-lambda_5" if name == "ace" else name, "seed": seed}
            entries = {"refinement_entry": name, "backbone_entry": "sasrec"}
            points = {"refinement_point": "{}", "backbone_point": "{}", "is_chosen": True}
            runs.append({**run, **entries, **points})
            for metric, shown in (("recall", value), ("ndcg", value / 2)):
                row = {"split": "test", "slice": "all", "metric": metric, "cutoff": 20}
                metrics.append({**run, **row, "value": shown, "n_targets": 9})
    comparisons = compared(
        {},
        {"refinement_b": "whitening", "role": "best_baseline", "p_holm": 0.2},
        {"metric": "ndcg", "difference": -0.04},
    )
    tables = {"metrics": (pl.DataFrame(metrics), METRICS), "runs": (pl.DataFrame(runs), RUNS)}
    options = ["--config", as_option(CONFIG), "--tables", str(folder / "tables")]
    for name, (table, spec) in (tables | {"comparisons": (comparisons, COMPARISONS)}).items():
        write_table(table, spec, folder / f"{name}.parquet", MADE)
        options += [f"--{name}", str(folder / f"{name}.parquet")]
    assert write_tables.main([*options, "--published", str(ROOT / "data/published.yaml")]) == 0
    return folder / "tables"


def line_of(text, label):
    (line,) = [line for line in text.splitlines() if re.search(rf"(^|\| ){label} (\||&)", line)]
    return line


def test_the_best_is_bold_the_second_underlined_and_what_is_sure_is_marked(written):
    text = (written / "results.md").read_text()
    assert "amazon-beauty R@20" in text
    ace, white, plain = (line_of(text, name) for name in ("ace", "whitening", "random init"))
    assert "**0.1500**\\* ± 0.0000" in ace
    assert "**0.0750**↓" in ace
    assert "†" not in ace + white  # not better than the best baseline at the corrected level
    assert "<u>0.1400</u> ± 0.0141" in white  # deviation of .13 and .15
    assert "| 0.1100 ± 0.0141 |" in plain
    line = line_of((written / "results.tex").read_text(), "ace")
    assert r"\textbf{0.1500}$^{*}$ {\scriptsize $\pm$ 0.0000}" in line
    assert r"\textbf{0.0750}$^{\downarrow}$" in line


def test_published_figures_stand_beside_the_results_marked_as_such(written):
    text = (written / "results.md").read_text()
    assert "| published, not run here | ACE on SASRec [1] | 0.1288 | " in text
    assert "[1] ACE, SIGIR 2026, arXiv:2605.29322" in text
    latex = (written / "results.tex").read_text()
    assert r"\emph{published, not run here}" in latex
    assert "ACE on GRU4Rec [1] & 0.1107" in latex


def test_comparisons_are_listed_with_their_intervals(written):
    cells = "| R@20 | 9 | 0.1500 | 0.1100 | +0.0400 | +36.4 % | [+0.0100, +0.0500] | 0.2 | 0.001 |"
    assert cells in line_of((written / "comparisons.md").read_text(), "whitening")
    latex = (written / "comparisons.tex").read_text()
    assert latex.count("ace (a) against whitening (b)") == 1
    assert r"all & N@20 & 9 & 0.1500 & 0.1100 & $-$0.0400 & +36.4 \%" in latex


def compiled(folder, *tables):
    """The log of an article that holds these tables."""
    pdflatex = shutil.which("pdflatex")
    if pdflatex is None:
        pytest.skip("no pdflatex: `apt-get install texlive-latex-recommended`")
    packages = {line for text in tables for line in re.findall(r"(?m)^% needs (.*)$", text)}
    parts = (r"\documentclass{article}", *sorted(packages), r"\begin{document}", *tables)
    (folder / "a.tex").write_text("\n".join([*parts, r"\end{document}"]))
    command = [pdflatex, "-interaction=nonstopmode", "-halt-on-error", "a.tex"]
    for _ in range(3):  # a longtable settles its widths from run to run
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    return (folder / "a.log").read_text(errors="replace")


def test_tables_of_the_papers_size_compile_with_their_packages_and_keep_to_the_page(tmp_path):
    datasets = ["beauty", "toys", "yelp", "ml-20m"]
    columns = [(name, metric, 20) for name in datasets for metric in ("recall", "ndcg")]
    score = Score("0.1234", "± 0.0012", "best", "*†")
    rows = [(name, [score] * len(columns)) for name in ("random", "whitenrec_plus", "a_&_b")]
    blocks = dict.fromkeys(("sasrec", "gru4rec", "bert4rec"), rows)
    tables = [
        ResultTable(name, datasets, columns, blocks, ["a source & more"])
        for name in ("smollm2", "minilm")
    ]
    comparisons = compared(
        *(
            {"dataset": name, "encoder": "qwen3-600m_x", "slice": part, "relative": -12.3456}
            for name in datasets
            for part in ("all", "few_train_events", "short_histories")
            for _ in range(10)
        )
    )
    log = compiled(
        tmp_path, results_text(tables, 0.05, "tex"), comparisons_text(comparisons, "tex")
    )
    assert "Overfull" not in log
    assert "Missing character" not in log


def test_names_are_text_never_commands():
    assert tex("a_b & 5% $x$ #1 {y} \\cmd ~ ^") == (
        r"a\_b \& 5\% \$x\$ \#1 \{y\} \textbackslash{}cmd \textasciitilde{} \textasciicircum{}"
    )


def test_every_published_figure_has_a_source_and_is_a_share():
    for each in yaml.safe_load((ROOT / "data/published.yaml").read_text()):
        assert each["source"]
        values = [value for by in each["figures"].values() for value in by.values()]
        assert values
        assert all(0 < value < 1 for value in values)
