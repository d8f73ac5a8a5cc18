import json
import re
from xml.etree import ElementTree

import polars as pl
import pytest

from ace_steps.config import grid
from ace_steps.reporting.figures import gain_spectrum, styles
from ace_steps.reporting.grid_lines import grid_lines, metric_over_grid
from ace_steps.reporting.sheets import sheet
from ace_steps.reporting.svg import Style, figure_of, render, shortened, variables
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


def test_points_that_are_no_grid_differ_in_more_than_colour():
    looks = styles(POINTS)
    one, other = looks["random"], looks["svd"]
    assert one.color != other.color
    assert (one.line, one.marker) != (other.line, other.marker)


def test_points_of_a_grid_are_solid_in_colours_of_their_own():
    looks = [look for name, look in styles(POINTS).items() if POINTS[name].entry == "ace"]
    assert {look.line for look in looks} == {"-"}
    assert len({look.color for look in looks}) == 3
    assert [look.label for look in looks] == ["ace (λ = 0)", "ace (λ = 5)", "ace (λ = 50)"]


def test_every_colour_of_a_figure_has_one_for_a_dark_page():
    looks = styles(POINTS)
    light = {pair[0] for pair in variables().values()}
    assert {look.color for look in looks.values()} <= light


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
    _, drawing = metric_over_grid(table, {}, title="NDCG@10", split="valid")
    assert "0.2500 at λ 0, 0.5000 at λ 5 (chosen)" in drawing.alt


def test_gains_are_drawn_relative_to_the_strongest_and_end_where_they_end():
    table = spectra_of({"random": [4.0, 2.0, 1.0, 0.0], "svd": [3.0, 3.0, 3.0, 0.0]})
    drawing = gain_spectrum(table, {name: styles(POINTS)[name] for name in ("random", "svd")})
    assert "random 0.25; svd 1." in drawing.alt


def test_a_figure_is_the_same_every_time_and_its_ids_are_its_own():
    table = spectra_of({"random": [4.0, 2.0], "svd": [3.0, 3.0]})
    looks = {name: styles(POINTS)[name] for name in ("random", "svd")}
    drawing = gain_spectrum(table, looks)
    one, other = render(drawing, "one"), render(drawing, "two")
    assert one == render(drawing, "one")
    assert 'id="one-title"' in one
    assert one.replace("one-", "two-") == other
    assert "<metadata>" not in one
    assert "<style" not in one


def test_a_panel_keeps_only_the_ids_that_something_refers_to():
    looks = {"random": styles(POINTS)["random"]}
    text = render(gain_spectrum(spectra_of({"random": [4.0, 2.0, 1.0]}), looks), "one")
    ids = re.findall(r'\bid="([^"]+)"', text)
    wanted = re.findall(r'(?:href="#|url\(#)([^")]+)', text)
    assert len(ids) == len(set(ids))
    assert set(ids) == {*wanted, "one-title", "one-desc"}


def sheet_of(gains: dict[str, list[float]], panels: int) -> str:
    looks = {name: styles(POINTS)[name] for name in gains}
    drawing = gain_spectrum(spectra_of(gains), looks)
    drawings = [drawing] * panels
    return sheet(figure_of("a/b.svg", "What.", drawings, looks=looks, csv="x\n", source="a file"))


def test_a_file_of_its_own_is_one_image_with_fixed_colours_a_title_and_a_legend():
    text = sheet_of({"random": [4.0, 2.0], "svd": [3.0, 3.0]}, 2)
    assert "var(--" not in text
    root = ElementTree.fromstring(text)
    assert root.attrib["role"] == "img"
    words = ["".join(found.itertext()) for found in root.iter(f"{SVG}text")]
    assert {"random", "svd"} <= set(words)
    assert words.count("After: refined vectors") == 2
    assert len(list(root.iter(f"{SVG}title"))) == len(list(root.iter(f"{SVG}desc"))) == 1


def test_panels_of_a_file_stand_side_by_side_and_the_legend_below_them():
    root = ElementTree.fromstring(sheet_of({"random": [4.0, 2.0], "svd": [3.0, 3.0]}, 2))
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    panels = [
        child for child in root.findall(f"{SVG}svg") if "swatch" not in child.get("class", "")
    ]
    places = [
        tuple(float(panel.get(key)) for key in ("x", "y", "width", "height")) for panel in panels
    ]
    assert len(places) == 2
    assert places[0][0] + places[0][2] == places[1][0]
    assert places[1][0] + places[1][2] == width
    (legend,) = root.findall(f"{SVG}g")
    below = float(re.findall(r"translate\(0 ([\d.]+)\)", legend.get("transform"))[0])
    assert places[0][1] + places[0][3] <= below < height


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
