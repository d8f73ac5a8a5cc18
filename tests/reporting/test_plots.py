import json
from xml.etree import ElementTree

import polars as pl
import pytest

from ace_steps.config import grid
from ace_steps.reporting.geometry import gain_spectrum
from ace_steps.reporting.grids import grid_lines, grid_panel
from ace_steps.reporting.plots import Style, plot, shortened, styles
from tests.reporting.made_results import made_config

SVG = "{http://www.w3.org/2000/svg}"
POINTS = grid.expand(made_config([0, 5, 50], [1], ("random", "svd"))["refinements"])


def means_of(points: list[tuple[str, dict, float]], chosen: str = "") -> pl.DataFrame:
    """Validation means of one metric: (entry, grid values, mean) each."""
    return pl.DataFrame(
        [
            {
                "refinement": f"{entry}{json.dumps(values)}",
                "refinement_entry": entry,
                "refinement_point": json.dumps(values),
                "backbone_point": "{}",
                "is_chosen": json.dumps(values) == chosen,
                "mean": mean,
            }
            for entry, values, mean in points
        ]
    )


def spectra_of(gains: dict[str, list[float]]) -> pl.DataFrame:
    rows = [
        {"refinement": name, "component": place, "singular_value": 9.0 / place, "gain": gain}
        for name, values in gains.items()
        for place, gain in enumerate(values, start=1)
    ]
    return pl.DataFrame(rows)


def test_points_that_are_no_grid_differ_in_more_than_color():
    looks = styles(POINTS)
    one, other = looks["random"], looks["svd"]
    assert one.color != other.color
    assert (one.line, one.marker) != (other.line, other.marker)


def test_points_of_a_grid_are_solid_in_colors_of_their_own():
    looks = [look for name, look in styles(POINTS).items() if POINTS[name].entry == "ace"]
    assert {look.line for look in looks} == {"-"}
    assert len({look.color for look in looks}) == 3
    assert [look.label for look in looks] == ["ace (λ = 0)", "ace (λ = 5)", "ace (λ = 50)"]


def test_a_grid_is_a_line_in_the_order_of_its_values():
    points = [("ace", {"lambda": 50}, 0.1), ("ace", {"lambda": 0}, 0.3), ("svd", {}, 0.2)]
    key, (line,) = grid_lines(means_of(points))
    assert key == "lambda"
    assert (line.x, line.y) == ([0, 50], [0.3, 0.1])


def test_the_curve_is_over_lambda_wherever_there_is_a_grid_of_it():
    points = [("random", {"std": x}, 0.1) for x in (0.02, 0.1, 0.5)]
    points += [("ace", {"lambda": x}, 0.2) for x in (0, 5)]
    assert grid_lines(means_of(points))[0] == "lambda"
    assert grid_lines(means_of(points[:4]))[0] == "std"  # one lambda is no grid


def test_two_crossed_grids_are_a_line_for_each_value_of_the_shorter():
    points = [
        ("ace", {"lambda": x, "gamma": g}, x * g) for x in (0, 5, 50) for g in (0.1, 0.2)
    ]  # fmt: skip
    key, lines = grid_lines(means_of(points))
    assert key == "lambda"
    assert [line.x for line in lines] == [[0, 5, 50]] * 2
    assert lines[1].y == pytest.approx([0, 1, 10])


@pytest.mark.parametrize("values", [[], ["mean", "last"], [True, False]])
def test_a_grid_that_holds_no_numbers_is_no_line(values):
    points = [("ace", {"kind": value}, 0.5) for value in values] or [("ace", {}, 0.5)]
    assert grid_lines(means_of(points)) == ("", [])


def test_the_words_of_a_grid_hold_its_numbers_and_its_choice():
    table = means_of(
        [("ace", {"lambda": 0}, 0.25), ("ace", {"lambda": 5}, 0.5)], chosen='{"lambda": 5}'
    )
    panel = grid_panel(table, {}, title="NDCG@10", split="valid")
    assert "0.2500 at λ 0, 0.5000 at λ 5 (chosen)" in panel.alt


def test_gains_are_drawn_relative_to_the_strongest_and_end_where_they_end():
    table = spectra_of({"random": [4.0, 2.0, 1.0, 0.0], "svd": [3.0, 3.0, 3.0, 0.0]})
    panel = gain_spectrum(table, {name: styles(POINTS)[name] for name in ("random", "svd")})
    assert "random init 0.25; svd 1." in panel.alt


def figure_of(n_panels: int):
    gains = {"random": [4.0, 2.0], "svd": [3.0, 3.0]}
    looks = {name: styles(POINTS)[name] for name in gains}
    panels = [gain_spectrum(spectra_of(gains), looks)] * n_panels
    legend = list(looks.values())
    return plot("a/b.svg", "What.", panels, legend=legend, csv="x\n", source="a file")


def test_a_figure_is_one_image_with_all_panels_a_title_and_a_legend():
    figure = figure_of(2)
    root = ElementTree.fromstring(figure.svg)
    words = ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]
    assert words.count("After: refined vectors") == 2
    assert words.count("random init") == words.count("svd") == 1
    assert [element.text for element in root.iter(f"{SVG}title")] == ["What."]
    assert figure == figure_of(2)  # the same bytes every time
    assert "dc:date" not in figure.svg


def test_more_than_two_panels_stand_below_one_another():
    sizes = [figure_of(n).size for n in (1, 2, 3)]
    assert sizes[0][0] < sizes[1][0] == sizes[2][0]
    assert sizes[0][1] == sizes[1][1] < sizes[2][1]


def test_a_long_ramp_is_told_by_its_ends():
    looks = [Style(f"ace {i}", "#000000", "-", "o", "ace") for i in range(9)]
    others = [Style("random", "#7a828a", "--", "s"), Style("svd", "#e69f00", ":", "^")]
    found = [look.label for look in shortened([others[0], *looks, others[1]])]
    assert found == ["random", "from ace 0", "to ace 8", "svd"]
    assert shortened(looks[:3]) == looks[:3]


def test_only_the_two_largest_grids_are_ramps():
    config = made_config([0, 5, 50, 500], [1], ("random", "llm2x", "svd"))
    config["refinements"]["random"]["std"] = [0.01, 0.02, 0.05]
    config["refinements"]["svd"]["gamma"] = [0.1, 0.2, 0.3]
    points = grid.expand(config["refinements"])
    looks = styles(points)
    assert {points[name].entry for name, look in looks.items() if look.ramp} == {"random", "ace"}
    of_svd = [look for name, look in looks.items() if points[name].entry == "svd"]
    assert len({look.color for look in of_svd}) == len({look.marker for look in of_svd}) == 1
    assert len({look.line for look in of_svd}) == 3
