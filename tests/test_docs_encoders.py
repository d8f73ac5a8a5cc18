"""docs/encoders.md: its examples are valid, its tables are the registry's and the code's."""

import re

import pytest
import yaml

from ace_steps.embed.entries import resolve_encoder
from ace_steps.embed.model_files import DEFAULTS
from ace_steps.embed.registry import PublicEncoder
from ace_steps.embed.settings import ApiConnection, entry_class
from ace_steps.io.fetch import read_registry
from tests.conftest import ROOT

REGISTRY = ROOT / "data/encoders.yaml"
TEXT = (ROOT / "docs/encoders.md").read_text()
EXAMPLES = [
    (name, entry)
    for block in re.findall(r"^```yaml\n(.*?)^```", TEXT, re.M | re.S)
    for name, entry in yaml.safe_load(block)["encoders"].items()
]
ROWS = dict(re.findall(r"^\| `([\w.-]+)` \|(.*)\|$", TEXT, re.M))
ENTRIES = read_registry(REGISTRY, PublicEncoder)


@pytest.mark.parametrize(("name", "entry"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_every_example_is_a_valid_entry(name, entry):
    settings = entry_class(entry).model_validate(entry)
    resolve_encoder(settings, REGISTRY, None)


def test_the_shortest_form_of_every_kind_is_shown():
    keys = {next(iter(entry)) for _, entry in EXAMPLES if len(entry) == 1}
    assert keys == {"source", "path", "hub", "api", "vectors"}


def shown(value):
    return "-" if value is None else str(value).lower()


@pytest.mark.parametrize("name", ENTRIES)
def test_every_preset_is_listed_as_it_is(name):
    entry, preset = ENTRIES[name], ENTRIES[name].preset
    dim, pooling, prompt, longest, end, normalize, commit = (
        cell.strip() for cell in ROWS[name].split("|")
    )
    assert int(dim) == entry.dim
    assert prompt.strip("`") == preset.prompt
    assert int(longest) == preset.max_tokens
    assert (pooling, end, normalize) == (
        shown(preset.pooling),
        shown(preset.append_eos),
        shown(preset.normalize),
    )
    assert ("not pinned" in commit) == bool(entry.hub and entry.hub.revision is None)


@pytest.mark.parametrize("key", DEFAULTS)
def test_every_default_is_listed_as_it_is(key):
    default = ROWS[key].split("|")[-1].strip().strip("`")
    assert default == str(DEFAULTS[key]).lower()


def test_the_example_of_openai_is_its_preset_and_shows_every_key():
    api, public = dict(EXAMPLES)["openai_large"]["api"], ENTRIES["text-embedding-3-large"].api
    assert api.keys() == ApiConnection.model_fields.keys()
    assert {key: api[key] for key in public.model_fields_set} == public.model_dump(
        exclude_unset=True
    )
