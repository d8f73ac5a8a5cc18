"""The report's part on slices of the test targets: what each refinement gains on which."""

import polars as pl
from matplotlib.axes import Axes

from ace_steps.evaluation.results import relative
from ace_steps.io.tables import RUN
from ace_steps.reporting import wording
from ace_steps.reporting.artifacts import Artifacts
from ace_steps.reporting.page import Block, Cell, Column, Figure, Table
from ace_steps.reporting.scores import Setup, name_cell
from ace_steps.reporting.svg import MUTED, PANEL_INCHES, Drawing, Style, figure_of

DRAWN = (("recall", 20), ("ndcg", 20))
NAMES = {
    "all": "all targets",
    "head_items": "head items",
    "tail_items": "tail items",
    "short_histories": "short histories",
    "long_histories": "long histories",
    "few_train_events": "few training events",
}
INTERVAL = ("low", "high")


def slice_blocks(artifacts: Artifacts, setup: Setup, looks: dict[str, Style]) -> list[Block]:
    """Gains over the baseline by slice as a figure, the scores as a table; [] without slices."""
    scores = slice_scores(artifacts.metrics, artifacts.runs, setup)
    if scores["slice"].n_unique() < 2:
        return []
    gains = slice_gains(scores, artifacts.comparisons, setup)
    figure = [_figure(artifacts, setup, gains, looks)] if len(gains) else []
    return [*figure, _table(artifacts, setup, scores)]


def slice_scores(metrics: pl.DataFrame, runs: pl.DataFrame, setup: Setup) -> pl.DataFrame:
    """Test scores of the chosen points on every slice, means over the seeds.

    Args:
        metrics: The table ``metrics``.
        runs: The table ``runs``.
        setup: Whose points.

    Returns:
        refinement_entry, refinement, slice, metric, cutoff, mean, n_targets: entries in the
        configuration's order, slices in the order of ``NAMES``.
    """
    chosen = runs.join(setup.chosen.select("refinement", "backbone"), on=["refinement", "backbone"])
    chosen = chosen.filter(
        (pl.col("dataset") == setup.dataset) & (pl.col("encoder") == setup.encoder)
    )
    is_drawn = pl.any_horizontal(
        (pl.col("metric") == metric) & (pl.col("cutoff") == cutoff) for metric, cutoff in DRAWN
    )
    test = metrics.filter((pl.col("split") == "test") & is_drawn)
    order = {name: place for place, name in enumerate(NAMES)}
    return (
        chosen.join(test, on=RUN)
        .group_by("refinement_entry", "refinement", "slice", "metric", "cutoff")
        .agg(
            mean=pl.col("value").mean(), n_targets=pl.col("n_targets").max(), order=pl.min("order")
        )
        .sort(
            "order",
            pl.col("slice").replace_strict(order, default=len(order), return_dtype=pl.Int64),
            "slice",
            "metric",
            "cutoff",
        )
        .drop("order")
    )


def slice_gains(scores: pl.DataFrame, comparisons: pl.DataFrame, setup: Setup) -> pl.DataFrame:
    """Relative gains over the baseline; with the interval of the difference where there is one.

    Args:
        scores: As ``slice_scores`` gives them.
        comparisons: The table ``comparisons``.
        setup: Whose baseline.

    Returns:
        The columns of ``scores``, gain, low and high as shares of the baseline's score (low and
        high null where nothing was compared); without the baseline and what it scores 0 on.
    """
    keys = ["slice", "metric", "cutoff"]
    is_baseline = pl.col("refinement_entry") == setup.baseline
    base = scores.filter(is_baseline).select(*keys, base="mean")
    mine = comparisons.filter(
        (pl.col("dataset") == setup.dataset)
        & (pl.col("encoder") == setup.encoder)
        & (pl.col("backbone_entry") == setup.backbone_entry)
        & (pl.col("refinement_b") == setup.baseline)
    ).select(*keys, pl.col("refinement_a").alias("refinement_entry"), *INTERVAL)
    return (
        scores.filter(~is_baseline)
        .join(base, on=keys, how="inner", maintain_order="left")
        .filter(pl.col("base") > 0)
        .join(mine, on=[*keys, "refinement_entry"], how="left", maintain_order="left")
        .with_columns(gain=pl.col("mean") / pl.col("base") - 1)
        .with_columns(pl.col(*INTERVAL) / pl.col("base"))
        .drop("base")
    )


