"""Result tables as LaTeX for a paper; each file says at its top which packages it needs.

A table of results shrinks where it is wider than the line; the list of comparisons runs over pages.
"""

import polars as pl

from ace_steps.reporting import wording
from ace_steps.reporting.tables import ABOVE_BEST, ABOVE_RANDOM, BELOW, Entry, Sheet
from ace_steps.reporting.tables_text import LEGEND, metric_name

LATEX_SIGNS = {ABOVE_RANDOM: "*", ABOVE_BEST: r"\dagger", BELOW: r"\downarrow"}
ESCAPES = str.maketrans(
    {
        **{letter: f"\\{letter}" for letter in "&%$#_{}"},
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "\\": r"\textbackslash{}",
        "±": r"$\pm$",
        "·": r"$\cdot$",
        "\N{MINUS SIGN}": "$-$",
        wording.NOTHING: "--",
        **{letter: f"${letter}$" for letter in "<>"},
        **{sign: f"${text}$" for sign, text in LATEX_SIGNS.items()},
    }
)
SETUP = ("dataset", "encoder", "backbone_entry")
PAIR = ("refinement_a", "refinement_b")
HEADS = ("slice", "metric", "users", "a", "b", "a - b", "change", "interval", "p")
COMPARED = (
    "Paired differences over test users. Intervals are bootstrap intervals over users; p is "
    "corrected after Holm over all rows of this table."
)
FIT = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"


def escape(text: str) -> str:
    """Text as LaTeX sets it, no character taken for a command."""
    return text.translate(ESCAPES)


def results_latex(sheets: list[Sheet], alpha: float) -> str:
    """Each sheet as a table environment."""
    head = "% needs \\usepackage{booktabs,graphicx}\n"
    return head + "\n".join(_sheet(sheet, alpha) for sheet in sheets)


def comparisons_latex(comparisons: pl.DataFrame) -> str:
    """Every row of the table ``comparisons``, under its setup and its pair."""
    lines = [
        "% needs \\usepackage{booktabs,longtable}",
        r"{\scriptsize\setlength{\tabcolsep}{2pt}",
        rf"\begin{{longtable}}{{ll{'r' * (len(HEADS) - 2)}}}",
        rf"\caption{{{escape(COMPARED)}}}\\",
        r"\toprule",
        " & ".join(map(_number, HEADS)) + r" \\",
        r"\endhead",
    ]
    keys = [*SETUP, *PAIR, "n_seeds"]
    for (*setup, a, b, n_seeds), rows in comparisons.group_by(keys, maintain_order=True):
        pair = f"{a} (a) against {b} (b), {wording.plural(n_seeds, 'seed')}"
        title = escape(f"{' · '.join(setup)}: {pair}")
        span = rf"\multicolumn{{{len(HEADS)}}}{{l}}"
        lines += [r"\midrule", rf"{span}{{\emph{{{title}}}}} \\*"]
        lines += [" & ".join(cells) + r" \\" for cells in map(_compared, rows.to_dicts())]
    return "\n".join([*lines, r"\bottomrule", r"\end{longtable}}"]) + "\n"


def _compared(row: dict) -> list[str]:
    values = (
        *(f"{row['mean_a']:.4f}", f"{row['mean_b']:.4f}", f"{row['difference']:+.4f}"),
        wording.change(row["relative"]) or wording.NOTHING,
        f"[{row['low']:+.4f}, {row['high']:+.4f}]",
        wording.p_value(row["p_holm"]),
    )
    names = (row["slice"].replace("_", " "), metric_name(row["metric"], row["cutoff"]))
    return [*map(escape, names), str(row["n_users"]), *map(_number, values)]


def _number(text: str) -> str:
    """Text with each hyphen as a minus sign."""
    return escape(text.replace("-", "\N{MINUS SIGN}"))


def _latex(entry: Entry | None) -> str:
    if entry is None:
        return "--"
    marks = {"best": r"\textbf{{{}}}", "second": r"\underline{{{}}}", "": "{}"}
    spread = "" if entry.deviation is None else rf" {{\scriptsize $\pm$ {entry.deviation:.4f}}}"
    signs = "".join(LATEX_SIGNS[sign] for sign in entry.signs)
    return (
        marks[entry.place].format(f"{entry.mean:.4f}") + (f"$^{{{signs}}}$" * bool(signs)) + spread
    )


def _sheet(sheet: Sheet, alpha: float) -> str:
    datasets = list(dict.fromkeys(dataset for dataset, _, _ in sheet.columns))
    per_dataset = len(sheet.columns) // len(datasets)
    groups = [rf"\multicolumn{{{per_dataset}}}{{c}}{{{escape(d)}}}" for d in datasets]
    starts = [2 + place * per_dataset for place in range(len(datasets))]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{Encoder {escape(sheet.encoder)}. {escape(LEGEND.format(alpha=alpha))}}}",
        FIT,
        rf"\begin{{tabular}}{{l{'r' * len(sheet.columns)}}}",
        r"\toprule",
        " & ".join(["", *groups]) + r" \\",
        " ".join(rf"\cmidrule(lr){{{start}-{start + per_dataset - 1}}}" for start in starts),
        " & ".join(["method", *(metric_name(m, k) for _, m, k in sheet.columns)]) + r" \\",
    ]
    for block in sheet.blocks:
        width = 1 + len(sheet.columns)
        lines += [
            r"\midrule",
            rf"\multicolumn{{{width}}}{{l}}{{\emph{{{escape(block.title)}}}}} \\",
        ]
        lines += [
            " & ".join([escape(label), *map(_latex, entries)]) + r" \\"
            for label, entries in block.rows
        ]
    notes = [rf"\par\footnotesize [{i}] {escape(s)}" for i, s in enumerate(sheet.sources, 1)]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}}", *notes, r"\end{table}"]) + "\n"
