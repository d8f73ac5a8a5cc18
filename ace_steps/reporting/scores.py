"""Tables of metrics, the best and second marked, and the chapter on the result."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

import polars as pl

from ace_steps.evaluation.comparisons import SETUP
from ace_steps.evaluation.results import relative, seed_means
from ace_steps.reporting import formatting
from ace_steps.reporting.artifacts import Artifacts
from ace_steps.reporting.page import Block, Cell, Section, Table, Text, cell

METRICS = ("recall", "ndcg", "mrr")
HEADLINE = (("recall", 10), ("recall", 20), ("ndcg", 10), ("ndcg", 20))
NOT_SIGNIFICANT = "no significant difference"


@dataclass(frozen=True)
class Setup:
    """A dataset, an encoder and a backbone entry: the refinements compared on equal terms.

    Attributes:
        dataset, encoder, backbone_entry: Names in the configuration.
        points: One row per grid point in the configuration's order, with ``is_chosen``.
        means: ``seed_means`` of these.
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
    section = Section("Result", "result")
    if len(setups) == 1:
        section.blocks += _result_blocks(artifacts, setups[0])
    else:
        verdicts = [preferred_verdict(artifacts, setup) for setup in setups]
        counts = "; ".join(f"{kind} in {n}" for kind, n in Counter(verdicts).items())
        summary = f"Of {len(setups)} setups, the refinement that validation prefers {counts}."
        section.blocks.append(Text(summary))
        section.parts = [
            Section(setup.title, setup.anchor("result"), _result_blocks(artifacts, setup))
            for setup in setups
        ]
    if len(artifacts.config["seeds"]) == 1:
        remark = "One seed: how much the scores vary from training to training is not known."
        section.blocks.append(Text(remark))
    return section


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
    by_metric = {
        formatting.metric(row["metric"], row["cutoff"]): row["verdict"]
        for row in with_verdict(compared, artifacts.config).to_dicts()
    }
    baseline = formatting.entry(setup.baseline) or "a baseline"
    kinds = set(by_metric.values())
    if not kinds:
        return f"was not tested against {baseline}"
    if kinds == {NOT_SIGNIFICANT}:
        return f"shows {NOT_SIGNIFICANT} from {baseline} on test"
    if len(kinds) == 1:
        return f"is significantly {kinds.pop()} than {baseline} on test"
    each = ", ".join(f"{metric} {kind}" for metric, kind in by_metric.items())
    return f"differs from {baseline} on test by metric ({each})"


def with_verdict(comparisons: pl.DataFrame, config: dict) -> pl.DataFrame:
    """The comparisons with the column verdict, of a against b: better, worse, or neither."""
    direction = pl.when(pl.col("difference") > 0).then(pl.lit("better")).otherwise(pl.lit("worse"))
    is_significant = pl.col("p_holm") < config["statistics"]["alpha"]
    verdict = pl.when(is_significant).then(direction).otherwise(pl.lit(NOT_SIGNIFICANT))
    return comparisons.with_columns(verdict=verdict)


def _result_blocks(artifacts: Artifacts, setup: Setup) -> list[Block]:
    selection = selection_metric(artifacts.config)
    point, score = preferred(setup, artifacts.config)
    reached = []
    for pair in (("recall", 20), ("ndcg", 20)):
        row = setup.chosen.filter(refinement=point["refinement"])
        value = setup.scores(row, "test", *pair)["mean"][0]
        text = f"{formatting.metric(*pair)} {formatting.score(value)}"
        change = formatting.change(relative(value, setup.baseline_score("test", *pair)))
        if change and point["refinement_entry"] != setup.baseline:
            text += f" ({change} against {formatting.entry(setup.baseline)})"
        reached.append(text)
    text = (
        f"On {setup.title}, validation prefers {point_name(point)} "
        f"({formatting.metric(*selection)} {formatting.score(score)} on validation), which "
        f"{preferred_verdict(artifacts, setup)}. On test it reaches {' and '.join(reached)}."
    )
    table = score_table(
        setup,
        setup.chosen,
        [("valid", *selection), *(("test", *pair) for pair in HEADLINE)],
        caption="The chosen grid points on the targets they were chosen by (valid) and on the "
        f"test targets, {setup.title}. Best of a column bold, second underlined"
        f"{notes_caption(setup)}.",
        source=f"{artifacts.folder}/report/metrics.parquet",
    )
    return [Text(text), table]


def score_table(
    setup: Setup,
    points: pl.DataFrame,
    columns: list[tuple[str, str, int]],
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
    has_splits = len({split for split, *_ in columns}) > 1
    has_backbones = setup.points["backbone_point"].n_unique() > 1
    heads = ["refinement", *["backbone"] * has_backbones]
    for split, *pair in columns:
        heads.append(f"{split} " * has_splits + formatting.metric(*pair))
    scores = [_score_cells(setup, points, column) for column in columns]
    rows = []
    for point, *cells in zip(points.to_dicts(), *scores, strict=True):
        mark = "chosen" if marks_chosen and point["is_chosen"] else ""
        name = point_name(point)
        names: list[Cell | str] = [Cell(name, name, mark)]
        if has_backbones:
            names.append(formatting.values(point["backbone_point"]))
        rows.append([*names, *cells])
    return Table(caption, heads, rows, source, is_folded)


def point_name(point: dict) -> str:
    """A refinement's grid point as it is shown."""
    return formatting.grid_point(point["refinement_entry"], point["refinement_point"])


def notes_caption(setup: Setup) -> str:
    """The words of a caption that explain what stands in small type beside a score."""
    parts = []
    if setup.means["deviation"].is_not_null().any():
        parts.append("± the sample standard deviation over seeds")
    if setup.baseline:
        parts.append(f"the change against {formatting.entry(setup.baseline)}")
    return f"; in small type {', '.join(parts)}" if parts else ""


def best_and_second(scores: Iterable[float | None]) -> dict[str, str]:
    """Marks by what is printed, so that equal print is equal marking; {} where all is equal."""
    printed = {formatting.score(score) for score in scores if score is not None}
    ordered = sorted(printed, reverse=True)
    return dict(zip(ordered, ("best", "second"), strict=False)) if len(ordered) > 1 else {}


def _score_cells(setup: Setup, points: pl.DataFrame, column: tuple[str, str, int]) -> list[Cell]:
    baseline = setup.baseline_score(*column)
    scores = setup.scores(points, *column)
    marks = best_and_second(scores["mean"])
    cells = []
    rows = zip(scores["mean"], scores["deviation"], points["refinement_entry"], strict=True)
    for mean, deviation, entry in rows:
        change = None if entry == setup.baseline else relative(mean, baseline)
        spread = "" if deviation is None else f"± {deviation:.4f}"
        shown = cell(mean, formatting.score)
        note = ", ".join(filter(None, (spread, formatting.change(change))))
        cells.append(replace(shown, mark=marks.get(shown.text, ""), note=note))
    return cells