def _figure(
    artifacts: Artifacts, setup: Setup, gains: pl.DataFrame, looks: dict[str, Style]
) -> Figure:
    has_interval = gains["low"].is_not_null().any()
    share = wording.share(artifacts.config["statistics"]["confidence"])
    bars = f"; bars are {share} bootstrap intervals over users" if has_interval else ""
    present = gains["refinement"].unique(maintain_order=True).to_list()
    sources = f"{artifacts.folder}/report/metrics.parquet"
    sources += f" and {artifacts.folder}/report/comparisons.parquet" if has_interval else ""
    return figure_of(
        f"slices/{setup.dataset}/{setup.encoder}/{setup.backbone_entry}.svg",
        f"Gain over {setup.baseline} on slices of the test targets, chosen points{bars}.",
        [
            _drawing(
                gains.filter((pl.col("metric") == metric) & (pl.col("cutoff") == cutoff)),
                {name: looks[name] for name in present},
                wording.metric(metric, cutoff),
            )
            for metric, cutoff in DRAWN
        ],
        looks={name: looks[name] for name in present},
        csv=gains.write_csv(float_precision=6),
        source=sources,
    )


def _drawing(gains: pl.DataFrame, looks: dict[str, Style], metric: str) -> Drawing:
    """A row for each slice, within it a mark for each refinement below the other."""
    slices = gains["slice"].unique(maintain_order=True).to_list()
    step = 0.8 / len(looks)
    offsets = {name: (i + 0.5) * step - 0.4 for i, name in enumerate(looks)}
    rows = gains.rows(named=True)

    def draw(axes: Axes) -> None:
        axes.axvline(0, color=MUTED, linewidth=0.9)
        for row in rows:
            look = looks[row["refinement"]]
            y = slices.index(row["slice"]) + offsets[row["refinement"]]
            if row["low"] is not None:
                axes.plot([100 * row["low"], 100 * row["high"]], [y, y], color=look.color, lw=1.3)
            axes.plot(100 * row["gain"], y, marker=look.marker, color=look.color, markersize=5)
        for edge in range(1, len(slices)):
            axes.axhline(edge - 0.5, color=MUTED, linewidth=0.4)
        axes.set_yticks(range(len(slices)), [NAMES.get(name, name) for name in slices])
        axes.set_ylim(len(slices) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.set(xlabel=f"change of {metric}, %")

    spoken = "; ".join(
        f"{NAMES.get(row['slice'], row['slice'])}: {looks[row['refinement']].label} "
        f"{wording.change(row['gain'])}"
        for row in rows
    )
    height = max(PANEL_INCHES[1], 0.8 + 0.13 * len(slices) * len(looks))
    return Drawing(f"{metric} by slice", f"Dot chart. {spoken}.", draw, height)


def _table(artifacts: Artifacts, setup: Setup, scores: pl.DataFrame) -> Table:
    """A row for each refinement and slice, with the change against the baseline."""
    names = {row["refinement"]: name_cell(row) for row in setup.chosen.to_dicts()}
    values = {
        (row["refinement_entry"], row["slice"], row["metric"], row["cutoff"]): row["mean"]
        for row in scores.to_dicts()
    }
    rows = []
    for row in scores.unique(["refinement", "slice"], maintain_order=True).to_dicts():
        entry, of_slice = row["refinement_entry"], row["slice"]
        cells = []
        for pair in DRAWN:
            value = values.get((entry, of_slice, *pair))
            base = values.get((setup.baseline, of_slice, *pair))
            change = None if entry == setup.baseline else relative(value, base)
            cells.append(Cell(wording.score(value), value, note=wording.change(change)))
        label = NAMES.get(of_slice, of_slice)
        n_targets = Cell(wording.number(row["n_targets"]), row["n_targets"])
        rows.append((names[row["refinement"]], Cell(label, label), n_targets, *cells))
    words = (Column("refinement", is_number=False), Column("slice", is_number=False))
    columns = (*words, Column("targets"), *(Column(wording.metric(*pair)) for pair in DRAWN))
    note = f"; in small type the change against {setup.baseline}" if setup.baseline else ""
    caption = f"Test scores by slice, chosen points, {setup.title}{note}."
    source = f"{artifacts.folder}/report/metrics.parquet"
    return Table(caption, columns, tuple(rows), source, is_folded=True)
