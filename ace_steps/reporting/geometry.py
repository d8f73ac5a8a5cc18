"""The chapter on the shape of the item vectors: spectra, measures, and measures against scores."""

import json
from itertools import cycle

import polars as pl
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from ace_steps.config import grid
from ace_steps.io.tables import VECTORS
from ace_steps.reporting import formatting, plots
from ace_steps.reporting.artifacts import Artifacts
from ace_steps.reporting.page import Block, Figure, Section, Table, Text
from ace_steps.reporting.plots import INK, MUTED, PLAIN, RING, Looks
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


def geometry_section(artifacts: Artifacts, looks: Looks) -> Section:
    """Spectra and measures of the vectors before and after each refinement."""
    text = (
        "Anisotropic vectors share a few dominant components: a steep spectrum, a mean cosine near "
        "1, a small effective rank. A refinement sets how much of that the recommender starts from."
    )
    caption, heads = "What the measures say.", ["measure", "meaning"]
    glossary = Table(caption, heads, MEASURES.values(), "the package", is_folded=True)
    section = Section("Geometry of the item vectors", "geometry", [Text(text), glossary])
    for dataset, encoder in artifacts.runs.select(VECTORS[:2]).unique(maintain_order=True).rows():
        spectra = artifacts.spectra.filter(dataset=dataset, encoder=encoder)
        geometry = artifacts.geometry.filter(dataset=dataset, encoder=encoder)
        folder = f"{artifacts.folder}/refine/{dataset}/{encoder}/<refinement>"
        title = f"{dataset} · {encoder}"
        blocks: list[Block] = []
        if len(spectra):
            blocks.append(_spectra_figure(spectra, looks, f"{dataset}/{encoder}", folder))
        if len(geometry):
            blocks.append(_geometry_table(artifacts.config, geometry, title, folder))
        if not blocks:
            blocks.append(Text("No spectrum and no geometry were found.", is_warning=True))
        section.parts.append(Section(title, f"geometry-{dataset}-{encoder}", blocks))
    return section


def _spectra_figure(spectra: pl.DataFrame, looks: Looks, name: str, folder: str) -> Figure:
    present = set(spectra["refinement"])
    shown = {name: look for name, look in looks.items() if name in present}
    with plots.panels(2) as axes:
        raw_spectrum(axes[0], spectra, shown)
        refined_spectrum(axes[1], spectra, shown)
    columns = ["refinement", "component", "singular_value", "gain"]
    return plots.finished(
        axes,
        f"spectra/{name}.svg",
        "Spectra of the item vectors before and after each refinement, logarithmic axes.",
        legend=list(shown.values()),
        data=spectra.filter(pl.col("gain") > 0).select(columns),
        source=f"{folder}/spectrum.parquet",
    )


def raw_spectrum(axes: Axes, spectra: pl.DataFrame, looks: Looks) -> None:
    """Singular values of the raw vectors, a line for each way the refinements read them."""
    ways: dict[tuple[float, ...], list[str]] = {}
    for name, look in looks.items():
        values = spectra.filter(pl.col("singular_value") > 0, refinement=name).sort("component")
        rounded = values["singular_value"].round_sig_figs(5)
        ways.setdefault(tuple(rounded), []).append(look.label)
    for (values, labels), line in zip(ways.items(), cycle(("-", "--", ":", "-."))):
        more = f" and {len(labels) - 1} more" if len(labels) > 1 else ""
        style = {"color": INK, "linestyle": line, "linewidth": 1.4}
        label = f"as read by {labels[0]}{more}"
        axes.plot(range(1, len(values) + 1), values, **style, label=label)
    if len(ways) > 1:
        axes.legend(loc="lower left")
    _label_spectrum(axes, "Before: raw vectors", "singular value of the raw vectors")


def refined_spectrum(axes: Axes, spectra: pl.DataFrame, looks: Looks) -> None:
    """Singular values after each refinement, relative to its strongest component."""
    for name in sorted(looks, key=lambda name: looks[name].line != "-"):  # dashes on top
        look, rows = looks[name], spectra.filter(pl.col("gain") > 0, refinement=name)
        gain = rows.sort("component")["gain"]
        style = {"color": look.color, "linestyle": look.line, "linewidth": 1.5}
        style |= {"marker": look.marker, "markersize": 5, "markevery": [-1]}
        axes.plot(range(1, len(gain) + 1), gain / gain.max(), **style)
    _label_spectrum(axes, "After: refined vectors", "singular value / the largest one")


