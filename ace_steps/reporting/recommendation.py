"""The report's section on recommendation: grids, geometry, slices, training, every metric."""

import polars as pl

from ace_steps.evaluation.metrics import CUTOFFS
from ace_steps.evaluation.ranks import SPLITS
from ace_steps.io.tables import RUN
from ace_steps.reporting import figures, wording
from ace_steps.reporting.artifacts import Artifacts
from ace_steps.reporting.geometry_scores import geometry_scores
from ace_steps.reporting.grids import grid_blocks
from ace_steps.reporting.page import Block, Cell, Column, Section, Table, Text
from ace_steps.reporting.scores import METRICS, Setup, name_cell, score_table
from ace_steps.reporting.slices import slice_blocks
from ace_steps.reporting.svg import Style, figure_of

N_CURVES = 12  # more lines in one panel are not told apart
FOLDED_FROM = 13  # rows of a table that a reader unfolds first
CURVES = {
    "valid_ndcg_10": ("NDCG@10 on validation", "NDCG@10"),
    "loss": ("Training loss", "nats per target"),
}


def recommendation_section(
    artifacts: Artifacts, setups: list[Setup], looks: dict[str, Style]
) -> Section:
    """Grids, geometry, slices, training and all metrics, a part for each setup."""
    parts = []
    for setup in setups:
        present = set(setup.points["refinement"])
        mine = {name: look for name, look in looks.items() if name in present}
        blocks = [
            *grid_blocks(artifacts, setup, mine),
            *filter(None, [geometry_scores(artifacts, setup, mine)]),
            *slice_blocks(artifacts, setup, mine),
            *_training_blocks(artifacts, setup, mine),
            *_all_metrics(artifacts, setup),
        ]
        anchor = "-".join(("scores", setup.dataset, setup.encoder, setup.backbone_entry))
        parts.append(Section(setup.title, anchor, tuple(blocks)))
    return Section("Recommendation", "recommendation", (), tuple(parts))


def _training_blocks(artifacts: Artifacts, setup: Setup, looks: dict[str, Style]) -> list[Block]:
    """Curves per epoch on the first seed, and what every training took."""
    keys = ["dataset", "encoder", "refinement", "backbone"]
    curves = artifacts.curves.join(setup.points, on=keys, how="semi")
    if not len(curves):
        return [Text("No training curve was found.", is_warning=True)]
    source = (
        f"{artifacts.folder}/train/{setup.dataset}/{setup.encoder}"
        "/<refinement>/<backbone>/<seed>/training_curve.parquet"
    )
    seed = artifacts.config["seeds"][0]
    table = _training_table(artifacts, setup, curves, source)
    drawn, which = _drawn_curves(curves.filter(pl.col("seed") == seed), setup)
    if not len(drawn):
        return [Text(f"No training curve of seed {seed} was found.", is_warning=True), table]
    chosen = set(setup.chosen["refinement"])
    columns = ["refinement", "backbone", "seed", "epoch", *CURVES, "is_best"]
    figure = figure_of(
        f"curves/{setup.dataset}/{setup.encoder}/{setup.backbone_entry}.svg",
        f"Training, epoch by epoch, seed {seed}; a mark where the weights were kept, {which}.",
        [
            figures.training_curves(drawn, looks, chosen, column=column, words=words)
            for column, words in CURVES.items()
        ],
        looks={name: look for name, look in looks.items() if name in set(drawn["refinement"])},
        csv=drawn.select(columns).write_csv(float_precision=6),
        source=source,
    )
    return [figure, table]


def _drawn_curves(curves: pl.DataFrame, setup: Setup) -> tuple[pl.DataFrame, str]:
    """The curves that a reader can tell apart: all, or where they are many the chosen points'."""
    near = curves.filter(pl.col("backbone").is_in(setup.chosen["backbone"].unique().implode()))
    if near.select("refinement", "backbone").n_unique() <= N_CURVES:
        return near, "chosen points drawn strong"
    points = ["refinement", "backbone"]
    return curves.join(setup.chosen, on=points, how="semi"), "the chosen points alone"


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
    caption = f"Training, {setup.title}."
    return Table(caption, columns, tuple(rows), source, is_folded=len(rows) >= FOLDED_FROM)


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
