"""Training: curves over epochs, and what every training took."""

import polars as pl
from matplotlib.axes import Axes

from ace_steps.io.tables import RUN
from ace_steps.reporting import formatting
from ace_steps.reporting.artifacts import Artifacts
from ace_steps.reporting.page import FOLDED_FROM, Block, Table, TableCell, Text, value_cell
from ace_steps.reporting.plots import Panel, Style, plot
from ace_steps.reporting.scores import Setup, name_cell

N_CURVES = 12  # more lines in one panel are not told apart
CURVES = {
    "valid_ndcg_10": ("NDCG@10 on validation", "NDCG@10"),
    "loss": ("Training loss", "nats per target"),
}


def training_blocks(artifacts: Artifacts, setup: Setup, looks: dict[str, Style]) -> list[Block]:
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
    drawn, which = _drawn_curves(curves.filter(seed=seed), setup)
    if not len(drawn):
        return [Text(f"No training curve of seed {seed} was found.", is_warning=True), table]
    chosen = set(setup.chosen["refinement"])
    columns = ["refinement", "backbone", "seed", "epoch", *CURVES, "is_best"]
    figure = plot(
        f"curves/{setup.path}.svg",
        f"Training, epoch by epoch, seed {seed}; a mark where the weights were kept, {which}.",
        [_curve_panel(drawn, looks, chosen, column) for column in CURVES],
        legend=[look for name, look in looks.items() if name in set(drawn["refinement"])],
        csv=drawn.select(columns).write_csv(float_precision=6),
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


def _curve_panel(
    curves: pl.DataFrame, looks: dict[str, Style], chosen: set[str], column: str
) -> Panel:
    """A column per epoch, a mark at the epoch whose weights were kept; ``chosen`` drawn strong."""
    title, unit = CURVES[column]
    tables = curves.sort("backbone", "epoch").partition_by(
        "refinement", "backbone", as_dict=True, maintain_order=True
    )
    order = sorted(looks, key=lambda name: looks[name].line != "-")  # dashes above solid lines
    runs = [(name, run) for name in order for (of, _), run in tables.items() if of == name]

    def draw(axes: Axes) -> None:
        for name, run in runs:
            look, is_strong = looks[name], name in chosen
            width, alpha = (1.7, 1.0) if is_strong else (0.9, 0.6)
            style = {"color": look.color, "linestyle": look.line, "linewidth": width}
            axes.plot(run["epoch"], run[column], **style, alpha=alpha)
            best = run.filter("is_best")
            style |= {"marker": look.marker, "markersize": 5.5 if is_strong else 4}
            axes.plot(best["epoch"], best[column], **style, alpha=alpha)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set(xlabel="epoch", ylabel=unit)

    spoken = "; ".join(
        f"{looks[name].label} {value:.4f} at epoch {epoch}"
        for name, run in runs
        for epoch, value in run.filter("is_best").select("epoch", column).rows()[:1]
    )
    return Panel(title, f"Line chart over epochs. At the kept weights: {spoken}.", draw)


def _training_table(artifacts: Artifacts, setup: Setup, curves: pl.DataFrame, source: str) -> Table:
    """A row for each run: epochs, the best one, time, speed, device."""
    sums = curves.group_by(RUN).agg(
        epochs=pl.len(),
        best=pl.col("epoch").filter("is_best").first(),
        seconds=pl.col("seconds").sum(),
        speed=pl.col("targets_per_s").median().round(),
    )
    rows = tuple(
        (
            name_cell(row),
            TableCell(formatting.grid_point(row["backbone_entry"], row["backbone_point"])),
            *(value_cell(row[name]) for name in ("seed", "epochs", "best")),
            value_cell(row["seconds"], formatting.seconds),
            value_cell(row["speed"]),
            TableCell(artifacts.devices.get(tuple(row[key] for key in RUN), formatting.MISSING)),
        )
        for row in artifacts.runs.join(sums, on=RUN, maintain_order="left").to_dicts()
    )
    heads = (
        *("refinement", "backbone", "seed", "epochs", "best epoch", "training time"),
        *("targets / s", "device"),
    )
    caption = f"Training, {setup.title}."
    return Table(caption, heads, rows, source, is_folded=len(rows) >= FOLDED_FROM)
