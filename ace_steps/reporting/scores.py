"""Tables of metrics: best and second marked, changes against the baseline beside them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import polars as pl

from ace_steps.evaluation.results import relative, seed_means
from ace_steps.reporting import wording
from ace_steps.reporting.page import Cell, Column, Table

METRICS = ("recall", "ndcg", "mrr")
HEADLINE = (("recall", 10), ("recall", 20), ("ndcg", 10), ("ndcg", 20))
SETUP = ("dataset", "encoder", "backbone_entry")  # what a table of scores is about


@dataclass(frozen=True)
class Setup:
    """A dataset, an encoder and a backbone entry: the refinements compared on equal terms.

    Attributes:
        dataset, encoder, backbone_entry: Names in the configuration.
        points: One row per point in the configuration's order, with ``is_chosen``.
        means: ``seed_means`` of these points.
        first: The same of the first seed alone, which every point of a grid has run on.
        baseline: Entry of the refinement that knows nothing of the encoder; empty if none is there.
    """

    dataset: str
    encoder: str
    backbone_entry: str
    points: pl.DataFrame
    means: pl.DataFrame
    first: pl.DataFrame
    baseline: str

    @property
    def title(self) -> str:
        """The setup in one line."""
        return " · ".join((self.dataset, self.encoder, self.backbone_entry))

    @property
    def chosen(self) -> pl.DataFrame:
        """The chosen point of each refinement entry."""
        return self.points.filter("is_chosen")

    def scores(self, points: pl.DataFrame, split: str, metric: str, cutoff: int) -> pl.DataFrame:
        """mean, deviation and n_seeds of one metric, a row for each of ``points``."""
        is_wanted = (
            (pl.col("split") == split) & (pl.col("metric") == metric) & (pl.col("cutoff") == cutoff)
        )
        keys = ["refinement", "backbone"]
        wanted = self.means.filter(is_wanted).select(*keys, "mean", "deviation", "n_seeds")
        return points.select(keys).join(wanted, on=keys, how="left", maintain_order="left")


def setups(runs: pl.DataFrame, metrics: pl.DataFrame, config: dict) -> list[Setup]:
    """Every setup of a configuration, in its order.

    Args:
        runs: The table ``runs`` with ``order``.
        metrics: The table ``metrics``.
        config: The checked configuration.
    """
    means = seed_means(metrics, runs)
    first = seed_means(metrics, runs.filter(pl.col("seed") == config["seeds"][0]))
    methods = {name: entry["method"] for name, entry in config["refinements"].items()}
    baseline = next((name for name, method in methods.items() if method == "random"), "")
    is_point = [*SETUP, "refinement_entry", "refinement", "backbone"]
    points = runs.unique(is_point, keep="first", maintain_order=True)
    found = []
    for names in points.select(SETUP).unique(maintain_order=True).iter_rows():
        is_mine = pl.all_horizontal(
            pl.col(key) == name for key, name in zip(SETUP, names, strict=True)
        )
        tables = [table.filter(is_mine) for table in (points, means, first)]
        has_baseline = baseline in tables[0]["refinement_entry"]
        found.append(Setup(*names, *tables, baseline if has_baseline else ""))
    return found


def score_table(
    setup: Setup,
    points: pl.DataFrame,
    columns: Iterable[tuple[str, str, int]],
    *,
    caption: str,
    source: str,
    is_folded: bool = False,
) -> Table:
    """A row for each point, a column for each (split, metric, cutoff).

    Args:
        setup: Where the points' scores are.
        points: Rows of ``setup.points``.
        columns: What to show.
        caption: What the table shows.
        source: The file it is made from.
        is_folded: Whether a reader unfolds it first.
    """
    wanted = list(columns)
    has_points = setup.points["backbone_point"].n_unique() > 1
    heads = [Column("refinement", is_number=False)]
    heads += [Column("backbone", is_number=False)] * has_points
    heads += [Column(_head(*column, wanted)) for column in wanted]
    names = [name_cell(row) for row in points.to_dicts()]
    backbones = [Cell(wording.values(text), text) for text in points["backbone_point"]]
    scores = [_score_cells(setup, points, column) for column in wanted]
    parts = [names, *([backbones] if has_points else []), *scores]
    rows = tuple(zip(*parts, strict=True))
    return Table(caption, tuple(heads), rows, source, is_folded=is_folded)


def name_cell(point: dict) -> Cell:
    """The cell that names a refinement's point."""
    label = wording.point(point["refinement_entry"], point["refinement_point"])
    return Cell(label, label)


def mark_chosen(table: Table, is_chosen: Iterable[bool]) -> Table:
    """The table with the rows of chosen points marked in their first column."""
    rows = zip(table.rows, is_chosen, strict=True)
    marked = tuple(
        (replace(first, mark="chosen"), *rest) if mark else (first, *rest)
        for (first, *rest), mark in rows
    )
    return replace(table, rows=marked)


def baseline_score(setup: Setup, split: str, metric: str, cutoff: int) -> float | None:
    """The chosen baseline's mean; None if no baseline is run."""
    points = setup.chosen.filter(pl.col("refinement_entry") == setup.baseline)
    means = setup.scores(points, split, metric, cutoff)["mean"]
    return means[0] if len(means) else None


def against(setup: Setup) -> str:
    """The words of a caption that explain what stands in small type beside a score."""
    has_spread = setup.means["deviation"].is_not_null().any()
    parts = ["± the sample deviation over seeds"] if has_spread else []
    parts += [f"the change against {setup.baseline}"] if setup.baseline else []
    return f"; in small type {', '.join(parts)}" if parts else ""


def _head(split: str, metric: str, cutoff: int, wanted: list[tuple[str, str, int]]) -> str:
    """A column's head; it names the split where the table shows both."""
    name = wording.metric(metric, cutoff)
    return f"{split} {name}" if len({column[0] for column in wanted}) > 1 else name


def _score_cells(setup: Setup, points: pl.DataFrame, column: tuple[str, str, int]) -> list[Cell]:
    baseline = baseline_score(setup, *column)
    scores = setup.scores(points, *column)
    marks = _marks(scores["mean"].to_list())
    is_baseline = (points["refinement_entry"] == setup.baseline).to_list()
    cells = []
    rows = zip(scores["mean"], scores["deviation"], marks, is_baseline, strict=True)
    for mean, deviation, mark, is_reference in rows:
        change = None if is_reference else relative(mean, baseline)
        spread = "" if deviation is None else f"± {deviation:.4f}"
        note = ", ".join(part for part in (spread, wording.change(change)) if part)
        cells.append(Cell(wording.score(mean), mean, mark, note))
    return cells


def _marks(values: list[float | None]) -> list[str]:
    """best and second by what is printed, so that equal print is equal marking."""
    printed = [None if value is None else wording.score(value) for value in values]
    places = sorted({text for text in printed if text is not None}, reverse=True)
    if len(places) < 2:
        return [""] * len(values)
    names = {places[0]: "best", places[1]: "second"}
    return [names.get(text, "") for text in printed]
