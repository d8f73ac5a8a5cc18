"""Grid points and runs of a configuration."""

import re
from functools import partial

import pytest

from ace_steps.config import grid
from ace_steps.errors import InputError
from ace_steps.registry import BACKBONES, REFINEMENTS


def refinement(method, **values):
    """A refinement's resolved settings as JSON values."""
    return REFINEMENTS[method].settings_class().model_validate(values).as_json()


ace, svd = partial(refinement, "ace"), partial(refinement, "svd")


def sasrec(**values):
    return BACKBONES["sasrec"].settings_class().model_validate(values).as_json()


def test_an_entry_without_lists_and_of_defaults_is_one_grid_point_of_its_own_name():
    settings = svd()
    assert grid.expand({"svd": settings}) == {"svd": grid.Point("svd", "svd", settings, {})}


def test_lists_at_any_depth_are_crossed():
    training = {"lr": [0.001, 0.01], "epochs": 3}
    points = grid.expand({"a": sasrec(max_length=[20, 50], training=training)})
    assert [point.values for point in points.values()] == [
        {"max_length": length, "training.lr": lr} for length in (20, 50) for lr in (0.001, 0.01)
    ]
    last = list(points.values())[-1]
    assert last.settings == sasrec(max_length=50, training={"lr": 0.01, "epochs": 3})


@pytest.mark.parametrize(
    ("entry", "settings", "names"),
    [
        ("mine", svd(gamma=[0.2, 0.4]), ["mine", "mine-gamma_0.4"]),
        (
            "a",
            sasrec(training={"lr": [0.001, 0.01], "epochs": 3}),
            ["a-epochs_3", "a-lr_0.01-epochs_3"],
        ),
        ("ace", ace(lambda_=[0, 5]), ["ace-lambda_0", "ace-lambda_5"]),  # a default too
        ("ace", ace(), ["ace-lambda_rel_0", "ace-lambda_rel_0.1", "ace-lambda_rel_1"]),
        ("ace", ace(lambda_=[5]), ["ace-lambda_5"]),
        ("svd", svd(dim=16), ["svd-dim_16"]),
        ("sasrec", sasrec(dim=16), ["sasrec"]),  # said by the refinement's name
    ],
)
def test_the_name_is_the_entry_and_every_value_that_is_not_its_default(entry, settings, names):
    assert list(grid.expand({entry: settings})) == names


def test_adding_a_value_leaves_the_other_grid_points_as_they_were():
    before = grid.expand({"ace": ace(lambda_=[0, 50])})
    after = grid.expand({"ace": ace(lambda_=[0, 5, 50])})
    assert {name: after[name] for name in before} == before


def test_names_are_folders_that_no_reader_takes_for_a_partition():
    settings = sasrec(
        max_length=[20, 30], dropout=0.123, attention_dropout=0.21, num_heads=[1, 4],
        num_layers=[1, 3], inner_dim=[32, 64],
        training={
            "lr": [1e-5, 3e-05], "weight_decay": 0.01, "lr_schedule": "linear", "epochs": 17,
            "batch_size": 100_000, "num_negatives": 12345, "warmup_steps": 1234,
            "optimizer": "adamw", "window_stride": 7, "patience": 3, "metric": "mrr",
        },
    )  # fmt: skip
    points = grid.expand({"ace": ace(target={"mean_cosine": [-0.01, 0.5]}), "a": settings})
    assert len(points) == 2 + 2**5
    for name in points:
        assert re.fullmatch(r"[A-Za-z0-9._+-]{1,120}", name)


def test_two_grid_points_of_one_name_are_refused():
    with pytest.raises(InputError, match=r"'a-gamma_0\.1'"):
        grid.expand({"a": svd(gamma=0.1), "a-gamma_0.1": svd()})


PLAN = grid.Plan(
    {
        "datasets": {"d": {}},
        "encoders": {"e": {}, "f": {}},
        "refinements": {"random": refinement("random"), "r": ace(lambda_=[1, 2])},
        "backbones": {"b": sasrec(training={"lr": [3, 4]})},
        "seeds": [7, 8],
    }
)


def test_every_grid_point_of_a_cell_runs_on_the_first_seed_and_the_chosen_one_on_all():
    cell = grid.Cell("d", "f", "r", "b")
    first = PLAN.first_runs(cell)
    assert first == [
        grid.Run("d", "f", f"r-lambda_{value}", f"b-lr_{lr}", 7)
        for value in (1, 2)
        for lr in (3, 4)
    ]
    assert PLAN.runs(cell, first[2]) == [*first, first[2]._replace(seed=8)]


def test_a_refinement_without_an_encoder_is_run_with_the_first_encoder_alone():
    assert [cell[1:3] for cell in PLAN.cells] == [("e", "random"), ("e", "r"), ("f", "r")]
    away = grid.Run("d", "f", "random", "b-lr_3", 8)
    assert PLAN.home_run(away) == away._replace(encoder="e")
    own = grid.Run("d", "f", "r-lambda_1", "b-lr_3", 8)
    assert PLAN.home_run(own) == own
