"""Results and comparisons as Markdown and as LaTeX for a paper: methods down, datasets across.

The LaTeX is written here rather than by pandas' Styler, which can neither shrink a table to the
line nor put a heading between rows. Each file says at its top which packages it needs.
"""

from dataclasses import dataclass
from itertools import product

import polars as pl

from ace_steps.config.grid import Plan
from ace_steps.evaluation.results import chosen_runs, seed_means
from ace_steps.reporting import formatting
from ace_steps.reporting.scores import SETUP

Column = tuple[str, str, int]  # dataset, metric, cutoff
ABOVE_RANDOM, ABOVE_BASELINE, BELOW = "*", "†", "↓"
BETTER = {
    "baseline": ABOVE_RANDOM,
    "best_baseline": ABOVE_BASELINE,
    "both": ABOVE_RANDOM + ABOVE_BASELINE,
}
SHORT_METRICS = {"recall": "R", "ndcg": "N", "mrr": "MRR"}
LEGEND = (
    "Test targets, mean over seeds ± sample standard deviation; best of a backbone bold, second "
    f"underlined. {ABOVE_RANDOM} better than random init, {ABOVE_BASELINE} better than the best "
    f"baseline by validation, {BELOW} worse, at a corrected p below {{alpha}}."
)
COMPARED = (
    "Paired differences over test users. Intervals are bootstrap intervals over users; p is "
    "corrected after Holm over all rows of this table."
)
PAIR = ("refinement_a", "refinement_b")
COMPARISON_HEADS = ("slice", "metric", "users", "a", "b", "a - b", "change", "interval", "p")
LATEX_SIGNS = {ABOVE_RANDOM: "*", ABOVE_BASELINE: r"\dagger", BELOW: r"\downarrow"}
ESCAPES = str.maketrans(
    {
        **{letter: f"\\{letter}" for letter in "&%$#_{}"},
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "\\": r"\textbackslash{}",
        "±": r"$\pm$",
        "·": r"$\cdot$",
        formatting.MINUS: "$-$",
        formatting.MISSING: "--",
        **{letter: f"${letter}$" for letter in "<>"},
        **{sign: f"${text}$" for sign, text in LATEX_SIGNS.items()},
    }
)
FIT = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"


@dataclass(frozen=True)
class Score:
    """One entry of a table of results.

    Attributes:
        mean: The test metric, mean over seeds.
        deviation: Sample standard deviation over seeds; None for one seed.
        mark: best, second or empty.
        signs: Significant differences: better than random init, than the best baseline, worse.
    """

    mean: float
    deviation: float | None = None
    mark: str = ""
    signs: str = ""


@dataclass(frozen=True)
class ResultTable:
    """An encoder's results on all datasets and backbones.

    Attributes:
        encoder: Its name.
        columns: What is shown of each method.
        blocks: Rows by heading: a label and a score (or None) for each column.
        sources: Of the published figures, numbered from 1.
    """

    encoder: str
    columns: list[Column]
    blocks: dict[str, list[tuple[str, list[Score | None]]]]
    sources: list[str]


def result_tables(
    config: dict,
    runs: pl.DataFrame,
    metrics: pl.DataFrame,
    comparisons: pl.DataFrame,
    published: list[dict],
) -> list[ResultTable]:
    """One table for each encoder: a block for each backbone, and one of published figures.

    Args:
        config: The checked configuration.
        runs: The table ``runs``; only its chosen grid points are shown.
        metrics: The table ``metrics``.
        comparisons: The table ``comparisons``.
        published: Others' figures: method, source, and figures by dataset and ``metric@K``.
    """
    means = seed_means(metrics, chosen_runs(runs, Plan(config))).filter(split="test")
    alpha = config["statistics"]["alpha"]
    significant = comparisons.filter(pl.col("p_holm") < alpha, slice="all")
    tables = []
    for (encoder,), of_encoder in means.group_by("encoder", maintain_order=True):
        datasets = of_encoder["dataset"].unique(maintain_order=True)
        names = [name.split("@") for name in config["statistics"]["metrics"]]
        columns = [(d, metric, int(cutoff)) for d, (metric, cutoff) in product(datasets, names)]
        blocks = {
            name: _rows(columns, rows, significant.filter(encoder=encoder, backbone_entry=name))
            for (name,), rows in of_encoder.group_by("backbone_entry", maintain_order=True)
        }
        others, sources = _published(published, columns)
        if others:
            blocks["published, not run here"] = others
        tables.append(ResultTable(encoder, columns, blocks, sources))
    return tables