def _label_spectrum(axes: Axes, title: str, label: str) -> None:
    axes.set(title=title, xlabel="component, strongest first", ylabel=label)
    axes.set(xscale="log", yscale="log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PLAIN)
        axis.set_minor_formatter(NullFormatter())


def _geometry_table(config: dict, geometry: pl.DataFrame, title: str, folder: str) -> Table:
    """A row for the raw vectors and one for each refinement, a column for each measure."""
    measured = geometry["measure"].unique().sort().to_list()
    measures = [m for m in MEASURES if m in measured] + [m for m in measured if m not in MEASURES]
    values = {(r["refinement"], r["stage"], r["measure"]): r["value"] for r in geometry.to_dicts()}
    lambdas = dict(geometry.select("refinement", "lambda").iter_rows())
    points = grid.expand(config["refinements"])
    present = [name for name in points if name in lambdas]
    rows = [
        ["raw vectors", None, *(values.get((present[0], "raw", measure)) for measure in measures)]
    ]
    for name in present:
        label = formatting.grid_point(points[name].entry, json.dumps(points[name].values))
        refined = (values.get((name, "refined", measure)) for measure in measures)
        rows.append([label, lambdas[name], *refined])
    heads = [MEASURES[m][0] if m in MEASURES else formatting.phrase(m) for m in measures]
    caption = (
        f"Geometry of the item vectors of {title}, raw and after each refinement; λ as used, also "
        "where it was solved for."
    )
    source = f"{folder}/geometry.parquet, λ from its provenance"
    return Table(caption, ["vectors", "λ", *heads], rows, source)


def geometry_figure(artifacts: Artifacts, setup: Setup, looks: Looks) -> Figure | None:
    """Effective rank and mean cosine against the metric that chooses; None without geometry."""
    selection = selection_metric(artifacts.config)
    metric = formatting.metric(*selection)
    scores = best_scores(setup, *selection)
    geometry = artifacts.geometry.filter(dataset=setup.dataset, encoder=setup.encoder)
    measured = scores.join(geometry, on="refinement", maintain_order="left_right")
    refined = measured.filter(stage="refined").select(*scores.columns, "value", "measure")
    drawn = [measure for measure in AGAINST_SCORES if measure in refined["measure"]]
    if not drawn:
        return None
    with plots.panels(len(drawn)) as axes:
        for panel, measure in zip(axes, drawn, strict=True):
            name, raw = MEASURES[measure][0], geometry.filter(measure=measure, stage="raw")["value"]
            scores_by_measure(panel, refined.filter(measure=measure), raw[:1], looks)
            label = f"{name.lower()} of the refined vectors"
            panel.set(title=f"{name} against {metric}", xlabel=label)
            panel.set(ylabel=f"{metric} on validation")
    data = refined.filter(pl.col("measure").is_in(AGAINST_SCORES))
    return plots.finished(
        axes,
        f"geometry/{setup.path}.svg",
        f"Shape of the vectors a training starts from against {metric} on validation, seed "
        f"{artifacts.config['seeds'][0]}; rings at the chosen grid points, thin lines along a "
        "grid. Where a backbone has a grid too, its best grid point is shown. Baselines that are "
        "no spectral function of the same vectors differ in more than this shape.",
        legend=[look for name, look in looks.items() if name in data["refinement"]],
        data=data,
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


def scores_by_measure(axes: Axes, points: pl.DataFrame, raw: pl.Series, looks: Looks) -> None:
    """A mark for each refinement at (value, score), a line at ``raw``, empty where not known."""
    for _, group in points.group_by("refinement_entry", maintain_order=True):
        line = group.sort("value")
        axes.plot(line["value"], line["score"], color=MUTED, linewidth=0.8, zorder=1)
    for row in points.to_dicts():
        look, at = looks[row["refinement"]], ([row["value"]], [row["score"]])
        axes.plot(*at, marker=look.marker, color=look.color, markersize=6, linestyle="none")
        if row["is_chosen"]:
            axes.plot(*at, **RING)
    for value in raw:
        axes.axvline(value, color=MUTED, linewidth=0.9, linestyle=":")
        where = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
        axes.annotate("raw", (value, 1.0), (3, -9), **where, color=MUTED, fontsize=8)
    axes.margins(x=0.08, y=0.14)
