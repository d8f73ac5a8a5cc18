"""The chapter on the shape of the item vectors: spectra, measures, and measures against scores."""

import json

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from ace_steps.config import grid
from ace_steps.io.tables import VECTORS
from ace_steps.reporting import formatting
from ace_steps.reporting.artifacts import Artifacts
from ace_steps.reporting.page import Block, Figure, Section, Table, TableCell, Text, value_cell
from ace_steps.reporting.plots import INK, MUTED, PLAIN, Panel, Style, plot
from ace_steps.reporting.scores import Setup, selection_metric

MEASURES = {
    "mean_cosine": ("Mean cosine", "Over all pairs of items; 1: all point one way, 0: no lean."),
    "effective_rank": ("Effective rank", "Components in use: exp of the entropy of s."),
    "effective_rank_share": ("Effective rank share", "The effective rank as a share of dim."),
    "isoscore": ("IsoScore", "Evenness of the variance: 1 on a sphere, 0 on a line."),
    "partition_ratio": ("Partition ratio", "Least over largest sum of exp(cosine); 1: isotropic."),
    "top_share": ("Top share", "Energy in the strongest component, s₁² over the sum."),
    "participation_ratio": ("Participation ratio", "(sum s²)² / sum s⁴, in components."),
    "neighbour_overlap": ("Neighbors kept", "Share of the ten nearest raw items that stay so."),
    "reconstruction_error": ("Reconstr. error", "Energy the linear autoencoder loses."),
}
AGAINST_SCORES = ("effective_rank", "mean_cosine")


def geometry_section(artifacts: Artifacts, looks: dict[str, Style]) -> Section:
    """Spectra and measures of the vectors before and after each refinement."""
    parts = []
    for dataset, encoder in artifacts.runs.select(VECTORS[:2]).unique(maintain_order=True).rows():
        spectra = artifacts.spectra.filter(dataset=dataset, encoder=encoder)
        geometry = artifacts.geometry.filter(dataset=dataset, encoder=encoder)
        folder = f"{artifacts.folder}/refine/{dataset}/{encoder}/<refinement>"
        blocks: list[Block] = []
        if len(spectra):
            blocks.append(_spectra_figure(spectra, looks, f"{dataset}/{encoder}", folder))
        if len(geometry):
            blocks.append(_geometry_table(artifacts, geometry, (dataset, encoder), folder))
        if not blocks:
            blocks.append(Text("No spectrum and no geometry were found.", is_warning=True))
        anchor = f"geometry-{dataset}-{encoder}"
        parts.append(Section(f"{dataset} · {encoder}", anchor, tuple(blocks)))
    text = Text(
        "Anisotropic vectors share a few dominant components: a steep spectrum, a mean cosine near "
        "1, a small effective rank. A refinement sets how much of that the recommender starts from."
    )
    meanings = tuple((TableCell(name), TableCell(meaning)) for name, meaning in MEASURES.values())
    heads = ("measure", "meaning")
    glossary = Table("What the measures say.", heads, meanings, "the package", is_folded=True)
    return Section("Geometry of the item vectors", "geometry", (text, glossary), tuple(parts))


def _spectra_figure(
    spectra: pl.DataFrame, looks: dict[str, Style], name: str, folder: str
) -> Figure:
    """Singular values before, and after relative to the strongest."""
    present = set(spectra["refinement"])
    shown = {name: look for name, look in looks.items() if name in present}
    columns = ["refinement", "component", "singular_value", "gain"]
    rounded = pl.col("singular_value", "gain").round_sig_figs(6)
    return plot(
        f"spectra/{name}.svg",
        "Spectra of the item vectors before and after each refinement, logarithmic axes.",
        [raw_spectrum(spectra, shown), gain_spectrum(spectra, shown)],
        legend=list(shown.values()),
        csv=spectra.filter(pl.col("gain") > 0).select(columns).with_columns(rounded).write_csv(),
        source=f"{folder}/spectrum.parquet",
    )


