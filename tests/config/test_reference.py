"""The schema and the page say what the settings classes say, and an editor finds mistakes by it."""

import re

import pytest
import yaml
from jsonschema import Draft202012Validator

from ace_steps.config import loading, reference
from ace_steps.errors import ConfigurationError
from ace_steps.registry import BACKBONES, READERS, REFINEMENTS
from tests.config.made import small
from tests.conftest import ROOT

CONFIGS = sorted((ROOT / "workflow/config").glob("*.yaml"))
SCHEMA = reference.schema()
VALIDATOR = Draft202012Validator(SCHEMA)
PAGE = (ROOT / reference.PAGE).read_text(encoding="utf-8")


def test_the_committed_files_are_those_that_the_command_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(reference, "ROOT", tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / reference.PAGE).write_text(PAGE.partition(reference.MARK)[0])
    reference.main()
    Draft202012Validator.check_schema(SCHEMA)
    for name in (reference.SCHEMA, reference.PAGE):
        assert (tmp_path / name).read_text(encoding="utf-8") == (ROOT / name).read_text("utf-8")


def test_every_settings_class_is_closed_and_every_key_says_what_it_means():
    classes = {name: node for name, node in SCHEMA["$defs"].items() if "properties" in node}
    assert len(classes) > 25
    for name, node in classes.items():
        assert node["additionalProperties"] is False, name
        for key, field in node["properties"].items():
            assert {"description", "const", "$ref", "anyOf"} & field.keys(), f"{name}.{key}"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_committed_configuration_and_what_it_becomes_is_valid(path):
    VALIDATOR.validate(yaml.safe_load(path.read_text()))
    VALIDATOR.validate(yaml.safe_load(loading.as_yaml(loading.load(path).as_json())))


GOOD = [
    "{}",
    "backbones: {sasrec: }",
    "refinements: {svd: , ace: {lambda: [0, 5]}}",
    "refinements: {mine: {method: ace, lambda: 5}}",
    "refinements: {ace: {method: svd, center: true}}",
    "backbones: {mine: {model: gru4rec, hidden_dim: [64, 128]}}",
    "datasets: {d: {interactions: a, items: b, columns: {user: u}}}",
    "datasets: {d: {interactions: a, items: b, reader: recbole, source: null}}",
    "datasets: {d: {source: ml-20m, min_rating: 4}}",
    "encoders: {e: {api: {base_url: 'http://x', model: m, dim: 8}, normalize: false}}",
    f"encoders: {{e: {{hub: {{repo: a/b, revision: '{'0' * 40}'}}}}}}",
]


@pytest.mark.parametrize("text", GOOD)
def test_what_the_program_accepts_is_valid(text):
    values = small(**yaml.safe_load(text))
    VALIDATOR.validate(values)
    loading.resolve(values)


BAD = [
    "seeds: 1",
    "experiment: Shop",
    "dim: '64'",
    "refinements: [ace]",
    "refinements: {ace: {lamda: 5}}",
    "refinements: {ace: {lambda: -1}}",
    "refinements: {mine: {lambda: 5}}",
    "refinements: {mine: {method: acee}}",
    "refinements: {mine: {method: svd, lambda: 5}}",
    "backbones: {sasrec: {training: {epoch: 3}}}",
    "backbones: {sasrec: {dropout: [0.1, 0.2]}}",
    "backbones: {bert4rec: {max_length: 1}}",
    "datasets: {d: {source: ml-100}}",
    "datasets: {d: {source: ml-100k, interactions: a}}",
    "datasets: {d: {interactions: a}}",
    "datasets: {d: {source: ml-100k, reader: yelp}}",
    "datasets: {d: {source: ml-100k, columns: {user: u}}}",
    "datasets: {d: {interactions: a, items: b, reader: recbol}}",
    "datasets: {ML: {source: ml-100k}}",
    "encoders: {e: {source: toyy}}",
    "encoders: {e: {source: toy, path: x}}",
    "encoders: {e: {pooling: mean}}",
    "encoders: {e: {hub: {repo: a/b, revision: main}}}",
    "encoders: {e: {vectors: x.npy, pooling: mean}}",
    "encoders: {e: {api: {model: m, dim: 8}}}",
    "statistics: {metrics: [recall]}",
]


@pytest.mark.parametrize("text", BAD)
def test_what_the_program_refuses_is_not_valid(text):
    values = small(**yaml.safe_load(text))
    assert not VALIDATOR.is_valid(values)
    with pytest.raises(ConfigurationError):
        loading.resolve(values)


@pytest.mark.parametrize("key", ["experiment", "datasets", "encoders"])
def test_what_is_required_is_missed(key):
    values = small()
    del values[key]
    assert not VALIDATOR.is_valid(values)


def test_an_editor_finds_every_member_with_its_description_and_default():
    gamma = SCHEMA["$defs"]["AceSettings"]["properties"]["gamma"]
    assert (gamma["default"], gamma["description"][:18]) == (0.2, "Standard deviation")
    for kind, registry in (("refinements", REFINEMENTS), ("backbones", BACKBONES)):
        assert set(SCHEMA["properties"][kind]["properties"]) == set(registry)
    known = [option["$ref"].rpartition("/")[2] for option in SCHEMA["$defs"]["datasets"]["anyOf"]]
    assert known == [entry.settings for entry in READERS.values()]


def section(title: str) -> dict[str, list[str]]:
    """The rows of the page's table under a heading, by key."""
    below = PAGE.split(f"### `{title}`\n")[1].split("\n#")[0]
    rows = re.findall(r"^\| `(.+?)` \| (.*?) \| (.*?) \| (.*?) \|$", below, flags=re.M)
    return {key: rest for key, *rest in rows}


def test_a_key_stands_on_the_page_with_default_range_and_whether_it_is_a_grid():
    ace = section("method: ace")
    assert ace["lambda"][:2] == ["`null`", "number ≥ 0; grid or null"]
    assert ace["gamma"][:2] == ["`0.2`", "number > 0; grid"]
    assert ace["center"][:2] == ["`false`", "true or false"]
    assert ace["target.effective_rank"][1] == "number > 0, ≤ 1; grid or null"


@pytest.mark.parametrize(
    ("key", "registry"), [("reader", READERS), ("method", REFINEMENTS), ("model", BACKBONES)]
)
def test_every_member_has_its_own_keys_under_it_and_not_those_of_all(key, registry):
    shared = {"reader": "min_rating", "method": "dim", "model": "training.lr"}[key]
    for name in registry:
        assert f"### `{key}: {name}`" in PAGE
        assert shared not in section(f"{key}: {name}")
    assert f"| `{shared}` |" in PAGE


def test_a_key_that_a_member_narrows_is_listed_under_it():
    assert section("model: bert4rec")["max_length"][1] == "integer ≥ 2; grid"
    assert "max_length" not in section("model: sasrec")


def test_no_angle_bracket_of_a_description_vanishes_as_html():
    outside = re.sub(r"`[^`\n]*`|```.*?```|<!--.*?-->", "", PAGE, flags=re.S)
    assert re.search(r"(?<!\\)<[a-z]", outside) is None


def test_the_example_of_the_page_is_a_configuration_of_at_most_twelve_lines():
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.S)
    assert len(example.splitlines()) <= 12
    values = yaml.safe_load(example)
    VALIDATOR.validate(values)
    assert loading.resolve(values).experiment == "shop"