def _rows(
    columns: list[Column], means: pl.DataFrame, significant: pl.DataFrame
) -> list[tuple[str, list[Score | None]]]:
    """One backbone's rows; best and second by what is printed, so that equal print is equal."""
    keys = ("dataset", "metric", "cutoff", "refinement_entry")
    values = {tuple(row[:4]): row[4:] for row in means.select(*keys, "mean", "deviation").rows()}
    signs: dict[tuple, set[str]] = {}
    keys = (*keys[:3], "refinement_a")
    for *key, role, difference in significant.select(*keys, "role", "difference").iter_rows():
        sign = BETTER[role] if difference > 0 else BELOW
        signs.setdefault(tuple(key), set()).update(sign)
    entries = means["refinement_entry"].unique(maintain_order=True).to_list()
    rows = {entry: [] for entry in entries}
    for column in columns:
        printed = {f"{values[*column, e][0]:.4f}" for e in entries if (*column, e) in values}
        ordered = sorted(printed, reverse=True)
        marks = dict(zip(ordered, ("best", "second"), strict=False)) if len(ordered) > 1 else {}
        for entry in entries:
            key = (*column, entry)
            if key not in values:
                rows[entry].append(None)
                continue
            mark = marks.get(f"{values[key][0]:.4f}", "")
            rows[entry].append(Score(*values[key], mark, "".join(sorted(signs.get(key, "")))))
    return [(formatting.entry(entry), scores) for entry, scores in rows.items()]


def _published(
    published: list[dict], columns: list[Column]
) -> tuple[list[tuple[str, list[Score | None]]], list[str]]:
    """The published rows that have a figure in one of the columns, and their sources."""
    rows, sources = [], []
    for each in published:
        values = [each["figures"].get(d, {}).get(f"{metric}@{k}") for d, metric, k in columns]
        if not any(value is not None for value in values):
            continue
        if each["source"] not in sources:
            sources.append(each["source"])
        label = f"{each['method']} [{sources.index(each['source']) + 1}]"
        rows.append((label, [None if value is None else Score(value) for value in values]))
    return rows, sources


def results_markdown(tables: list[ResultTable], alpha: float) -> str:
    """All tables, one below the other."""
    parts = ["# Results\n", LEGEND.format(alpha=alpha) + "\n"]
    for table in tables:
        heads = ["backbone", "method", *(f"{d} {_short(m, k)}" for d, m, k in table.columns)]
        rows = [
            [title, label, *map(_markdown_score, scores)]
            for title, block in table.blocks.items()
            for label, scores in block
        ]
        notes = [f"[{number}] {source}\n" for number, source in enumerate(table.sources, 1)]
        parts += [f"## Encoder {table.encoder}\n", _pipe_table(heads, rows), *notes]
    return "\n".join(parts)


def comparisons_markdown(comparisons: pl.DataFrame) -> str:
    """Every row of the table ``comparisons``."""
    names = (*SETUP, *PAIR)
    rows = []
    for row in comparisons.to_dicts():
        labels = [*(formatting.entry(row[name]) for name in names), str(row["n_seeds"])]
        rows.append([*labels, *_compared(row), formatting.p_value(row["p"])])
    table = _pipe_table([*names, "seeds", *COMPARISON_HEADS, "p uncorrected"], rows)
    return f"# Comparisons\n\n{COMPARED}\n\n{table}"


def results_latex(tables: list[ResultTable], alpha: float) -> str:
    """Each table as a table environment that shrinks where it is wider than the line."""
    return "\n".join(
        ["% needs \\usepackage{booktabs,graphicx}", *(_latex_table(each, alpha) for each in tables)]
    )


