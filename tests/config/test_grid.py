"""Grid points and runs of a configuration."""

import copy
import re

import pytest

from ace_steps.backbones.sasrec import SasRecSettings
from ace_steps.config import grid
from ace_steps.errors import InputError
from ace_steps.refine.ace import AceSettings
from ace_steps.refine.baselines import RandomSettings, SvdSettings


def refinement(model=AceSettings, **values):
    """A refinement's resolved settings as JSON values."""
    return model.model_validate({"method": values.pop("method", "ace"), **values}).as_json()


def svd(**values):
    return refinement(SvdSettings, method="svd", **values)


def sasrec(**values):
    return SasRecSettings.model_validate(values).as_json()


def test_an_entry_without_lists_and_of_defaults_is_one_grid_point_of_its_own_name():
    settings = svd()
    assert grid.expand({"svd": settings}) == {"svd": grid.Point("svd", "svd", settings, {})}


def test_lists_at_any_depth_are_crossed():
    settings = sasrec(max_length=[20, 50], training={"lr": [0.001, 0.01], "epochs": 3})
    points = grid.expand({"a": settings})
    assert [point.values for point in points.values()] == [
        {"max_length": length, "training.lr": lr} for length in (20, 50) for lr in (0.001, 0.01)
    ]
    last = list(points.values())[-1]
    wanted = copy.deepcopy(settings)
    wanted["max_length"], wanted["training"]["lr"] = 50, 0.01
    assert last.settings == wanted


def test_the_name_is_the_entry_and_every_value_that_is_not_its_default():
    points = grid.expand({"a": sasrec(training={"lr": [0.001, 0.01], "epochs": 3})})
    assert list(points) == ["a-epochs_3", "a-lr_0.01-epochs_3"]
    points = grid.expand({"mine": svd(gamma=[0.2, 0.4])})
    assert list(points) == ["mine", "mine-gamma_0.4"]


def test_what_sets_the_dial_is_always_in_the_name():
    points = grid.expand({"ace": refinement(lambda_=[0, 5])})
    assert list(points) == ["ace-lambda_0", "ace-lambda_5"]
    points = grid.expand({"ace": refinement()})
    assert list(points) == ["ace-lambda_rel_0", "ace-lambda_rel_0.1", "ace-lambda_rel_1"]


def test_the_dim_is_in_the_name_of_the_refinement_alone():
    assert list(grid.expand({"svd": svd(dim=16)})) == ["svd-dim_16"]
    assert list(grid.expand({"sasrec": sasrec(dim=16)})) == ["sasrec"]


def test_a_value_that_was_a_grid_of_one_or_none_has_the_same_name():
    one, none = (grid.expand({"ace": refinement(lambda_=given)}) for given in ([5], 5))
    assert list(one) == list(none) == ["ace-lambda_5"]
    assert one["ace-lambda_5"].settings == {**none["ace-lambda_5"].settings, "lambda": 5}


def test_a_changed_value_has_a_name_of_its_own():
    before, after = (grid.expand({"ace": refinement(lambda_=5, gamma=g)}) for g in (0.1, 0.3))
    assert not set(before) & set(after)


def test_adding_a_value_leaves_the_other_grid_points_as_they_were():
    before = grid.expand({"ace": refinement(lambda_=[0, 50])})
    after = grid.expand({"ace": refinement(lambda_=[0, 5, 50])})
    assert {name: after[name] for name in before} == before


def test_names_are_folders_that_no_reader_takes_for_a_partition():
    target = {"mean_cosine": [-0.01, 0.5]}
    settings = sasrec(
        max_length=[20, 30], dropout=0.123, attention_dropout=0.21, num_heads=[1, 4],
        num_layers=[1, 3], inner_dim=[32, 64],
        training={
            "lr": [1e-5, 3e-05], "weight_decay": 0.01, "lr_schedule": "linear", "epochs": 17,
            "batch_size": 100_000, "num_negatives": 12345, "warmup_steps": 1234,
            "optimizer": "adamw", "window_stride": 7, "patience": 3, "metric": "mrr",
        },
    )  # fmt: skip
    entries = {"ace": refinement(target=target), "a": settings}
    points = grid.expand(entries)
    assert len(points) == 2 + 2**5
    for name in points:
        assert re.fullmatch(r"[A-Za-z0-9._+-]{1,120}", name)


def test_two_grid_points_of_one_name_are_refused():
    with pytest.raises(InputError, match=r"'a-gamma_0\.1'"):
        grid.expand({"a": svd(gamma=0.1), "a-gamma_0.1": svd()})


CONFIG = {
    "datasets": {"d": {}},
    "encoders": {"e": {}, "f": {}},
    "refinements": {
        "random": RandomSettings().as_json(),
        "r": refinement(lambda_=[1, 2]),
    },
    "backbones": {"b": sasrec(training={"lr": [3, 4]})},
    "seeds": [7, 8],
}


def test_every_grid_point_of_a_cell_runs_on_the_first_seed():
    plan = grid.Plan(CONFIG)
    found = plan.first_runs(grid.Cell("d", "f", "r", "b"))
    assert [(run.refinement, run.backbone) for run in found] == [
        ("r-lambda_1", "b-lr_3"),
        ("r-lambda_1", "b-lr_4"),
        ("r-lambda_2", "b-lr_3"),
        ("r-lambda_2", "b-lr_4"),
    ]
    assert {run.seed for run in found} == {7}


def test_the_chosen_grid_point_alone_runs_on_all_seeds():
    plan = grid.Plan(CONFIG)
    cell = grid.Cell("d", "f", "r", "b")
    chosen = plan.first_runs(cell)[2]
    assert plan.runs(cell, chosen) == [*plan.first_runs(cell), chosen._replace(seed=8)]


def test_a_refinement_without_an_encoder_is_run_with_the_first_encoder_alone():
    plan = grid.Plan(CONFIG)
    assert [cell[1:3] for cell in plan.cells] == [("e", "random"), ("e", "r"), ("f", "r")]
    away = grid.Run("d", "f", "random", "b-lr_3", 8)
    assert plan.home_run(away) == away._replace(encoder="e")
    own = grid.Run("d", "f", "r-lambda_1", "b-lr_3", 8)
    assert plan.home_run(own) == own
