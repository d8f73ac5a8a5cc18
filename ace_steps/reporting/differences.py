"""The report's section on comparisons: which differences are more than chance, in words."""

import polars as pl

from ace_steps.reporting import wording
from ace_steps.reporting.artifacts import Artifacts
from ace_steps.reporting.page import Block, Cell, Column, Section, Table, Text

SETUP = ("dataset", "encoder", "backbone_entry")
PAIR = ("refinement_a", "refinement_b")
NO_BREAK = "\N{NO-BREAK SPACE}"
NOTHING_SHOWN = "no significant difference"
FOLDED_FROM = 13  # rows of a table that a reader unfolds first


def difference_section(artifacts: Artifacts) -> Section:
    """A sentence for each pair of refinements, and a table of every comparison on all targets."""
    title, anchor = "Differences and chance", "differences"
    compared, statistics = artifacts.comparisons, artifacts.config["statistics"]
    if not len(compared):
        text = "No comparison was found: small differences between rows of a table may be chance."
        return Section(title, anchor, (Text(text),))
    whole = compared.filter(pl.col("slice") == "all")
    intro = (
        "Differences are paired: the same test user under both refinements, each averaged over "
        f"the seeds. p is corrected after Holm over the {wording.number(len(compared))} "
        f"comparisons made; below {statistics['alpha']:g} a difference is called significant, "
        f"otherwise nothing is claimed. Intervals are {wording.share(statistics['confidence'])} "
        "bootstrap intervals over users; test scores were looked at after every choice was made."
    )
    blocks: list[Block] = [Text(intro)]
    for pair in whole.select(PAIR).unique(maintain_order=True).rows():
        is_pair = (pl.col(PAIR[0]) == pair[0]) & (pl.col(PAIR[1]) == pair[1])
        blocks.append(Text(sentence(whole.filter(is_pair), statistics["alpha"])))
    blocks.append(_table(artifacts, whole))
    return Section(title, anchor, tuple(blocks))


def sentence(rows: pl.DataFrame, alpha: float) -> str:
    """What one pair of refinements came to, over all setups and metrics.

    Args:
        rows: Rows of ``comparisons`` of one pair, on one slice.
        alpha: Corrected p below which a difference is significant.
    """
    a, b = rows.select(PAIR).row(0)
    said = []
    for metric, cutoff in rows.select("metric", "cutoff").unique(maintain_order=True).rows():
        mine = rows.filter((pl.col("metric") == metric) & (pl.col("cutoff") == cutoff))
        tell = _of_one if len(mine) == 1 else _of_many
        said.append(f"{wording.metric(metric, cutoff)} {tell(mine, alpha)}")
    return f"{a} against {b}: {'; '.join(said)}."


def verdict(row: dict, alpha: float) -> str:
    """Better, worse or no significant difference, for the first of a pair."""
    if not row["p_holm"] < alpha:
        return NOTHING_SHOWN
    return "better" if row["difference"] > 0 else "worse"


def _of_one(rows: pl.DataFrame, alpha: float) -> str:
    row = rows.row(0, named=True)
    size = ", ".join(filter(None, map(str, _size(row))))
    interval = f"interval {wording.signed(row['low'])} to {wording.signed(row['high'])}"
    p = wording.p_value(row["p_holm"])
    told = f"p {p}" if p[0] == "<" else f"p = {p}"
    return f"{verdict(row, alpha)} ({size}; {interval}; {told.replace(' ', NO_BREAK)})"


def _size(row: dict) -> tuple[str, str]:
    return wording.signed(row["difference"]), wording.change(row["relative"])


def _of_many(rows: pl.DataFrame, alpha: float) -> str:
    found = [verdict(row, alpha) for row in rows.to_dicts()]
    middle = wording.change(rows["relative"].drop_nans().median()) or wording.NOTHING
    return (
        f"better in {found.count('better')} of {len(found)} setups, worse in "
        f"{found.count('worse')}, {NOTHING_SHOWN} in {found.count(NOTHING_SHOWN)} "
        f"(median change {middle})"
    )


def _table(artifacts: Artifacts, rows: pl.DataFrame) -> Table:
    has_setups = rows.select(SETUP).n_unique() > 1
    words = (["setup"] if has_setups else []) + ["refinement", "against", "metric"]
    numbers = ["mean", "the other's", "difference", "change", "low", "high", "p", "p after Holm"]
    columns = (
        *(Column(word, is_number=False) for word in words),
        *map(Column, [*numbers, "p over seeds"]),
        Column("verdict", is_number=False),
    )
    alpha = artifacts.config["statistics"]["alpha"]
    made = tuple(_row(row, alpha, has_setups=has_setups) for row in rows.to_dicts())
    caption = (
        "Every comparison on all test targets; those on slices are in the file. Low and high: the "
        "ends of the interval of the difference. p over seeds: t-test of the seeds' differences, "
        f"not corrected. Verdict {wording.NOTHING}: {NOTHING_SHOWN}."
    )
    source = f"{artifacts.folder}/report/comparisons.parquet"
    return Table(caption, columns, made, source, is_folded=len(made) >= FOLDED_FROM)


def _row(row: dict, alpha: float, *, has_setups: bool) -> tuple[Cell, ...]:
    setup = " · ".join(row[key] for key in SETUP)
    name = wording.metric(row["metric"], row["cutoff"])
    change = wording.change(row["relative"])
    said = verdict(row, alpha)
    short = wording.NOTHING if said == NOTHING_SHOWN else said
    return (
        *([Cell(setup, setup)] if has_setups else []),
        *(Cell(row[key], row[key]) for key in PAIR),
        Cell(name, name),
        *(Cell(wording.score(row[key]), row[key]) for key in ("mean_a", "mean_b")),
        Cell(wording.signed(row["difference"]), row["difference"]),
        Cell(change, row["relative"]) if change else Cell(wording.NOTHING),
        *(Cell(wording.signed(row[key]), row[key]) for key in ("low", "high")),
        *(_p_cell(row[key]) for key in ("p", "p_holm", "p_seeds")),
        Cell(short, said),
    )


def _p_cell(value: float) -> Cell:
    text = wording.p_value(value)
    return Cell(text, None if text == wording.NOTHING else value)
