"""Which differences are more than chance: forest plots, all comparisons, gains by slice."""

import polars as pl
from matplotlib.axes import Axes

from ace_steps.evaluation.results import relative
from ace_steps.io.tables import RUN
from ace_steps.reporting import formatting, plots
from ace_steps.reporting.artifacts import Artifacts
from ace_steps.reporting.page import FOLDED_FROM, Block, Figure, Section, Table, Text, cell
from ace_steps.reporting.plots import MUTED, SINGLES, Looks, Style
from ace_steps.reporting.scores import NOT_SIGNIFICANT, SETUP, Setup, point_name, with_verdict

PAIR = ("refinement_a", "refinement_b")
VERDICTS = {
    "better": Style("significantly better", SINGLES[-1], "-", "^"),
    "worse": Style("significantly worse", SINGLES[-2], "-", "v"),
    NOT_SIGNIFICANT: Style(NOT_SIGNIFICANT, SINGLES[0], "-", "o"),
}
SLICE_METRICS = (("recall", 20), ("ndcg", 20))
SLICES = {
    "all": "all targets",
    "head_items": "head items",
    "tail_items": "tail items",
    "short_histories": "short histories",
    "long_histories": "long histories",
    "few_train_events": "few training events",
}


def difference_section(artifacts: Artifacts, setups: list[Setup]) -> Section:
    """A forest plot of each setup, verdicts counted over several, and all comparisons."""
    section = Section("Differences and chance", "differences")
    statistics = artifacts.config["statistics"]
    if not len(artifacts.comparisons):
        text = "No comparison was found: small differences between rows of a table may be chance."
        section.blocks.append(Text(text))
        return section
    n_compared = formatting.number(len(artifacts.comparisons))
    intro = Text(
        "Differences are paired: the same test user under both refinements, each averaged over "
        f"the seeds. p is corrected after Holm over the {n_compared} comparisons made; below "
        f"{statistics['alpha']:g} a difference is called significant, otherwise nothing is "
        f"claimed. Intervals are {formatting.share(statistics['confidence'])} bootstrap intervals "
        "over users; test scores were looked at after every choice was made."
    )
    rows = with_verdict(artifacts.comparisons.filter(slice="all"), artifacts.config)
    compared = [setup for setup in setups if len(rows.filter(**setup.names))]
    figures = [forest_figure(artifacts, each, rows.filter(**each.names)) for each in compared]
    source = f"{artifacts.folder}/report/comparisons.parquet"
    table = _comparison_table(rows, source)
    if len(figures) < 2:
        section.blocks += [intro, *figures, table]
    else:
        section.blocks += [intro, _verdict_table(rows, source), table]
        section.parts = [
            Section(setup.title, setup.anchor("differences"), [figure])
            for setup, figure in zip(compared, figures, strict=True)
        ]
    return section


def forest_figure(artifacts: Artifacts, setup: Setup, rows: pl.DataFrame) -> Figure:
    """One setup's rows of ``comparisons`` on one slice with their verdict, by metric."""
    by_metric = rows.partition_by("metric", "cutoff", maintain_order=True)
    height = max(0.6 * plots.HEIGHT, 0.8 + 0.26 * max(map(len, by_metric)))
    with plots.panels(len(by_metric), height) as axes:
        for panel, table in zip(axes, by_metric, strict=True):
            forest(panel, table)
    return plots.finished(
        axes,
        f"differences/{setup.path}.svg",
        f"Differences of chosen refinements on all test targets, {setup.title}, with their "
        "intervals; significant: p after Holm below "
        f"{artifacts.config['statistics']['alpha']:g}.",
        legend=[look for name, look in VERDICTS.items() if name in rows["verdict"]],
        data=rows.select(*PAIR, "metric", "cutoff", "difference", "low", "high", "p_holm"),
        source=f"{artifacts.folder}/report/comparisons.parquet",
    )


