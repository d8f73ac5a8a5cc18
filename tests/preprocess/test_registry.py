"""The registry of public datasets, and the settings that a step gets."""

import json
from typing import get_args

import pytest
import yaml

from ace_steps.errors import InputError
from ace_steps.fetch import read_registry
from ace_steps.preprocess.readers import READERS
from ace_steps.preprocess.registry import (
    DatasetEntry,
    PublicDataset,
    public_dataset,
    step_settings,
)
from ace_steps.preprocess.settings import Columns, Counts, DatasetSettings, Reader
from ace_steps.config.base import parse
from tests.conftest import ROOT
from tests.preprocess.settings import toy_settings

REGISTRY = ROOT / "data/datasets.yaml"
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())["$defs"]


def entry(**changes):
    return {**toy_settings(min_user_events=5, min_item_events=5), "source": "ml-100k", **changes}


@pytest.mark.parametrize("name", read_registry(REGISTRY, PublicDataset))
def test_every_public_dataset_can_be_looked_up_and_names_its_settings(name):
    public = public_dataset(name, REGISTRY)
    assert public.reader in READERS
    assert public.expected_with.keys() <= DatasetSettings.model_fields.keys()
    assert bool(public.expected) == bool(public.expected_with)
    for role in ("interactions", "items"):
        assert public.homepage in public.advice(role)


def test_readers_settings_and_schema_know_the_same_formats():
    assert set(READERS) == set(get_args(Reader))
    assert set(READERS) == set(SCHEMA["dataset"]["properties"]["reader"]["enum"])


@pytest.mark.parametrize(
    ("model", "definition"),
    [
        (DatasetEntry, SCHEMA["dataset"]),
        (Columns, SCHEMA["dataset"]["properties"]["columns"]),
        (Counts, SCHEMA["dataset"]["properties"]["expected"]),
    ],
)
def test_schema_and_settings_agree(model, definition):
    fields = model.model_fields
    assert fields.keys() == definition["properties"].keys()
    assert {n for n, f in fields.items() if f.is_required()} == set(definition["required"])


def test_a_step_gets_the_registrys_counts_where_they_hold():
    found = step_settings(entry(), REGISTRY)
    assert found["expected"] == {"users": 943, "items": 1349, "events": 99287}
    assert not {"source", "files"} & found.keys()
    parse(DatasetSettings, json.dumps(found), "--settings")


@pytest.mark.parametrize("change", [{"min_rating": 4}, {"max_users": 10}, {"min_user_events": 3}])
def test_a_step_gets_no_counts_where_they_do_not_hold(change):
    assert "expected" not in step_settings(entry(**change), REGISTRY)


def test_an_entrys_own_counts_come_first():
    own = {"users": 1, "items": 2, "events": 3}
    assert step_settings(entry(expected=own), REGISTRY)["expected"] == own


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": "ml-10k"}, "unknown source 'ml-10k'; did you mean 'ml-100k'"),
        ({"reader": "yelp"}, "source 'ml-100k' is for the reader 'recbole', found 'yelp'"),
    ],
)
def test_a_source_that_does_not_fit_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        step_settings(entry(**change), REGISTRY)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": None}, "exactly one of 'source' and 'files'"),
        ({"files": {"interactions": "a", "items": "b"}}, "exactly one of 'source' and 'files'"),
        ({"reader": "table"}, "'columns' is wanted for the reader 'table' and for no other"),
        ({"split": "global_time"}, "needs 'valid_share' and 'test_share'"),
        ({"valid_share": 0.1}, "belong to the split 'global_time'"),
        ({"split": "global_time", "valid_share": 0.5, "test_share": 0.5}, "leave nothing to train"),
        ({"time_start": "2019-13-01"}, "key 'time_start': .*month must be in 1..12"),
        ({"duplicates": "none"}, "key 'duplicates'"),
        ({"min_user_events": 0}, "key 'min_user_events'"),
        ({"min_user_event": 5}, "unknown key 'min_user_event'; did you mean 'min_user_events'"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        parse(DatasetEntry, json.dumps(entry(**change)), "entry")
