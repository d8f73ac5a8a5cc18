"""The report's section on the shape of the item vectors: spectra and measures."""

import json

import polars as pl

from ace_steps.config import grid
from ace_steps.io.tables import VECTORS
from ace_steps.reporting import figures, wording
from ace_steps.reporting.artifacts import Artifacts
from ace_steps.reporting.page import Block, Cell, Column, Figure, Section, Table, Text
from ace_steps.reporting.svg import Style, figure_of

MEASURES = {
    "mean_cosine": ("Mean cosine", "Over all pairs of items; 1: all point one way, 0: no lean."),
    "effective_rank": (
        "Effective rank",
        "Directions in use: exp of the entropy of s.",
    ),
    "effective_rank_share": ("Effective rank share", "The effective rank as a share of dim."),
    "isoscore": ("IsoScore", "Evenness of the variance: 1 on a sphere, 0 on a line."),
    "partition_ratio": ("Partition ratio", "Least over largest sum of exp(cosine); 1: isotropic."),
    "top_share": ("Top share", "Energy in the strongest direction, s₁² over the sum."),
    "participation_ratio": ("Participation ratio", "(sum s²)² / sum s⁴, in directions."),
    "neighbour_overlap": ("Neighbours kept", "Share of the ten nearest raw items that stay so."),
    "reconstruction_error": (
        "Reconstr. error",
        "Energy the linear autoencoder loses.",
    ),
}
RAW = "raw vectors"


def geometry_section(artifacts: Artifacts, looks: dict[str, Style]) -> Section:
    """Spectra and measures of the vectors before and after each refinement."""
    parts = []
    for pair in artifacts.runs.select(VECTORS[:2]).unique(maintain_order=True).rows():
        dataset, encoder = pair
        is_mine = (pl.col("dataset") == dataset) & (pl.col("encoder") == encoder)
        spectra, geometry = artifacts.spectra.filter(is_mine), artifacts.geometry.filter(is_mine)
        where = f"{artifacts.folder}/refine/{dataset}/{encoder}/<refinement>"
        blocks: list[Block] = []
        if len(spectra):
            blocks.append(_spectra_figure(spectra, looks, f"{dataset}/{encoder}", where))
        if len(geometry):
            blocks.append(_geometry_table(artifacts, geometry, pair, where))
        if not blocks:
            blocks.append(Text("No spectrum and no geometry were found.", is_warning=True))
        anchor = f"geometry-{dataset}-{encoder}"
        parts.append(Section(" · ".join(pair), anchor, tuple(blocks)))
    text = Text(
        "Anisotropic vectors share a few dominant directions: a steep spectrum, a mean cosine near "
        "1, a small effective rank. A refinement sets how much of that the recommender starts from."
    )
    return Section("Geometry of the item vectors", "geometry", (text, _glossary()), tuple(parts))


def _spectra_figure(
    spectra: pl.DataFrame, looks: dict[str, Style], file: str, where: str
) -> Figure:
    """Singular values before, and after relative to the strongest."""
    present = set(spectra["refinement"])
    shown = {name: look for name, look in looks.items() if name in present}
    columns = ["refinement", "component", "singular_value", "gain"]
    rounded = pl.col("singular_value", "gain").round_sig_figs(6)
    return figure_of(
        f"spectra/{file}.svg",
        "Spectra of the item vectors before and after each refinement, logarithmic axes.",
        [figures.raw_spectrum(spectra, shown), figures.gain_spectrum(spectra, shown)],
        looks=shown,
        csv=spectra.filter(pl.col("gain") > 0).select(columns).with_columns(rounded).write_csv(),
        source=f"{where}/spectrum.parquet",
    )


def _geometry_table(
    artifacts: Artifacts, geometry: pl.DataFrame, pair: tuple[str, str], where: str
) -> Table:
    """A row for the raw vectors and one for each refinement, a column for each measure."""
    found = geometry["measure"].unique().sort().to_list()
    measures = [m for m in MEASURES if m in found] + [m for m in found if m not in MEASURES]
    values = {(r["refinement"], r["stage"], r["measure"]): r["value"] for r in geometry.to_dicts()}
    points = grid.expand(artifacts.config["refinements"])
    present = [name for name in points if name in set(geometry["refinement"])]
    lambdas = {name: artifacts.refinements.get((*pair, name), {}).get("lambda") for name in present}
    raw = [values.get((present[0], "raw", measure)) for measure in measures]
    rows = [(Cell(RAW, RAW), _cell(None), *map(_cell, raw))]
    for name in present:
        label = wording.point(points[name].entry, json.dumps(points[name].values))
        mine = [values.get((name, "refined", measure)) for measure in measures]
        rows.append((Cell(label, label), _cell(lambdas[name]), *map(_cell, mine)))
    heads = ["λ", *(_name(measure) for measure in measures)]
    columns = (Column("vectors", is_number=False), *map(Column, heads))
    caption = (
        f"Geometry of the item vectors of {' · '.join(pair)}, raw and after each refinement; λ as "
        "used, also where it was solved for."
    )
    return Table(caption, columns, tuple(rows), f"{where}/geometry.parquet, λ from its provenance")


def _glossary() -> Table:
    rows = tuple((Cell(name, name), Cell(meaning)) for name, meaning in MEASURES.values())
    columns = (Column("measure", is_number=False), Column("meaning", is_number=False))
    return Table("What the measures say.", columns, rows, "the package", is_folded=True)


def _name(measure: str) -> str:
    return MEASURES[measure][0] if measure in MEASURES else wording.phrase(measure)


def _cell(value: float | None) -> Cell:
    return Cell(wording.number(value), value)
