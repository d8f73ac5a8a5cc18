"""Result tables as Markdown; ``tables_latex`` has them for a paper."""

import polars as pl

from ace_steps.reporting.tables import ABOVE_BEST, ABOVE_RANDOM, BELOW, Entry, Sheet
from ace_steps.reporting.wording import NOTHING

LEGEND = (
    "Test targets, mean over seeds ± sample deviation; best of a backbone bold, second underlined. "
    f"{ABOVE_RANDOM} better than random, {ABOVE_BEST} better than the best baseline by validation, "
    f"{BELOW} worse, at a corrected p below {{alpha}}."
)
COMPARED = ("dataset", "encoder", "backbone_entry", "refinement_a", "refinement_b", "slice")
HEADS = ("metric", "users", "seeds", "a", "b", "a - b", "change", "interval", "p", "p (Holm)")


def results_markdown(sheets: list[Sheet], alpha: float) -> str:
    """All sheets, one below the other."""
    parts = ["# Results\n", LEGEND.format(alpha=alpha) + "\n"]
    for sheet in sheets:
        heads = ["backbone", "method", *(f"{d} {metric_name(m, k)}" for d, m, k in sheet.columns)]
        rows = [
            [block.title, label, *(_markdown(entry) for entry in entries)]
            for block in sheet.blocks
            for label, entries in block.rows
        ]
        notes = [f"[{place}] {source}\n" for place, source in enumerate(sheet.sources, 1)]
        parts += [f"## Encoder {sheet.encoder}\n", _pipe_table(heads, rows), *notes]
    return "\n".join(parts)


def comparisons_markdown(comparisons: pl.DataFrame) -> str:
    """Every row of the table ``comparisons``."""
    table = _pipe_table([*COMPARED, *HEADS], _compared(comparisons))
    return f"# Comparisons\n\nAll rows are one family of Holm's correction.\n\n{table}"


def metric_name(metric: str, cutoff: int) -> str:
    """``R@20``: a metric as short as a table's head has to be."""
    return f"{ {'recall': 'R', 'ndcg': 'N', 'mrr': 'MRR'}[metric] }@{cutoff}"


def _markdown(entry: Entry | None) -> str:
    if entry is None:
        return NOTHING
    marks = {"best": "**{}**", "second": "<u>{}</u>", "": "{}"}
    spread = "" if entry.deviation is None else f" ± {entry.deviation:.4f}"
    signs = entry.signs.replace(ABOVE_RANDOM, "\\*")
    return marks[entry.place].format(f"{entry.mean:.4f}") + signs + spread


def _compared(comparisons: pl.DataFrame) -> list[list[str]]:
    return [
        [
            *(row[name] for name in COMPARED),
            metric_name(row["metric"], row["cutoff"]),
            *(str(row["n_users"]), str(row["n_seeds"])),
            *(f"{row['mean_a']:.4f}", f"{row['mean_b']:.4f}", f"{row['difference']:+.4f}"),
            NOTHING if row["relative"] != row["relative"] else f"{100 * row['relative']:+.1f} %",
            f"[{row['low']:+.4f}, {row['high']:+.4f}]",
            *(f"{row['p']:.2g}", f"{row['p_holm']:.2g}"),
        ]
        for row in comparisons.to_dicts()
    ]


def _pipe_table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