def forest(axes: Axes, rows: pl.DataFrame) -> None:
    """The comparisons of one metric from the top down, each with its interval."""
    labels = []
    axes.axvline(0, color=MUTED, linewidth=0.9)
    for y, row in enumerate(rows.to_dicts()):
        look = VERDICTS[row["verdict"]]
        axes.plot([row["low"], row["high"]], [y, y], color=look.color, linewidth=1.6)
        axes.plot(row["difference"], y, marker=look.marker, color=look.color, markersize=7)
        labels.append(f" {formatting.MINUS} ".join(formatting.entry(row[key]) for key in PAIR))
    metric = formatting.metric(rows["metric"][0], rows["cutoff"][0])
    axes.set(title=metric, xlabel=f"difference of {metric}", ylim=(len(rows) - 0.4, -0.6))
    axes.set_yticks(range(len(rows)), labels)
    axes.grid(visible=False, axis="y")


def _verdict_table(rows: pl.DataFrame, source: str) -> Table:
    """In how many setups one refinement is better than another, by metric."""
    keys = [*PAIR, "metric", "cutoff"]
    counted = rows.group_by(keys, maintain_order=True).agg(
        pl.len(),
        *(pl.col("verdict").eq(name).sum().alias(name) for name in VERDICTS),
        change=pl.col("relative").drop_nans().median(),
    )
    cells = [
        [
            *(formatting.entry(row[name]) for name in PAIR),
            formatting.metric(row["metric"], row["cutoff"]),
            *(row[name] for name in ("len", *VERDICTS)),
            cell(row["change"], formatting.change),
        ]
        for row in counted.to_dicts()
    ]
    caption = "In how many setups a refinement differs significantly on all test targets."
    heads = ["refinement", "against", "metric", "setups", *VERDICTS, "median change"]
    return Table(caption, heads, cells, source)


def _comparison_table(rows: pl.DataFrame, source: str) -> Table:
    """Every comparison on all test targets."""
    has_setups = rows.select(SETUP).n_unique() > 1
    heads = ["refinement", "against", "metric", "mean", "other's mean", "difference", "change"]
    heads += ["p after Holm", "p over seeds", "verdict"]
    cells = []
    for row in rows.to_dicts():
        interval = f"{formatting.signed(row['low'])} to {formatting.signed(row['high'])}"
        cells.append(
            [
                *[" · ".join(row[key] for key in SETUP)] * has_setups,
                *(formatting.entry(row[key]) for key in PAIR),
                formatting.metric(row["metric"], row["cutoff"]),
                cell(row["mean_a"], formatting.score),
                cell(row["mean_b"], formatting.score),
                cell(row["difference"], formatting.signed, note=interval),
                cell(row["relative"], formatting.change),
                cell(row["p_holm"], formatting.p_value, note=formatting.p_value(row["p"])),
                cell(row["p_seeds"], formatting.p_value),
                None if row["verdict"] == NOT_SIGNIFICANT else row["verdict"],
            ]
        )
    caption = (
        "Every comparison on all test targets; in small type the interval of the difference and p "
        "before Holm's correction. Those on slices are in the file. p over seeds: t-test of the "
        f"seeds' differences, not corrected. Verdict {formatting.MISSING}: {NOT_SIGNIFICANT}."
    )
    heads = ["setup"] * has_setups + heads
    return Table(caption, heads, cells, source, is_folded=len(cells) >= FOLDED_FROM)


def slice_blocks(artifacts: Artifacts, setup: Setup, looks: Looks) -> list[Block]:
    """Gains over the baseline by slice as a figure, the scores as a table; [] without slices."""
    scores = slice_scores(artifacts.metrics, artifacts.runs, setup)
    if scores["slice"].n_unique() < 2:
        return []
    gains = slice_gains(scores, artifacts.comparisons, setup)
    figure = [_slice_figure(artifacts, setup, gains, looks)] if len(gains) else []
    return [*figure, _slice_table(artifacts, setup, scores)]