def raw_spectrum(spectra: pl.DataFrame, looks: dict[str, Style]) -> Panel:
    """Singular values of the raw vectors, a line for each way the refinements read them."""
    ways: list[tuple[np.ndarray, list[str]]] = []
    for name, look in looks.items():
        values = spectra.filter(refinement=name).sort("component")["singular_value"].to_numpy()
        values = values[values > 0]  # zeros stand beyond the spectrum's end
        for other, labels in ways:
            if other.shape == values.shape and np.allclose(other, values, rtol=1e-6):
                labels.append(look.label)
                break
        else:
            ways.append((values, [look.label]))

    def draw(axes: Axes) -> None:
        for (values, labels), line in zip(ways, ("-", "--", ":", "-.") * len(ways), strict=False):
            more = f" and {len(labels) - 1} more" if len(labels) > 1 else ""
            style = {"color": INK, "linestyle": line, "linewidth": 1.4}
            x = np.arange(1, len(values) + 1)
            axes.plot(x, values, **style, label=f"as read by {labels[0]}{more}")
        if len(ways) > 1:
            axes.legend(loc="lower left")
        _log_log(axes)
        axes.set(xlabel="component, strongest first", ylabel="singular value of the raw vectors")

    first = ways[0][0]
    alt = (
        f"Line chart. Over {len(first)} components the raw singular values fall from "
        f"{first[0]:.4g} to {first[-1]:.4g}."
    )
    return Panel("Before: raw vectors", alt, draw)


def gain_spectrum(spectra: pl.DataFrame, looks: dict[str, Style]) -> Panel:
    """Singular values after each refinement, relative to its strongest component."""
    shapes = {}
    for name in looks:
        gain = spectra.filter(refinement=name).sort("component")["gain"].to_numpy()
        if (gain > 0).any():
            shapes[name] = gain[gain > 0] / gain.max()  # zeros stand beyond the spectrum's end

    def draw(axes: Axes) -> None:
        for name in sorted(shapes, key=lambda name: looks[name].line != "-"):  # dashes on top
            look, shape = looks[name], shapes[name]
            style = {"color": look.color, "linestyle": look.line, "linewidth": 1.5}
            x = np.arange(1, len(shape) + 1)
            axes.plot(x, shape, **style, marker=look.marker, markersize=5, markevery=[-1])
        _log_log(axes)
        axes.set(xlabel="component, strongest first", ylabel="singular value / the largest one")

    ends = "; ".join(f"{looks[name].label} {shape[-1]:.3g}" for name, shape in shapes.items())
    alt = f"Line chart, each line starts at 1. Share left in the last component: {ends}."
    return Panel("After: refined vectors", alt, draw)


