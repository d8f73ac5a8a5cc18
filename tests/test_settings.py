"""Strict settings: closed, typed, refused in one line."""

from typing import Annotated, Literal

import pytest
from pydantic import Field

from ace_steps.errors import InputError
from ace_steps.config.base import Settings, parse
from ace_steps.config.mistakes import unknown


class Ridge(Settings):
    method: Literal["ridge"]
    lambda_: Annotated[float, Field(ge=0)]
    centred: bool


GOOD = '{"method": "ridge", "lambda": 2, "centred": true}'


def test_a_keyword_key_has_a_field_with_an_underscore():
    settings = parse(Ridge, GOOD, "--settings")
    assert settings.lambda_ == 2.0
    assert settings.as_json() == {"method": "ridge", "lambda": 2.0, "centred": True}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace("lambda", "lamda"), r"--settings: (unknown key 'lamda'|key 'lambda' is mi)"),
        ('{"method": "ridge", "centred": true}', "--settings: key 'lambda' is missing"),
        (GOOD.replace("2", "-2"), "key 'lambda': .*greater than or equal to 0, found -2"),
        (GOOD.replace("2", '"2"'), "key 'lambda': .*valid number, found '2'"),
        (GOOD.replace("true", "1"), "key 'centred': .*valid boolean, found 1"),
        (GOOD.replace('"ridge"', '"lasso"'), "key 'method': .*'ridge', found 'lasso'"),
        ("{", "--settings: Invalid JSON"),
    ],
)
def test_a_refusal_names_the_key_and_what_was_found(text, message):
    with pytest.raises(InputError, match=message) as refusal:
        parse(Ridge, text, "--settings")
    assert "\n" not in str(refusal.value)


def test_an_unknown_name_comes_with_the_nearest_known_one():
    assert unknown("backbone", "sasrek", ["sasrec", "gru4rec"]) == (
        "unknown backbone 'sasrek'; did you mean 'sasrec'? Known: gru4rec, sasrec."
    )
    assert unknown("backbone", "x", ["sasrec"]) == "unknown backbone 'x'; Known: sasrec."
