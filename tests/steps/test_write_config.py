"""write_config: the resolved experiment as a file that runs as it is."""

import json

import pytest
import yaml

from ace_steps.config import loading
from ace_steps.steps.write_config import main
from tests.conftest import ROOT

TOY = ROOT / "workflow/config/toy.yaml"


@pytest.mark.parametrize("config", [str(TOY), json.dumps(loading.load(TOY).as_json())])
def test_what_it_writes_is_the_same_experiment_with_every_default(tmp_path, config):
    written = tmp_path / "config.yaml"
    assert main(["--config", config, "--output", str(written)]) == 0
    assert loading.load(written).as_json() == loading.load(TOY).as_json()
    assert yaml.safe_load(written.read_text())["backbones"]["sasrec"]["training"]["lr"] == 0.001


def test_mistakes_write_nothing_and_are_all_named(tmp_path, capsys):
    config = json.dumps({"experiment": "x", "seed": [1], "dim": 0})
    assert main(["--config", config, "--output", str(tmp_path / "config.yaml")]) == 2
    lines = capsys.readouterr().err.splitlines()[1:]
    keys = [line.split(":")[0].strip() for line in lines]
    assert keys == ["dim", "datasets", "encoders", "seed"]
    assert not (tmp_path / "config.yaml").exists()
