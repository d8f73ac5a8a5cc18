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
    comparisons_latex,
    escape,
    results_latex,
)
from ace_steps.steps import write_tables
from tests.conftest import ROOT
from tests.reporting.made_grid import (
    BACKBONES,
    DATASETS,
    ENCODERS,
    paper_artifacts,
    paper_config,
)
from tests.reporting.made_results import MADE, as_option, made_config

CONFIG = made_config([5], [1, 2], ("random", "whitening"))
CONFIG["datasets"] = {"amazon-beauty": CONFIG["datasets"]["shop"]}
CONFIG["refinements"]["ace"]["lambda"] = 5
SCORES = {"random": (0.10, 0.12), "whitening": (0.13, 0.15), "ace": (0.15, 0.15)}
GRID_POINTS = {"random": "random", "whitening": "whitening", "ace": "ace-lambda_5"}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The tables of three methods on one dataset."""
    folder = tmp_path_factory.mktemp("tables")
    runs, metrics = [], []
    for name, by_seed in SCORES.items():
        for seed, value in zip((1, 2), by_seed, strict=True):
            run = {"dataset": "amazon-beauty", "encoder": "small"}
            run |= {"refinement": GRID_POINTS[name], "backbone": "sasrec", "seed": seed}
            entries = {"refinement_entry": name, "backbone_entry": "sasrec"}
            points = {"refinement_point": "{}", "backbone_point": "{}", "is_chosen": True}
            runs.append({**run, **entries, **points})
            for metric, shown in (("recall", value), ("ndcg", value / 2)):
                row = {"split": "test", "slice": "all", "metric": metric, "cutoff": 20}
                metrics.append({**run, **row, "value": shown, "n_targets": 9})
    row = {"dataset": "amazon-beauty", "encoder": "small", "backbone_entry": "sasrec"}
    row |= {"slice": "all", "metric": "recall", "cutoff": 20, "n_users": 9, "n_seeds": 2}
    row |= {"mean_a": 0.15, "mean_b": 0.11, "low": 0.01, "high": 0.05, "p": 0.001}
    row |= {"seed_deviation": 0.01, "p_seeds": 0.2, "relative": 0.3636}
    sure = {**row, "refinement_a": "ace", "difference": 0.04, "p_holm": 0.002}
    compared = [
        {**sure, "refinement_b": "random", "role": "baseline"},
        {**sure, "refinement_b": "whitening", "role": "best_baseline", "p_holm": 0.2},
        {**sure, "refinement_b": "random", "role": "baseline", "metric": "ndcg"}
        | {"difference": -0.04},
    ]
    tables = {"metrics": (metrics, METRICS), "runs": (runs, RUNS)}
    tables["comparisons"] = (compared, COMPARISONS)
    options = ["--config", as_option(CONFIG), "--tables", str(folder / "tables")]
    for name, (rows, spec) in tables.items():
        write_table(pl.DataFrame(rows), spec, folder / f"{name}.parquet", MADE)
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


def test_published_figures_stand_beside_ours_marked_as_such(written):
    text = (written / "results.md").read_text()
    assert "| published, not run here | ACE on SASRec [1] | 0.1288 | " in text
    assert "[1] ACE, SIGIR 2026, arXiv:2605.29322" in text
    latex = (written / "results.tex").read_text()
    assert r"\emph{published, not run here}" in latex
    assert "ACE on GRU4Rec [1] & 0.1107" in latex


def cells(line):
    return len(re.split(r"(?<!\\)&", line))


def test_the_latex_is_balanced_and_every_row_has_every_column(written):
    for name in ("results.tex", "comparisons.tex"):
        text = (written / name).read_text()
        plain = re.sub(r"\\[{}]", "", text)
        assert plain.count("{") == plain.count("}")
        for begun in re.findall(r"\\begin\{(\w+)\}", text):
            assert text.count(rf"\begin{{{begun}}}") == text.count(rf"\end{{{begun}}}")
        for rule in ("toprule", "midrule", "bottomrule"):
            assert rf"\{rule}" in text
        assert len(re.findall(r"(?<!\\)\$", text)) % 2 == 0
        width = 3 if name == "results.tex" else 9
        rows = [line for line in text.splitlines() if line.endswith(r"\\")]
        whole = [line for line in rows if not re.search(r"\\multicolumn|\\caption", line)]
        assert {cells(line) for line in whole} == {width}
    latex = (written / "results.tex").read_text()
    assert r"\textbf{0.1500}$^{*}$" in latex
    assert r"\textbf{0.0750}$^{\downarrow}$" in latex
    assert r"whitenrec\_plus" not in latex


def compiled(folder, *tables: str) -> tuple[str, bytes]:
    """The log and the PDF of an article that holds these tables."""
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
    return (folder / "a.log").read_text(errors="replace"), (folder / "a.pdf").read_bytes()


def test_the_latex_compiles_with_the_packages_it_names(written, tmp_path):
    tables = [(written / name).read_text() for name in ("results.tex", "comparisons.tex")]
    log, pdf = compiled(tmp_path, *tables)
    assert pdf.startswith(b"%PDF")
    assert "Overfull" not in log


def test_tables_of_the_papers_size_keep_to_the_page(tmp_path):
    columns = [(name, metric, 20) for name in DATASETS for metric in ("recall", "ndcg")]
    score = Score(0.1234, 0.0012, "best", "*†")
    rows = [(name, [score] * len(columns)) for name in ("random", "whitenrec_plus", "ace")]
    blocks = dict.fromkeys(BACKBONES, rows)
    tables = [ResultTable(name, columns, blocks, ["a source & more"]) for name in ENCODERS]
    config = paper_config(encoders=("qwen3-600m_x",))
    compared = paper_artifacts(config).comparisons.with_columns(relative=-12.3456)
    log, _ = compiled(tmp_path, results_latex(tables, 0.05), comparisons_latex(compared))
    assert "Overfull" not in log
    assert "Missing character" not in log


def test_names_are_text_never_commands():
    assert escape("a_b & 5% $x$ #1 {y} \\cmd ~ ^") == (
        r"a\_b \& 5\% \$x\$ \#1 \{y\} \textbackslash{}cmd \textasciitilde{} \textasciicircum{}"
    )


def test_comparisons_are_listed_with_their_intervals(written):
    text = (written / "comparisons.md").read_text()
    line = line_of(text, "whitening")
    assert (
        "| R@20 | 9 | 0.1500 | 0.1100 | +0.0400 | +36.4 % | [+0.0100, +0.0500] | 0.2 | 0.001 |"
        in line
    )


def test_every_published_figure_has_a_source_and_is_a_share():
    for each in yaml.safe_load((ROOT / "data/published.yaml").read_text()):
        assert each["source"]
        values = [value for by in each["figures"].values() for value in by.values()]
        assert values
        assert all(0 < value < 1 for value in values)
