"""Training: curves over epochs, and what every training took."""

import polars as pl
from matplotlib.axes import Axes

from ace_steps.io.tables import RUN
from ace_steps.reporting import formatting, plots
from ace_steps.reporting.artifacts import Artifacts
from ace_steps.reporting.page import FOLDED_FROM, Block, Table, Text, cell
from ace_steps.reporting.plots import Looks
from ace_steps.reporting.scores import Setup, point_name

N_CURVES = 12  # more lines in one panel are not told apart
CURVES = {
    "valid_ndcg_10": ("NDCG@10 on validation", "NDCG@10"),
    "loss": ("Training loss", "nats per target"),
}


def training_blocks(artifacts: Artifacts, setup: Setup, looks: Looks) -> list[Block]:
    """Curves per epoch on the first seed, and a table of all trainings."""
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
    drawn, selection = _drawn_curves(curves.filter(seed=seed), setup)
    if not len(drawn):
        return [Text(f"No training curve of seed {seed} was found.", is_warning=True), table]
    with plots.panels(len(CURVES)) as axes:
        for panel, (column, (title, unit)) in zip(axes, CURVES.items(), strict=True):
            epoch_lines(panel, drawn, looks, set(setup.chosen["refinement"]), column)
            panel.set(title=title, xlabel="epoch", ylabel=unit)
    figure = plots.finished(
        axes,
        f"curves/{setup.path}.svg",
        f"Training, epoch by epoch, seed {seed}; a mark where the weights were kept, {selection}.",
        legend=[look for name, look in looks.items() if name in drawn["refinement"]],
        data=drawn.select("refinement", "backbone", "seed", "epoch", *CURVES, "is_best"),
        source=source,
    )
    return [figure, table]


def _drawn_curves(curves: pl.DataFrame, setup: Setup) -> tuple[pl.DataFrame, str]:
    """The curves that a reader can tell apart: all, or where they are many the chosen ones."""
    near = curves.filter(pl.col("backbone").is_in(setup.chosen["backbone"].unique().implode()))
    if near.select("refinement", "backbone").n_unique() <= N_CURVES:
        return near, "chosen grid points drawn strong"
    keys = ["refinement", "backbone"]
    return curves.join(setup.chosen, on=keys, how="semi"), "the chosen grid points alone"


def epoch_lines(
    axes: Axes, curves: pl.DataFrame, looks: Looks, chosen: set[str], column: str
) -> None:
    """A line per run, a mark at the epoch whose weights were kept; ``chosen`` drawn strong."""
    runs = curves.sort("backbone", "epoch").partition_by("refinement", "backbone", as_dict=True)
    for name in sorted(looks, key=lambda name: looks[name].line != "-"):  # dashes above solid lines
        look, is_strong = looks[name], name in chosen
        style = {"color": look.color, "linestyle": look.line}
        style |= {"linewidth": 1.7, "alpha": 1.0} if is_strong else {"linewidth": 0.9, "alpha": 0.6}
        mark = {"marker": look.marker, "markersize": 5.5 if is_strong else 4}
        for (refinement, _), run in runs.items():
            if refinement == name:
                best = run.filter("is_best")
                axes.plot(run["epoch"], run[column], **style)
                axes.plot(best["epoch"], best[column], **style, **mark)
    axes.xaxis.get_major_locator().set_params(integer=True)


def _training_table(artifacts: Artifacts, setup: Setup, curves: pl.DataFrame, source: str) -> Table:
    """A row for each run: epochs, the best one, time, speed, device."""
    sums = curves.group_by(RUN).agg(
        pl.col("device").first(),
        epochs=pl.len(),
        best=pl.col("epoch").filter("is_best").first(),
        seconds=pl.col("seconds").sum(),
        speed=pl.col("targets_per_s").median().round(),
    )
    heads = ["refinement", "backbone", "seed", "epochs", "best epoch", "training time"]
    heads += ["targets / s", "device"]
    rows = [
        [
            point_name(row),
            formatting.grid_point(row["backbone_entry"], row["backbone_point"]),
            *(row[name] for name in ("seed", "epochs", "best")),
            cell(row["seconds"], formatting.seconds),
            row["speed"],
            row["device"],
        ]
        for row in artifacts.runs.join(sums, on=RUN, maintain_order="left").to_dicts()
    ]
    caption = f"Training, {setup.title}."
    return Table(caption, heads, rows, source, is_folded=len(rows) >= FOLDED_FROM)