def slice_scores(metrics: pl.DataFrame, runs: pl.DataFrame, setup: Setup) -> pl.DataFrame:
    """Test scores of the chosen grid points on every slice, means over the seeds.

    Returns:
        refinement_entry, refinement, slice, metric, cutoff, mean, n_targets: entries in the
        configuration's order, slices in the order of ``SLICES``.
    """
    chosen = runs.filter(dataset=setup.dataset, encoder=setup.encoder).join(
        setup.chosen.select("refinement", "backbone"), on=["refinement", "backbone"], how="semi"
    )
    is_drawn = pl.any_horizontal(
        (pl.col("metric") == metric) & (pl.col("cutoff") == cutoff)
        for metric, cutoff in SLICE_METRICS
    )
    place = pl.col("slice").replace_strict(list(SLICES), range(len(SLICES)), default=len(SLICES))
    return (
        chosen.join(metrics.filter(is_drawn, split="test"), on=RUN)
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


def _slice_figure(artifacts: Artifacts, setup: Setup, gains: pl.DataFrame, looks: Looks) -> Figure:
    shown = {name: looks[name] for name in gains["refinement"].unique(maintain_order=True)}
    height = max(plots.HEIGHT, 0.8 + 0.13 * gains["slice"].n_unique() * len(shown))
    with plots.panels(len(SLICE_METRICS), height) as axes:
        for panel, (metric, cutoff) in zip(axes, SLICE_METRICS, strict=True):
            name = formatting.metric(metric, cutoff)
            slice_dots(panel, gains.filter(metric=metric, cutoff=cutoff), shown)
            panel.set(title=f"{name} by slice", xlabel=f"change of {name}, %")
    bars, source = "", f"{artifacts.folder}/report/metrics.parquet"
    if gains["low"].is_not_null().any():
        share = formatting.share(artifacts.config["statistics"]["confidence"])
        bars = f"; bars are {share} bootstrap intervals over users"
        source += f" and {artifacts.folder}/report/comparisons.parquet"
    return plots.finished(
        axes,
        f"slices/{setup.path}.svg",
        f"Gain over {formatting.entry(setup.baseline)} on slices of the test targets, chosen grid "
        f"points{bars}.",
        legend=list(shown.values()),
        data=gains,
        source=source,
    )


def slice_dots(axes: Axes, gains: pl.DataFrame, looks: Looks) -> None:
    """A row for each slice, within it a mark for each refinement below the other, in percent."""
    slices = gains["slice"].unique(maintain_order=True).to_list()
    names = list(looks)
    axes.axvline(0, color=MUTED, linewidth=0.9)
    for row in gains.to_dicts():
        look = looks[row["refinement"]]
        offset = 0.8 * (names.index(row["refinement"]) + 0.5) / len(names) - 0.4
        y = slices.index(row["slice"]) + offset
        if row["low"] is not None:
            axes.plot([100 * row["low"], 100 * row["high"]], [y, y], color=look.color, lw=1.3)
        axes.plot(100 * row["gain"], y, marker=look.marker, color=look.color, markersize=5)
    for edge in range(1, len(slices)):
        axes.axhline(edge - 0.5, color=MUTED, linewidth=0.4)
    axes.set_yticks(range(len(slices)), [SLICES.get(name, name) for name in slices])
    axes.set_ylim(len(slices) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")


def _slice_table(artifacts: Artifacts, setup: Setup, scores: pl.DataFrame) -> Table:
    """A row for each refinement and slice, with the change against the baseline."""
    names = {row["refinement"]: point_name(row) for row in setup.chosen.to_dicts()}
    keys = ("refinement_entry", "slice", "metric", "cutoff")
    values = {tuple(key): mean for *key, mean in scores.select(*keys, "mean").iter_rows()}
    rows = []
    for row in scores.unique(["refinement", "slice"], maintain_order=True).to_dicts():
        entry, part = row["refinement_entry"], row["slice"]
        cells = [names[row["refinement"]], SLICES.get(part, part), row["n_targets"]]
        for pair in SLICE_METRICS:
            value = values.get((entry, part, *pair))
            change = relative(value, values.get((setup.baseline, part, *pair)))
            note = "" if entry == setup.baseline else formatting.change(change)
            cells.append(cell(value, formatting.score, note=note))
        rows.append(cells)
    against = formatting.entry(setup.baseline)
    note = f"; in small type the change against {against}" if setup.baseline else ""
    return Table(
        f"Test scores by slice, chosen grid points, {setup.title}{note}.",
        ["refinement", "slice", "targets", *(formatting.metric(*pair) for pair in SLICE_METRICS)],
        rows,
        f"{artifacts.folder}/report/metrics.parquet",
        is_folded=True,
    )
