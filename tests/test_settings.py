"""Strict settings: closed, typed, with defaults and grids, refused in one line."""

from typing import Literal

import pytest
from pydantic import Field

from ace_steps.errors import InputError
from ace_steps.registry import REFINEMENTS
from ace_steps.settings import Grid, NonNegative, Settings, grid_values, parse, parse_named


class Rate(Settings):
    lr: Grid[NonNegative] = 0.1


class Ridge(Settings):
    method: Literal["ridge"] = "ridge"
    lambda_: Grid[NonNegative] = Field(description="Strength of the ridge.")
    center: bool = False
    training: Rate = Rate()


def test_a_keyword_key_has_a_field_with_an_underscore_and_what_is_left_out_its_default():
    settings = parse(Ridge, '{"lambda": 2, "center": true}', "--settings")
    assert settings == Ridge(lambda_=2.0, center=True)
    assert settings.as_json() == {
        **{"method": "ridge", "lambda": 2.0, "center": True},
        "training": {"lr": 0.1},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"center": true}', "--settings: lambda: missing; Strength of the ridge"),
        ('{"lambda": "2"}', "lambda: expected a number, got the string '2'"),
        ('{"lambda": 2, "center": 1}', "center: expected true or false, got the number 1"),
        ('{"lambda": 2, "method": "lasso"}', "method: expected one of ridge, got"),
        ('{"lambda": [2, -3]}', "lambda[1]: expected a number >= 0, got -3"),
        ('{"lambda": [2, 2]}', "lambda: expected each value once, got 2.0 twice"),
        ('{"lambda": [2, 3]}', "lambda: expected a single value, got the list [2.0, 3.0]"),
        ('{"lambda": 2, "training": {"lr": [1, 2]}}', "training.lr: expected a single"),
        ("{", "--settings: Invalid JSON"),
    ],
)
def test_a_refusal_is_one_line_with_the_key_and_what_was_given(text, message):
    with pytest.raises(InputError) as refusal:
        parse(Ridge, text, "--settings")
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_every_mistake_is_in_the_refusal_and_a_mistyped_key_is_not_missing_too():
    with pytest.raises(InputError) as refusal:
        parse(Ridge, '{"lamda": 2, "center": 1, "training": {"lr": "fast"}}', "--settings")
    text = str(refusal.value)
    assert "lamda: unknown key; did you mean 'lambda'?" in text
    assert all(f"{key}: " in text for key in ("center", "training.lr"))
    assert "missing" not in text


def test_the_lists_of_a_grid_are_found_at_any_depth():
    settings = Ridge(lambda_=[0.0, 5.0], training=Rate(lr=[0.1]))
    assert grid_values(settings) == {"lambda": [0.0, 5.0], "training.lr": [0.1]}
    assert grid_values(Ridge(lambda_=5.0)) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"gamma": 1}', "--settings: method: missing; known: random, "),
        ('{"method": "aec"}', "--settings: method: unknown name 'aec'; did you mean 'ace'?"),
        ('{"method": "ace", "lamda": 1}', "--settings: lamda: unknown key; did you mean 'lambda'?"),
        ("{", "--settings: not JSON"),
        ("[]", "--settings: method: missing"),
    ],
)
def test_settings_that_name_their_method_are_refused_with_the_key(text, message):
    with pytest.raises(InputError) as refusal:
        parse_named(REFINEMENTS, "method", text, "--settings")
    assert message in str(refusal.value)


def test_settings_that_name_their_method_are_those_of_its_class():
    settings = parse_named(REFINEMENTS, "method", '{"method": "svd", "gamma": 0.3}', "--settings")
    assert settings.as_json() == {"method": "svd", "dim": 128, "gamma": 0.3, "center": False}