def _log_log(axes: Axes) -> None:
    axes.set(xscale="log", yscale="log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PLAIN)
        axis.set_minor_formatter(NullFormatter())


def _geometry_table(
    artifacts: Artifacts, geometry: pl.DataFrame, pair: tuple[str, str], folder: str
) -> Table:
    """A row for the raw vectors and one for each refinement, a column for each measure."""
    measured = geometry["measure"].unique().sort().to_list()
    measures = [m for m in MEASURES if m in measured] + [m for m in measured if m not in MEASURES]
    values = {(r["refinement"], r["stage"], r["measure"]): r["value"] for r in geometry.to_dicts()}
    points = grid.expand(artifacts.config["refinements"])
    present = [name for name in points if name in set(geometry["refinement"])]
    raw = (values.get((present[0], "raw", measure)) for measure in measures)
    rows = [(TableCell("raw vectors"), value_cell(None), *map(value_cell, raw))]
    for name in present:
        label = formatting.grid_point(points[name].entry, json.dumps(points[name].values))
        lambda_ = artifacts.refinements.get((*pair, name), {}).get("lambda")
        refined = (values.get((name, "refined", measure)) for measure in measures)
        rows.append((TableCell(label), value_cell(lambda_), *map(value_cell, refined)))
    heads = (MEASURES[m][0] if m in MEASURES else formatting.phrase(m) for m in measures)
    caption = (
        f"Geometry of the item vectors of {' · '.join(pair)}, raw and after each refinement; λ as "
        "used, also where it was solved for."
    )
    source = f"{folder}/geometry.parquet, λ from its provenance"
    return Table(caption, ("vectors", "λ", *heads), tuple(rows), source)


def geometry_figure(artifacts: Artifacts, setup: Setup, looks: dict[str, Style]) -> Figure | None:
    """Effective rank and mean cosine against the metric that chooses; None without geometry."""
    chosen_by = selection_metric(artifacts.config)
    metric = formatting.metric(*chosen_by)
    scores = best_scores(setup, *chosen_by)
    geometry = artifacts.geometry.filter(dataset=setup.dataset, encoder=setup.encoder)
    measured = scores.join(geometry, on="refinement", maintain_order="left_right")
    refined = measured.filter(stage="refined").select(*scores.columns, "value", "measure")
    panels = [
        _measure_panel(
            measure,
            refined.filter(measure=measure),
            next(iter(geometry.filter(measure=measure, stage="raw")["value"]), None),
            looks,
            metric,
        )
        for measure in AGAINST_SCORES
        if len(refined.filter(measure=measure))
    ]
    if not panels:
        return None
    drawn = refined.filter(pl.col("measure").is_in(AGAINST_SCORES))
    return plot(
        f"geometry/{setup.dataset}/{setup.encoder}/{setup.backbone_entry}.svg",
        f"Shape of the vectors a training starts from against {metric} on validation, seed "
        f"{artifacts.config['seeds'][0]}; rings at the chosen grid points, thin lines along a "
        "grid. Where a backbone has a grid too, its best grid point is shown. Baselines that are "
        "no spectral function of the same vectors differ in more than this shape.",
        panels,
        legend=[look for name, look in looks.items() if name in set(drawn["refinement"])],
        csv=drawn.write_csv(float_precision=6),
        source=f"{artifacts.folder}/refine/{setup.dataset}/{setup.encoder}/<refinement>/"
        f"geometry.parquet and {artifacts.folder}/report/metrics.parquet",
    )


def best_scores(setup: Setup, metric: str, cutoff: int) -> pl.DataFrame:
    """Each refinement's best validation mean over the backbone's grid, on the first seed.

    Returns:
        refinement, refinement_entry, score, is_chosen: one row per refinement, in the runs' order.
    """
    return (
        setup.first.filter(split="valid", metric=metric, cutoff=cutoff)
        .group_by("refinement", "refinement_entry", maintain_order=True)
        .agg(score=pl.col("mean").max(), is_chosen=pl.col("is_chosen").any())
    )


def _measure_panel(
    measure: str, points: pl.DataFrame, raw: float | None, looks: dict[str, Style], metric: str
) -> Panel:
    """A mark for each refinement; ``raw``: where the raw vectors lie."""
    name = MEASURES[measure][0]
    rows = points.rows(named=True)

    def draw(axes: Axes) -> None:
        for _, group in points.group_by("refinement_entry", maintain_order=True):
            line = group.sort("value")
            axes.plot(line["value"], line["score"], color=MUTED, linewidth=0.8, zorder=1)
        for row in rows:
            look, at = looks[row["refinement"]], ([row["value"]], [row["score"]])
            axes.plot(*at, marker=look.marker, color=look.color, markersize=6, linestyle="none")
            if row["is_chosen"]:
                axes.plot(*at, marker="o", color=INK, markersize=11, fillstyle="none")
        if raw is not None:
            axes.axvline(raw, color=MUTED, linewidth=0.9, linestyle=":")
            where = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
            axes.annotate("raw", (raw, 1.0), (3, -9), **where, color=MUTED, fontsize=8)
        axes.margins(x=0.08, y=0.14)
        axes.set(xlabel=f"{name.lower()} of the refined vectors", ylabel=f"{metric} on validation")

    spoken = "; ".join(
        f"{looks[row['refinement']].label} {row['value']:.4g}, {row['score']:.4f}" for row in rows
    )
    alt = f"Scatter chart of {name.lower()} and {metric} on validation: {spoken}."
    return Panel(f"{name} against {metric}", alt, draw)
