"""Tables of metrics, the best and second marked, and the chapter on the result."""

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from ace_steps.evaluation.results import relative, seed_means
from ace_steps.reporting import formatting
from ace_steps.reporting.artifacts import Artifacts
from ace_steps.reporting.page import Block, Section, Table, TableCell, Text

METRICS = ("recall", "ndcg", "mrr")
HEADLINE = (("recall", 10), ("recall", 20), ("ndcg", 10), ("ndcg", 20))
SETUP = ("dataset", "encoder", "backbone_entry")  # what a table of scores is about
NOT_SIGNIFICANT = "no significant difference"


@dataclass(frozen=True)
class Setup:
    """A dataset, an encoder and a backbone entry: the refinements compared on equal terms.

    Attributes:
        dataset, encoder, backbone_entry: Names in the configuration.
        points: One row per grid point in the configuration's order, with ``is_chosen``.
        means: ``seed_means`` of these grid points.
        first: The same of the first seed alone, which every grid point has run on.
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
    def names(self) -> dict[str, str]:
        """What tables are filtered by."""
        return {key: getattr(self, key) for key in SETUP}

    @property
    def title(self) -> str:
        """The setup in one line."""
        return " · ".join(self.names.values())

    @property
    def path(self) -> str:
        """The setup as a path, of figures and in anchors."""
        return "/".join(self.names.values())

    def anchor(self, prefix: str) -> str:
        """An anchor of this setup in the page."""
        return f"{prefix}-{self.path.replace('/', '-')}"

    @property
    def chosen(self) -> pl.DataFrame:
        """The chosen grid point of each refinement entry."""
        return self.points.filter("is_chosen")

    def scores(self, points: pl.DataFrame, split: str, metric: str, cutoff: int) -> pl.DataFrame:
        """mean, deviation and n_seeds of one metric, a row for each of ``points``."""
        keys = ["refinement", "backbone"]
        means = self.means.filter(split=split, metric=metric, cutoff=cutoff)
        means = means.select(*keys, "mean", "deviation", "n_seeds")
        return points.select(keys).join(means, on=keys, how="left", maintain_order="left")

    def baseline_score(self, split: str, metric: str, cutoff: int) -> float | None:
        """The chosen baseline's mean; None if no baseline is run."""
        point = self.chosen.filter(refinement_entry=self.baseline)
        return next(iter(self.scores(point, split, metric, cutoff)["mean"]), None)


def selection_metric(config: dict) -> tuple[str, int]:
    """The metric that chooses and its cutoff."""
    return config["selection"]["metric"], config["selection"]["cutoff"]


def setups(runs: pl.DataFrame, metrics: pl.DataFrame, config: dict) -> list[Setup]:
    """Every setup of a configuration, in its order; ``runs`` with ``order``."""
    means = seed_means(metrics, runs)
    first = seed_means(metrics, runs.filter(seed=config["seeds"][0]))
    methods = {name: entry["method"] for name, entry in config["refinements"].items()}
    baseline = next((name for name, method in methods.items() if method == "random"), "")
    is_point = [*SETUP, "refinement_entry", "refinement", "backbone"]
    points = runs.unique(is_point, keep="first", maintain_order=True)
    result = []
    for names in points.select(SETUP).unique(maintain_order=True).iter_rows(named=True):
        tables = [table.filter(**names) for table in (points, means, first)]
        has_baseline = baseline in tables[0]["refinement_entry"]
        result.append(Setup(*names.values(), *tables, baseline if has_baseline else ""))
    return result


def result_section(artifacts: Artifacts, setups: list[Setup]) -> Section:
    """What the tests support, then the main table of each setup; of several a part each."""
    remark = "One seed: how much the scores vary from training to training is not known."
    remarks = [Text(remark)] if len(artifacts.config["seeds"]) == 1 else []
    if len(setups) == 1:
        return Section("Result", "result", (*_result_blocks(artifacts, setups[0]), *remarks))
    parts = (
        Section(setup.title, setup.anchor("result"), tuple(_result_blocks(artifacts, setup)))
        for setup in setups
    )
    verdicts = [preferred_verdict(artifacts, setup) for setup in setups]
    kinds = {kind: verdicts.count(kind) for kind in dict.fromkeys(verdicts)}
    counts = "; ".join(f"{kind} in {count}" for kind, count in kinds.items())
    summary = f"Of {len(setups)} setups, the refinement that validation prefers {counts}."
    return Section("Result", "result", (Text(summary), *remarks), tuple(parts))


def preferred(setup: Setup, config: dict) -> tuple[dict, float]:
    """The chosen grid point with the best selection metric on validation, and that score."""
    scores = setup.scores(setup.chosen, "valid", *selection_metric(config))["mean"]
    best = scores.arg_max()
    return setup.chosen.row(best, named=True), scores[best]


