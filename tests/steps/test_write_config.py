"""write_config: the resolved experiment as a file that runs as it is."""

import json

import yaml

from ace_steps.config import loading
from ace_steps.steps.write_config import main
from tests.conftest import ROOT

TOY = ROOT / "workflow/config/toy.yaml"


def test_what_it_writes_is_the_same_experiment_with_every_default(tmp_path):
    written = tmp_path / "config.yaml"
    assert main(["--config", str(TOY), "--output", str(written)]) == 0
    assert loading.load(written).as_json() == loading.load(TOY).as_json()
    values = yaml.safe_load(written.read_text())
    assert values["backbones"]["sasrec"]["training"]["lr"] == 0.001


def test_it_takes_the_configuration_as_json_too(tmp_path):
    config = json.dumps(loading.load(TOY).as_json())
    assert main(["--config", config, "--output", str(tmp_path / "config.yaml")]) == 0
    assert loading.load(tmp_path / "config.yaml").as_json() == loading.load(TOY).as_json()


def test_mistakes_write_nothing_and_are_all_told(tmp_path, capsys):
    config = json.dumps({"experiment": "x", "seed": [1], "dim": 0})
    assert main(["--config", config, "--output", str(tmp_path / "config.yaml")]) == 2
    said = capsys.readouterr().err
    assert [line.split(":")[0].strip() for line in said.splitlines()[1:]] == [
        *("dim", "datasets", "encoders", "seed")
    ]
    assert not (tmp_path / "config.yaml").exists()
