"""The configuration is closed: a mistake is one line that names the key."""

import json

import pytest
import yaml

from ace_steps import configuration
from ace_steps.errors import InputError
from tests.conftest import ROOT

SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
CONFIGS = sorted((ROOT / "workflow/config").glob("*.yaml"))


def objects(node, path="config"):
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield pytest.param(node, id=path)
        for key, value in node.items():
            yield from objects(value, f"{path}.{key}")


def described(node, path="config"):
    """Each property of the schema that a person may write."""
    if isinstance(node, dict):
        for key, value in node.get("properties", {}).items():
            if isinstance(value, dict) and not {"const", "$ref"} & value.keys():
                yield pytest.param(value, id=f"{path}.{key}")
        for key, value in node.items():
            if key not in {"if"}:
                yield from described(value, f"{path}.{key}")
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from described(value, f"{path}[{i}]")


@pytest.mark.parametrize("node", list(objects(SCHEMA)))
def test_every_object_says_whether_it_takes_other_keys(node):
    assert "additionalProperties" in node


@pytest.mark.parametrize("node", list(described(SCHEMA)))
def test_every_key_says_what_it_means(node):
    assert node.get("description") or node is True


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_configuration_that_ships_is_valid(path):
    configuration.load(str(path))


def _changed(change):
    config = yaml.safe_load((ROOT / "workflow/config/config.yaml").read_text())
    change(config)
    return config


BAD = {
    "a mistyped key": (
        lambda c: c["refinements"]["ace"].update(lamda=3),
        r"config: refinements\.ace: unknown key 'lamda'; did you mean 'lambda'\?",
    ),
    "a mistyped key at the top": (
        lambda c: c.update(seed=[1]),
        r"unknown key 'seed'; did you mean 'seeds'\?",
    ),
    "a negative lambda": (
        lambda c: c["refinements"]["ace"].update({"lambda": -1}),
        r"refinements\.ace\.lambda: -1 ",
    ),
    "a negative lambda in a grid": (
        lambda c: c["refinements"]["ace"].update({"lambda": [0, -1]}),
        r"refinements\.ace\.lambda",
    ),
    "an unknown method": (
        lambda c: c["refinements"]["ace"].update(method="acee"),
        r"refinements\.ace\.method: unknown value 'acee'; did you mean 'ace'\?",
    ),
    "an unknown backbone": (
        lambda c: c["backbones"]["sasrec"].update(model="sasrek"),
        r"backbones\.sasrec\.model: unknown value 'sasrek'; did you mean 'sasrec'\?",
    ),
    "an unknown reader": (
        lambda c: c["datasets"]["ml-100k"].update(reader="recbol"),
        r"datasets\.ml-100k\.reader: unknown value 'recbol'; did you mean 'recbole'\?",
    ),
    "an unknown pooling": (
        lambda c: c["encoders"]["smollm2"].update(pooling="meen"),
        r"encoders\.smollm2\.pooling: unknown value 'meen'; did you mean 'mean'\?",
    ),
    "a lambda that is no number": (
        lambda c: c["refinements"]["ace"].update({"lambda": [0, float("nan")]}),
        r"refinements\.ace\.lambda: nan is not a finite number",
    ),
    "two dials": (
        lambda c: c["refinements"]["ace"].update({"lambda_rel": 1}),
        r"refinements\.ace: exactly one of lambda, .* is wanted, found lambda and lambda_rel",
    ),
    "a source and files": (
        lambda c: c["datasets"]["ml-100k"].update(files={"interactions": "a", "items": "b"}),
        r"datasets\.ml-100k: exactly one of source, files is wanted, found source and files",
    ),
    "two widths": (
        lambda c: c["backbones"]["sasrec"].update(width=64),
        r"backbones\.sasrec: width 64, but refinements\.random has width 128",
    ),
    "a missing key": (lambda c: c.pop("seeds"), "the configuration: key 'seeds' is missing"),
    "no seeds": (lambda c: c.update(seeds=[]), "config: seeds: "),
    "a name that is no folder": (
        lambda c: c["datasets"].update({"../x": c["datasets"]["ml-100k"]}),
        r"config: datasets: '../x' does not match",
    ),
    "a text where a number is wanted": (
        lambda c: c["backbones"]["sasrec"].update(width="128"),
        r"backbones\.sasrec\.width: '128'",
    ),
}


@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=BAD)
def test_a_mistake_is_one_line_that_names_the_key(change, message):
    with pytest.raises(InputError, match=message) as refusal:
        configuration.check(_changed(change))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("key", ["dropout", "attention_dropout", "epochs", "patience"])
def test_what_all_refinements_have_alike_is_no_grid(key):
    def change(config):
        entry = config["backbones"]["sasrec"]
        settings = entry if key in entry else entry["training"]
        settings[key] = [settings[key], settings[key]]

    with pytest.raises(InputError, match=rf"backbones\.sasrec\.(training\.)?{key}: \["):
        configuration.check(_changed(change))


def test_a_configuration_is_read_from_a_file_or_from_json(tmp_path):
    config = _changed(lambda c: None)
    assert configuration.load(json.dumps(config)) == config
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    assert configuration.load(str(tmp_path / "c.yaml")) == config


@pytest.mark.parametrize(
    ("text", "message"), [(None, "no such file"), ("a: [", "not readable"), ("{a", "not readable")]
)
def test_what_is_no_configuration_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "c.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=message) as refusal:
        configuration.load(str(path))
    assert "\n" not in str(refusal.value)


def test_a_path_takes_environment_variables(monkeypatch):
    monkeypatch.setenv("ACE_HERE", "/data/logs")
    assert str(configuration.expand_path("$ACE_HERE/x.inter")) == "/data/logs/x.inter"
    with pytest.raises(InputError, match=r"'\$ACE_NOT/x' names an environment variable that is no"):
        configuration.expand_path("$ACE_NOT/x")


def test_numbers_given_as_text_inside_lists_and_mappings_are_numbers_again():
    given = {"a": ["1", "2.5", "1e-3", "x"], "b": {"c": "true", "d": "null"}, "e": 3, "f": "a b"}
    wanted = {"a": [1, 2.5, 0.001, "x"], "b": {"c": True, "d": None}, "e": 3, "f": "a b"}
    assert configuration.typed(given) == wanted


@pytest.mark.parametrize("text", ["0" * 40, "nan", "NaN", "1_000", "[1]", '"1"', ""])
def test_a_text_that_is_no_number_of_json_stays_a_text(text):
    assert configuration.typed({"key": [text]}) == {"key": [text]}
