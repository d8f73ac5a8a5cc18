import polars as pl
import pytest
from matplotlib.figure import Figure as Canvas

from ace_steps.reporting.geometry import geometry_section, raw_spectrum, refined_spectrum
from ace_steps.reporting.page import Table
from ace_steps.reporting.plots import Style

LOOKS = {name: Style(name, "#7a828a", "-", "o") for name in ("ace", "svd", "centered")}


def spectra_of(gains, factor=1.0):
    rows = [
        {"refinement": name, "component": i, "singular_value": factor * 9.0 / i, "gain": gain}
        for name, values in gains.items()
        for i, gain in enumerate(values, start=1)
    ]
    return pl.DataFrame(rows)


def test_gains_are_drawn_relative_to_the_strongest_and_end_where_they_end():
    axes = Canvas().add_subplot()
    spectra = spectra_of({"ace": [4.0, 2.0, 1.0, 0.0], "svd": [3.0, 3.0, 3.0, 0.0]})
    refined_spectrum(axes, spectra, {name: LOOKS[name] for name in ("ace", "svd")})
    assert [list(line.get_ydata()) for line in axes.lines] == [[1, 0.5, 0.25], [1, 1, 1]]


def test_raw_spectra_are_a_line_for_each_way_the_vectors_were_read():
    axes = Canvas().add_subplot()
    same, other = spectra_of({"ace": [1.0], "svd": [1.0]}), spectra_of({"centered": [1.0]}, 0.5)
    raw_spectrum(axes, pl.concat([same, other]), LOOKS)
    assert [list(line.get_ydata()) for line in axes.lines] == [[9.0], [4.5]]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["as read by ace and 1 more", "as read by centered"]


def test_measures_stand_beside_the_lambda_that_was_used(artifacts):
    (part,) = geometry_section(
        artifacts, dict.fromkeys(artifacts.runs["refinement"], LOOKS["ace"])
    ).parts
    (table,) = (block for block in part.blocks if isinstance(block, Table))
    lambdas = {row[0].text: row[1].value for row in table.rows}
    assert lambdas == {
        **{"raw vectors": None, "random init": None, "whitening": None},
        **{f"ace (λ = {value})": value for value in (0, 5, 50)},
    }
    ranks = [row[table.heads.index("Effective rank")].value for row in table.rows]
    assert ranks[3] == pytest.approx(16)  # without damping all components are equal
    assert ranks[0] < ranks[5] < ranks[4] < ranks[3]
