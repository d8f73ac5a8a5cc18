import json

import polars as pl
import pytest
from matplotlib.figure import Figure as Canvas

from ace_steps.reporting.grids import draw_grid, grid_lines
from ace_steps.reporting.plots import RING, Style


def means_of(points, chosen=""):
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


def values_of(line):
    return [(row["x"], row["mean"]) for row in line.rows]


def test_a_grid_is_a_line_in_the_order_of_its_values():
    points = [("ace", {"lambda": 50}, 0.1), ("ace", {"lambda": 0}, 0.3), ("svd", {}, 0.2)]
    key, (line,) = grid_lines(means_of(points))
    assert key == "lambda"
    assert values_of(line) == [(0, 0.3), (50, 0.1)]


def test_the_curve_is_over_lambda_wherever_there_is_a_grid_of_it():
    points = [("random", {"std": x}, 0.1) for x in (0.02, 0.1, 0.5)]
    points += [("ace", {"lambda": x}, 0.2) for x in (0, 5)]
    assert grid_lines(means_of(points))[0] == "lambda"
    assert grid_lines(means_of(points[:4]))[0] == "std"  # one lambda is no grid


def test_two_crossed_grids_are_a_line_for_each_value_of_the_shorter():
    points = [("ace", {"lambda": x, "gamma": g}, x * g) for x in (0, 5, 50) for g in (1, 2)]
    key, lines = grid_lines(means_of(points))
    assert key == "lambda"
    assert [values_of(line) for line in lines] == [[(x, x * g) for x in (0, 5, 50)] for g in (1, 2)]


@pytest.mark.parametrize("values", [[], ["mean", "last"], [True, False]])
def test_a_grid_that_holds_no_numbers_is_no_line(values):
    points = [("ace", {"kind": value}, 0.5) for value in values] or [("ace", {}, 0.5)]
    assert grid_lines(means_of(points)) == ("", [])


def test_the_chosen_value_has_a_ring_and_a_chosen_refinement_without_a_grid_is_a_level():
    points = [("ace", {"lambda": x}, x / 10) for x in (0, 5)]
    table = pl.concat([means_of(points, '{"lambda": 5}'), means_of([("svd", {}, 0.2)], "{}")])
    looks = dict.fromkeys(table["refinement"], Style("", "#7a828a", "-", "s"))
    axes = Canvas().add_subplot()
    draw_grid(axes, table, looks, "-")
    rings = [line for line in axes.lines if line.get_markersize() == RING["markersize"]]
    assert [line.get_xydata().tolist() for line in rings] == [[[5, 0.5]]]
    assert axes.lines[0].get_xydata().tolist() == [[0, 0.2], [1, 0.2]]
    assert axes.get_xlabel() == "λ"
