"""The settings that tests vary."""

import json

from ace_steps.preprocess.read_recbole import RecboleSettings
from ace_steps.settings import parse
from tests.conftest import ROOT

TOY = json.loads((ROOT / "data/toy/settings.json").read_text())


def toy_settings(**changes):
    """The toy's settings as JSON values, with changes; no expected counts."""
    return {key: value for key, value in {**TOY, **changes}.items() if key != "expected"}


def dataset_settings(**changes):
    """The toy's settings, with changes; no expected counts."""
    return parse(RecboleSettings, json.dumps(toy_settings(**changes)), "test")