def preferred_verdict(artifacts: Artifacts, setup: Setup) -> str:
    """What the tests say of the preferred refinement against the baseline, as a predicate."""
    entry = preferred(setup, artifacts.config)[0]["refinement_entry"]
    if entry == setup.baseline:
        return "is the baseline itself"
    compared = artifacts.comparisons.filter(
        **setup.names, refinement_a=entry, refinement_b=setup.baseline, slice="all"
    )
    alpha = artifacts.config["statistics"]["alpha"]
    of_metric = {
        formatting.metric(row["metric"], row["cutoff"]): verdict(row, alpha)
        for row in compared.to_dicts()
    }
    baseline = formatting.entry(setup.baseline) or "a baseline"
    kinds = set(of_metric.values())
    if not kinds:
        return f"was not tested against {baseline}"
    if kinds == {NOT_SIGNIFICANT}:
        return f"shows {NOT_SIGNIFICANT} from {baseline} on test"
    if len(kinds) == 1:
        return f"is significantly {kinds.pop()} than {baseline} on test"
    each = ", ".join(f"{metric} {kind}" for metric, kind in of_metric.items())
    return f"differs from {baseline} on test by metric ({each})"


def verdict(row: dict, alpha: float) -> str:
    """Better, worse or no significant difference, for the first of a pair."""
    if not row["p_holm"] < alpha:
        return NOT_SIGNIFICANT
    return "better" if row["difference"] > 0 else "worse"


def _result_blocks(artifacts: Artifacts, setup: Setup) -> list[Block]:
    chosen_by = selection_metric(artifacts.config)
    point, score = preferred(setup, artifacts.config)
    name = formatting.grid_point(point["refinement_entry"], point["refinement_point"])
    metric = formatting.metric(*chosen_by)
    row = setup.chosen.filter(refinement=point["refinement"])
    reached = []
    for pair in (("recall", 20), ("ndcg", 20)):
        value = setup.scores(row, "test", *pair)["mean"][0]
        change = formatting.change(relative(value, setup.baseline_score("test", *pair)))
        has_change = change and point["refinement_entry"] != setup.baseline
        note = f" ({change} against {formatting.entry(setup.baseline)})" * bool(has_change)
        reached.append(f"{formatting.metric(*pair)} {formatting.score(value)}{note}")
    text = (
        f"On {setup.title}, validation prefers {name} ({metric} {formatting.score(score)} on "
        f"validation), which {preferred_verdict(artifacts, setup)}. On test it reaches "
        f"{' and '.join(reached)}."
    )
    caption = (
        "The chosen grid points on the targets they were chosen by (valid) and on the test "
        f"targets, {setup.title}. Best of a column bold, second underlined{notes_caption(setup)}."
    )
    columns = [("valid", *chosen_by), *(("test", *pair) for pair in HEADLINE)]
    source = f"{artifacts.folder}/report/metrics.parquet"
    table = score_table(setup, setup.chosen, columns, caption=caption, source=source)
    return [Text(text), table]


def score_table(
    setup: Setup,
    points: pl.DataFrame,
    columns: Iterable[tuple[str, str, int]],
    *,
    caption: str,
    source: str,
    is_folded: bool = False,
    marks_chosen: bool = False,
) -> Table:
    """A row for each grid point, a column for each (split, metric, cutoff).

    ``points`` are rows of ``setup.points``; heads name the split where there are both;
    ``marks_chosen`` marks the rows of chosen grid points.
    """
    columns = list(columns)
    has_splits = len({split for split, *_ in columns}) > 1
    heads = [
        f"{split} " * has_splits + formatting.metric(metric, cutoff)
        for split, metric, cutoff in columns
    ]
    has_backbones = setup.points["backbone_point"].n_unique() > 1
    scores = [_score_cells(setup, points, column) for column in columns]
    rows = []
    for point, *cells in zip(points.to_dicts(), *scores, strict=True):
        mark = "chosen" if marks_chosen and point["is_chosen"] else ""
        name = formatting.grid_point(point["refinement_entry"], point["refinement_point"])
        backbone = [TableCell(formatting.values(point["backbone_point"]))] * has_backbones
        rows.append((TableCell(name, name, mark), *backbone, *cells))
    heads = ("refinement", *["backbone"] * has_backbones, *heads)
    return Table(caption, heads, tuple(rows), source, is_folded=is_folded)


def name_cell(point: dict) -> TableCell:
    """The cell that names a refinement's grid point."""
    return TableCell(formatting.grid_point(point["refinement_entry"], point["refinement_point"]))


def notes_caption(setup: Setup) -> str:
    """The words of a caption that explain what stands in small type beside a score."""
    has_spread = setup.means["deviation"].is_not_null().any()
    parts = ["± the sample standard deviation over seeds"] if has_spread else []
    parts += [f"the change against {formatting.entry(setup.baseline)}"] if setup.baseline else []
    return f"; in small type {', '.join(parts)}" if parts else ""


def _score_cells(
    setup: Setup, points: pl.DataFrame, column: tuple[str, str, int]
) -> list[TableCell]:
    """One column; best and second by what is printed, so that equal print is equal marking."""
    baseline = setup.baseline_score(*column)
    scores = setup.scores(points, *column)
    printed = sorted({formatting.score(mean) for mean in scores["mean"].drop_nulls()})[::-1]
    marks = dict(zip(printed, ("best", "second"), strict=False)) if len(printed) > 1 else {}
    cells = []
    rows = zip(scores["mean"], scores["deviation"], points["refinement_entry"], strict=True)
    for mean, deviation, entry in rows:
        change = None if entry == setup.baseline else relative(mean, baseline)
        spread = "" if deviation is None else f"± {deviation:.4f}"
        note = ", ".join(filter(None, (spread, formatting.change(change))))
        text = formatting.score(mean)
        cells.append(TableCell(text, mean, marks.get(text, ""), note))
    return cells
