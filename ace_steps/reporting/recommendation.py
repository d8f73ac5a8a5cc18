"""The report's section on recommendation: grids on validation, training, every metric."""

import polars as pl

from ace_steps.evaluation.metrics import CUTOFFS
from ace_steps.reporting import figures, grid_lines, wording
from ace_steps.reporting.artifacts import Artifacts
from ace_steps.reporting.page import Block, Cell, Column, Figure, Section, Table, Text
from ace_steps.reporting.scores import METRICS, Setup, against, mark_chosen, name_cell, score_table
from ace_steps.reporting.summary import SPLITS
from ace_steps.reporting.svg import Style, figure_of
from ace_steps.tables import RUN

CURVES = {
    "valid_ndcg_10": ("NDCG@10 on validation", "NDCG@10"),
    "loss": ("Training loss", "nats per target"),
}


def recommendation_section(
    artifacts: Artifacts, setups: list[Setup], looks: dict[str, Style]
) -> Section:
    """Grids on validation, training and all metrics, a part for each setup."""
    parts = []
    for setup in setups:
        present = set(setup.points["refinement"])
        mine = {name: look for name, look in looks.items() if name in present}
        blocks = [
            *_grid_blocks(artifacts, setup, mine),
            *_training_blocks(artifacts, setup, mine),
            *_all_metrics(artifacts, setup),
        ]
        anchor = "-".join(("scores", setup.dataset, setup.encoder, setup.backbone_entry))
        parts.append(Section(setup.title, anchor, tuple(blocks)))
    return Section("Recommendation", "recommendation", (), tuple(parts))


def _grid_blocks(artifacts: Artifacts, setup: Setup, looks: dict[str, Style]) -> list[Block]:
    """Every point of the grids on validation: a figure over the main key, and a table."""
    n_points = pl.struct("refinement", "backbone").n_unique().over("refinement_entry")
    points = setup.points.filter(n_points > 1)
    if not len(points):
        return [Text("No entry holds a grid: nothing had to be chosen.")]
    selection = artifacts.config["selection"]
    metric = (selection["metric"], selection["cutoff"])
    shown = dict.fromkeys([metric, ("ndcg", 10), ("ndcg", 20), ("recall", 10), ("recall", 20)])
    caption = (
        f"Every point of every grid on the validation targets, {setup.title}; marked are the "
        f"points chosen by {wording.metric(*metric)}{against(setup)}."
    )
    source = f"{artifacts.folder}/report/metrics.parquet and runs.parquet"
    columns = [("valid", *pair) for pair in shown]
    table = score_table(setup, points, columns, caption=caption, source=source)
    figure = _grid_figure(artifacts, setup, looks, metric)
    return [*([figure] if figure else []), mark_chosen(table, points["is_chosen"])]


def _grid_figure(
    artifacts: Artifacts, setup: Setup, looks: dict[str, Style], metric: tuple[str, int]
) -> Figure | None:
    """Two validation metrics over the main grid key; None where no key holds numbers."""
    pairs = [metric, ("recall", 20) if metric != ("recall", 20) else ("ndcg", 10)]
    valid = setup.means.filter(pl.col("split") == "valid")
    tables = [
        valid.filter((pl.col("metric") == name) & (pl.col("cutoff") == cutoff))
        for name, cutoff in pairs
    ]
    found = [
        grid_lines.metric_over_grid(table, looks, title=wording.metric(*pair))
        for table, pair in zip(tables, pairs, strict=True)
    ]
    key = found[0][0]
    if not key:
        return None
    columns = ["refinement", "backbone", "is_chosen", "metric", "cutoff", "mean", "deviation"]
    return figure_of(
        f"grid/{setup.dataset}/{setup.encoder}/{setup.backbone_entry}.svg",
        f"Validation metrics over {wording.setting(key)}; rings at the chosen points.",
        [drawing for _, drawing in found],
        looks=grid_lines.grid_legend(tables[0], looks),
        csv=pl.concat(tables).select(*columns, "n_seeds").write_csv(),
        source=f"{artifacts.folder}/report/metrics.parquet",
    )


def _training_blocks(artifacts: Artifacts, setup: Setup, looks: dict[str, Style]) -> list[Block]:
    """Curves per epoch at the chosen backbone points, and what every training took."""
    keys = ["dataset", "encoder", "refinement", "backbone"]
    curves = artifacts.curves.join(setup.points, on=keys, how="semi")
    if not len(curves):
        return [Text("No training curve was found.", is_warning=True)]
    drawn = curves.filter(pl.col("backbone").is_in(setup.chosen["backbone"].unique().implode()))
    chosen = set(setup.chosen["refinement"])
    columns = ["refinement", "backbone", "seed", "epoch", *CURVES, "is_best"]
    source = (
        f"{artifacts.folder}/train/{setup.dataset}/{setup.encoder}"
        "/<refinement>/<backbone>/<seed>/training_curve.parquet"
    )
    figure = figure_of(
        f"curves/{setup.dataset}/{setup.encoder}/{setup.backbone_entry}.svg",
        "Training, epoch by epoch; a mark where the weights were kept, chosen points drawn strong.",
        [
            figures.training_curves(drawn, looks, chosen, column=column, words=words)
            for column, words in CURVES.items()
        ],
        looks=looks,
        csv=drawn.select(columns).write_csv(float_precision=6),
        source=source,
    )
    return [figure, _training_table(artifacts, setup, curves, source)]


def _training_table(artifacts: Artifacts, setup: Setup, curves: pl.DataFrame, source: str) -> Table:
    """A row for each run: epochs, the best one, time, speed, device."""
    sums = curves.group_by(RUN).agg(
        epochs=pl.len(),
        best=pl.col("epoch").filter("is_best").first(),
        seconds=pl.col("seconds").sum(),
        speed=pl.col("targets_per_s").median(),
    )
    rows = [
        (
            name_cell(row),
            Cell(wording.point(row["backbone_entry"], row["backbone_point"])),
            Cell(str(row["seed"]), row["seed"]),
            *(Cell(wording.number(row[name]), row[name]) for name in ("epochs", "best")),
            Cell(wording.seconds(row["seconds"]), row["seconds"]),
            Cell(wording.number(round(row["speed"])), row["speed"]),
            Cell(artifacts.devices.get(tuple(row[name] for name in RUN), wording.NOTHING)),
        )
        for row in artifacts.runs.join(sums, on=RUN, maintain_order="left").to_dicts()
    ]
    words = ("refinement", "backbone")
    numbers = ("seed", "epochs", "best epoch", "training time", "targets / s")
    columns = (
        *(Column(label, is_number=False) for label in words),
        *map(Column, numbers),
        Column("device", is_number=False),
    )
    return Table(f"Training, {setup.title}.", columns, tuple(rows), source)


def _all_metrics(artifacts: Artifacts, setup: Setup) -> list[Table]:
    """Every metric at every cutoff of the chosen points, folded, a table for each split."""
    return [
        score_table(
            setup,
            setup.chosen,
            [(split, metric, cutoff) for metric in METRICS for cutoff in CUTOFFS],
            caption=f"All metrics on the {name} targets, {setup.title}.",
            source=f"{artifacts.folder}/report/metrics.parquet",
            is_folded=True,
        )
        for split, name in zip(SPLITS, ("validation", "test"), strict=True)
    ]