def comparisons_latex(comparisons: pl.DataFrame) -> str:
    """Every row of the table ``comparisons``, under its setup and its pair, over pages."""
    lines = [
        "% needs \\usepackage{booktabs,longtable}",
        r"{\scriptsize\setlength{\tabcolsep}{2pt}",
        rf"\begin{{longtable}}{{ll{'r' * (len(COMPARISON_HEADS) - 2)}}}",
        rf"\caption{{{escape(COMPARED)}}}\\",
        r"\toprule",
        " & ".join(escape(head.replace("-", formatting.MINUS)) for head in COMPARISON_HEADS)
        + r" \\",
        r"\endhead",
    ]
    keys = [*SETUP, *PAIR, "n_seeds"]
    for (*setup, a, b, n_seeds), rows in comparisons.group_by(keys, maintain_order=True):
        pair = f"{formatting.entry(a)} (a) against {formatting.entry(b)} (b)"
        title = f"{' · '.join(setup)}: {pair}, {formatting.plural(n_seeds, 'seed')}"
        span = rf"\multicolumn{{{len(COMPARISON_HEADS)}}}{{l}}"
        lines += [r"\midrule", rf"{span}{{\emph{{{escape(title)}}}}} \\*"]
        lines += [" & ".join(map(escape, _compared(row))) + r" \\" for row in rows.to_dicts()]
    return "\n".join([*lines, r"\bottomrule", r"\end{longtable}}"]) + "\n"


def escape(text: str) -> str:
    """Text as LaTeX sets it, no character taken for a command."""
    return text.translate(ESCAPES)


def _short(metric: str, cutoff: int) -> str:
    """``R@20``: a metric as short as a table's head has to be."""
    return f"{SHORT_METRICS[metric]}@{cutoff}"


def _compared(row: dict) -> list[str]:
    """A comparison as ``COMPARISON_HEADS`` name it."""
    return [
        row["slice"].replace("_", " "),
        _short(row["metric"], row["cutoff"]),
        str(row["n_users"]),
        *(f"{row[name]:.4f}" for name in ("mean_a", "mean_b")),
        formatting.signed(row["difference"]),
        formatting.change(row["relative"]) or formatting.MISSING,
        f"[{formatting.signed(row['low'])}, {formatting.signed(row['high'])}]",
        formatting.p_value(row["p_holm"]),
    ]


def _markdown_score(score: Score | None) -> str:
    if score is None:
        return formatting.MISSING
    text = {"best": "**{}**", "second": "<u>{}</u>", "": "{}"}[score.mark].format(
        f"{score.mean:.4f}"
    )
    spread = "" if score.deviation is None else f" ± {score.deviation:.4f}"
    return text + score.signs.replace(ABOVE_RANDOM, "\\*") + spread


def _latex_score(score: Score | None) -> str:
    if score is None:
        return "--"
    command = {"best": r"\textbf", "second": r"\underline", "": ""}[score.mark]
    text = f"{command}{{{score.mean:.4f}}}" if command else f"{score.mean:.4f}"
    signs = "".join(LATEX_SIGNS[sign] for sign in score.signs)
    spread = "" if score.deviation is None else rf" {{\scriptsize $\pm$ {score.deviation:.4f}}}"
    return text + f"$^{{{signs}}}$" * bool(signs) + spread


def _pipe_table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _latex_table(table: ResultTable, alpha: float) -> str:
    datasets = list(dict.fromkeys(dataset for dataset, _, _ in table.columns))
    span = len(table.columns) // len(datasets)
    groups = [rf"\multicolumn{{{span}}}{{c}}{{{escape(dataset)}}}" for dataset in datasets]
    rules = [
        rf"\cmidrule(lr){{{s}-{s + span - 1}}}" for s in range(2, len(table.columns) + 2, span)
    ]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{Encoder {escape(table.encoder)}. {escape(LEGEND.format(alpha=alpha))}}}",
        FIT,
        rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
        r"\toprule",
        " & ".join(["", *groups]) + r" \\",
        " ".join(rules),
        " & ".join(["method", *(_short(m, k) for _, m, k in table.columns)]) + r" \\",
    ]
    for title, rows in table.blocks.items():
        head = rf"\multicolumn{{{1 + len(table.columns)}}}{{l}}{{\emph{{{escape(title)}}}}} \\"
        lines += [r"\midrule", head]
        lines += [
            " & ".join([escape(label), *map(_latex_score, scores)]) + r" \\"
            for label, scores in rows
        ]
    notes = [rf"\par\footnotesize [{i}] {escape(s)}" for i, s in enumerate(table.sources, 1)]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}}", *notes, r"\end{table}"]) + "\n"
