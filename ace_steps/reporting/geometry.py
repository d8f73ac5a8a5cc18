"""The report's section on the shape of the item vectors: spectra and measures."""

import json

import polars as pl

from ace_steps import grid
from ace_steps.reporting import figures, wording
from ace_steps.reporting.artifacts import Artifacts
from ace_steps.reporting.page import Block, Cell, Column, Figure, Section, Table, Text
from ace_steps.reporting.svg import Style, figure_of
from ace_steps.tables import VECTORS

MEASURES = ("mean_cosine", "effective_rank", "isoscore", "top_share", "participation_ratio")
RAW = "raw vectors"


def geometry_section(artifacts: Artifacts, looks: dict[str, Style]) -> Section:
    """Spectra and measures of the vectors before and after each refinement."""
    parts = []
    for dataset, encoder in artifacts.runs.select(VECTORS[:2]).unique(maintain_order=True).rows():
        is_mine = (pl.col("dataset") == dataset) & (pl.col("encoder") == encoder)
        spectra, geometry = artifacts.spectra.filter(is_mine), artifacts.geometry.filter(is_mine)
        where = f"{artifacts.folder}/refine/{dataset}/{encoder}/<refinement>"
        blocks: list[Block] = []
        if len(spectra):
            blocks.append(_spectra_figure(spectra, looks, f"{dataset}/{encoder}", where))
        if len(geometry):
            blocks.append(_geometry_table(geometry, artifacts.config, where))
        if not blocks:
            blocks.append(Text("No spectrum and no geometry were found.", is_warning=True))
        anchor = f"geometry-{dataset}-{encoder}"
        parts.append(Section(f"{dataset} · {encoder}", anchor, tuple(blocks)))
    text = Text(
        "Anisotropic vectors share a few dominant directions: a steep spectrum, a mean cosine near "
        "1, a small effective rank. A refinement sets how much of that the recommender starts from."
    )
    return Section("Geometry of the item vectors", "geometry", (text,), tuple(parts))


def _spectra_figure(
    spectra: pl.DataFrame, looks: dict[str, Style], file: str, where: str
) -> Figure:
    """Singular values before, and after relative to the strongest."""
    present = set(spectra["refinement"])
    shown = {name: look for name, look in looks.items() if name in present}
    drawings = [
        figures.raw_spectrum(spectra, shown),
        figures.gain_spectrum(spectra, shown),
    ]
    wide = (
        spectra.with_columns(pl.col("singular_value", "gain").round_sig_figs(6))
        .select("refinement", "component", "singular_value", "gain")
        .write_csv()
    )
    caption = "Spectra of the item vectors before and after each refinement, logarithmic axes."
    source = f"{where}/spectrum.parquet"
    return figure_of(f"spectra/{file}.svg", caption, drawings, looks=shown, csv=wide, source=source)


def _geometry_table(geometry: pl.DataFrame, config: dict, where: str) -> Table:
    """A row for the raw vectors and one for each refinement, a column for each measure."""
    found = geometry["measure"].unique().to_list()
    measures = [m for m in MEASURES if m in found] + sorted(set(found) - set(MEASURES))
    points = grid.expand(config["refinements"])
    values = {(r["refinement"], r["stage"], r["measure"]): r["value"] for r in geometry.to_dicts()}
    present = [name for name in points if name in set(geometry["refinement"])]
    raw = [
        next((values[n, "raw", m] for n in present if (n, "raw", m) in values), None)
        for m in measures
    ]
    rows = [(Cell(RAW, RAW), *(Cell(wording.number(value), value) for value in raw))]
    for name in present:
        label = wording.point(points[name].entry, json.dumps(points[name].values))
        mine = [values.get((name, "refined", measure)) for measure in measures]
        rows.append((Cell(label, label), *(Cell(wording.number(v), v) for v in mine)))
    columns = (Column("vectors", is_number=False), *(Column(wording.phrase(m)) for m in measures))
    caption = "Geometry of the item vectors, raw and after each refinement."
    return Table(caption, columns, tuple(rows), f"{where}/geometry.parquet")
