"""Points and runs of a configuration."""

import pytest

from ace_steps import grid
from ace_steps.errors import InputError


def test_an_entry_without_lists_is_one_point_of_its_own_name():
    points = grid.expand({"svd": {"method": "svd", "gamma": 0.1}})
    assert points == {"svd": grid.Point("svd", "svd", {"method": "svd", "gamma": 0.1}, {})}


def test_lists_at_any_depth_are_crossed():
    points = grid.expand({"a": {"x": [1, 2], "deep": {"y": [0.5, 0.25], "z": 3}}})
    assert list(points) == ["a-x_1-y_0.5", "a-x_1-y_0.25", "a-x_2-y_0.5", "a-x_2-y_0.25"]
    last = points["a-x_2-y_0.25"]
    assert last.settings == {"x": 2, "deep": {"y": 0.25, "z": 3}}
    assert last.values == {"x": 2, "deep.y": 0.25}


def test_adding_a_value_leaves_the_other_points_as_they_were():
    before = grid.expand({"ace": {"lambda": [0, 50]}})
    after = grid.expand({"ace": {"lambda": [0, 5, 50]}})
    assert {name: after[name] for name in before} == before


def test_two_points_of_one_name_are_refused():
    with pytest.raises(InputError, match="two points are called 'a-x_1'"):
        grid.expand({"a": {"x": [1]}, "a-x_1": {"x": 1}})


def test_runs_are_every_combination():
    config = {
        "datasets": {"d": {}},
        "encoders": {"e": {}},
        "refinements": {"r": {"x": [1, 2]}},
        "backbones": {"b": {}},
        "seeds": [1, 2],
    }
    found = grid.runs(config)
    assert len(found) == 4
    assert found[0] == grid.Run("d", "e", "r-x_1", "b", 1)
