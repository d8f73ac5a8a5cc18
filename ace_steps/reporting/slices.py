"""Slices of the test targets: what each refinement gains on which."""

import polars as pl
from matplotlib.axes import Axes

from ace_steps.evaluation.results import relative
from ace_steps.io.tables import RUN
from ace_steps.reporting import formatting
from ace_steps.reporting.artifacts import Artifacts
from ace_steps.reporting.page import Block, Figure, Table, TableCell, value_cell
from ace_steps.reporting.plots import MUTED, PANEL_INCHES, Panel, Style, plot
from ace_steps.reporting.scores import Setup, name_cell

DRAWN = (("recall", 20), ("ndcg", 20))
NAMES = {
    "all": "all targets",
    "head_items": "head items",
    "tail_items": "tail items",
    "short_histories": "short histories",
    "long_histories": "long histories",
    "few_train_events": "few training events",
}


def slice_blocks(artifacts: Artifacts, setup: Setup, looks: dict[str, Style]) -> list[Block]:
    """Gains over the baseline by slice as a figure, the scores as a table; [] without slices."""
    scores = slice_scores(artifacts.metrics, artifacts.runs, setup)
    if scores["slice"].n_unique() < 2:
        return []
    gains = slice_gains(scores, artifacts.comparisons, setup)
    figure = [_figure(artifacts, setup, gains, looks)] if len(gains) else []
    return [*figure, _table(artifacts, setup, scores)]


def slice_scores(metrics: pl.DataFrame, runs: pl.DataFrame, setup: Setup) -> pl.DataFrame:
    """Test scores of the chosen grid points on every slice, means over the seeds.

    Returns:
        refinement_entry, refinement, slice, metric, cutoff, mean, n_targets: entries in the
        configuration's order, slices in the order of ``NAMES``.
    """
    chosen = runs.filter(dataset=setup.dataset, encoder=setup.encoder).join(
        setup.chosen.select("refinement", "backbone"), on=["refinement", "backbone"], how="semi"
    )
    pairs = pl.DataFrame(DRAWN, schema=["metric", "cutoff"], orient="row")
    pairs = pairs.cast({"cutoff": metrics.schema["cutoff"]})
    test = metrics.filter(split="test").join(pairs, on=["metric", "cutoff"], how="semi")
    place = pl.col("slice").replace_strict(
        {name: place for place, name in enumerate(NAMES)}, default=len(NAMES)
    )
    return (
        chosen.join(test, on=RUN)
        .group_by("refinement_entry", "refinement", "slice", "metric", "cutoff")
        .agg(
            mean=pl.col("value").mean(), n_targets=pl.col("n_targets").max(), order=pl.min("order")
        )
        .sort("order", place, "slice", "metric", "cutoff")
        .drop("order")
    )


def slice_gains(scores: pl.DataFrame, comparisons: pl.DataFrame, setup: Setup) -> pl.DataFrame:
    """Relative gains over the baseline, with the interval of the difference where there is one.

    Returns:
        The columns of ``scores``, gain, low and high as shares of the baseline's score (low and
        high null where nothing was compared); without the baseline and what it scores 0 on.
    """
    keys = ["slice", "metric", "cutoff"]
    is_baseline = pl.col("refinement_entry") == setup.baseline
    compared = comparisons.filter(**setup.names, refinement_b=setup.baseline).select(
        *keys, "low", "high", refinement_entry="refinement_a"
    )
    return (
        scores.filter(~is_baseline)
        .join(scores.filter(is_baseline).select(*keys, base="mean"), on=keys, maintain_order="left")
        .filter(pl.col("base") > 0)
        .join(compared, on=[*keys, "refinement_entry"], how="left", maintain_order="left")
        .with_columns(
            pl.col("low", "high") / pl.col("base"), gain=pl.col("mean") / pl.col("base") - 1
        )
        .drop("base")
    )


def _figure(
    artifacts: Artifacts, setup: Setup, gains: pl.DataFrame, looks: dict[str, Style]
) -> Figure:
    bars, source = "", f"{artifacts.folder}/report/metrics.parquet"
    if gains["low"].is_not_null().any():
        share = formatting.share(artifacts.config["statistics"]["confidence"])
        bars = f"; bars are {share} bootstrap intervals over users"
        source += f" and {artifacts.folder}/report/comparisons.parquet"
    shown = {name: looks[name] for name in gains["refinement"].unique(maintain_order=True)}
    baseline = formatting.entry(setup.baseline)
    return plot(
        f"slices/{setup.path}.svg",
        f"Gain over {baseline} on slices of the test targets, chosen grid points{bars}.",
        [
            _panel(gains.filter(metric=metric, cutoff=cutoff), shown, (metric, cutoff))
            for metric, cutoff in DRAWN
        ],
        legend=list(shown.values()),
        csv=gains.write_csv(float_precision=6),
        source=source,
    )


def _panel(gains: pl.DataFrame, looks: dict[str, Style], pair: tuple[str, int]) -> Panel:
    """A row for each slice, within it a mark for each refinement below the other."""
    slices = gains["slice"].unique(maintain_order=True).to_list()
    step = 0.8 / len(looks)
    offsets = {name: (i + 0.5) * step - 0.4 for i, name in enumerate(looks)}
    rows, metric = gains.rows(named=True), formatting.metric(*pair)

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
        f"{formatting.change(row['gain'])}"
        for row in rows
    )
    height = max(PANEL_INCHES[1], 0.8 + 0.13 * len(slices) * len(looks))
    return Panel(f"{metric} by slice", f"Dot chart. {spoken}.", draw, height)


def _table(artifacts: Artifacts, setup: Setup, scores: pl.DataFrame) -> Table:
    """A row for each refinement and slice, with the change against the baseline."""
    names = {row["refinement"]: name_cell(row) for row in setup.chosen.to_dicts()}
    keys = ("refinement_entry", "slice", "metric", "cutoff")
    values = {tuple(key): mean for *key, mean in scores.select(*keys, "mean").iter_rows()}
    rows = []
    for row in scores.unique(["refinement", "slice"], maintain_order=True).to_dicts():
        entry, name = row["refinement_entry"], row["slice"]
        cells = []
        for pair in DRAWN:
            value, base = (
                values.get((entry, name, *pair)),
                values.get((setup.baseline, name, *pair)),
            )
            change = None if entry == setup.baseline else relative(value, base)
            note = formatting.change(change)
            cells.append(TableCell(formatting.score(value), value, note=note))
        label = TableCell(NAMES.get(name, name))
        rows.append((names[row["refinement"]], label, value_cell(row["n_targets"]), *cells))
    heads = ("refinement", "slice", "targets", *(formatting.metric(*pair) for pair in DRAWN))
    baseline = formatting.entry(setup.baseline)
    note = f"; in small type the change against {baseline}" if setup.baseline else ""
    caption = f"Test scores by slice, chosen grid points, {setup.title}{note}."
    source = f"{artifacts.folder}/report/metrics.parquet"
    return Table(caption, heads, tuple(rows), source, is_folded=True)
