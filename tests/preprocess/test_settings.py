"""The registry of public datasets, and what an entry of the configuration comes to."""

import json

import pytest

from ace_steps.config.experiment import Registries, draft
from ace_steps.errors import InputError
from ace_steps.io.fetch import read_registry
from ace_steps.preprocess.settings import (
    DatasetSettings,
    PublicDataset,
    public_dataset,
    raw_files,
    step_settings,
)
from ace_steps.registry import READERS
from ace_steps.settings import parse_named
from tests.conftest import ROOT

REGISTRY = ROOT / "data/datasets.yaml"
ML_100K = {"users": 943, "items": 1349, "events": 99287}
FILES = {"interactions": "log.csv", "items": "catalog.csv"}


def drafted(**entry):
    """What a configuration with this one dataset comes to."""
    encoders = {"own": {"vectors": "vectors.parquet"}}
    raw = {"experiment": "x", "datasets": {"shop": entry}, "encoders": encoders}
    return draft(raw, Registries(REGISTRY, ROOT / "data/encoders.yaml"))


def dataset(**entry):
    """The entry's settings, defaults filled in."""
    experiment = drafted(**entry)
    assert not experiment.mistakes
    return experiment.experiment.datasets["shop"]


@pytest.mark.parametrize("name", read_registry(REGISTRY, PublicDataset))
def test_every_public_dataset_can_be_looked_up_and_names_its_settings(name):
    public = public_dataset(name, REGISTRY)
    assert public.reader in READERS
    assert public.expected_with.keys() <= DatasetSettings.model_fields.keys()
    assert bool(public.expected) == bool(public.expected_with)
    for role in ("interactions", "items"):
        assert public.homepage in public.advice(role)


@pytest.mark.parametrize("reader", READERS)
def test_a_step_needs_the_reader_alone_and_gets_the_defaults(reader):
    settings = parse_named(READERS, "reader", json.dumps({"reader": reader}), "--settings")
    assert (settings.reader, settings.min_user_events, settings.split) == (
        reader,
        5,
        "leave_one_out",
    )
    stated = step_settings(settings)
    assert not {"source", "interactions", "items"} & stated.keys()
    assert parse_named(READERS, "reader", json.dumps(stated), "--settings") == settings


def test_a_source_brings_its_reader_and_its_counts():
    settings = dataset(source="ml-100k")
    assert settings.reader == "recbole"
    assert settings.expected.as_json() == ML_100K
    assert dataset(source="ml-100k-grouplens").reader == "movielens"


@pytest.mark.parametrize("change", [{"min_rating": 4}, {"max_users": 10}, {"min_user_events": 3}])
def test_counts_are_expected_where_they_hold_unless_an_entry_has_its_own(change):
    assert dataset(source="ml-100k", **change).expected is None
    own = {"users": 1, "items": 2, "events": 3}
    assert dataset(source="ml-100k", expected=own, **change).expected.as_json() == own


def test_ones_own_files_are_tables_by_default():
    settings = dataset(**FILES)
    assert settings.reader == "table"
    assert settings.columns.catalog_id() == "item_id"
    assert settings.expected is None


def test_raw_files_are_ones_own_or_those_that_are_fetched(tmp_path, monkeypatch):
    fetched = raw_files(dataset(source="ml-100k"))
    assert fetched == {
        "interactions": "<resources>/datasets/ml-100k/interactions",
        "items": "<resources>/datasets/ml-100k/items",
    }
    monkeypatch.setenv("ACE_SHOP", str(tmp_path))
    own = dataset(**{role: f"${{ACE_SHOP}}/{name}" for role, name in FILES.items()})
    with pytest.raises(InputError, match=r"no such file.*log\.csv"):
        raw_files(own)
    for name in FILES.values():
        (tmp_path / name).touch()
    assert raw_files(own) == {role: str(tmp_path / name) for role, name in FILES.items()}


def test_shares_of_a_global_split_are_a_tenth_each_by_default():
    settings = dataset(**FILES, split="global_time")
    assert (settings.valid_share, settings.test_share) == (0.1, 0.1)
    settings = dataset(**FILES, split="global_time", test_share=0.3)
    assert (settings.valid_share, settings.test_share) == (0.1, 0.3)
    assert dataset(**FILES).valid_share is None


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"source": "ml-10k"}, ["'ml-10k'", "'ml-100k'"]),
        ({"source": "ml-100k", "reader": "yelp"}, ["reader", "recbole", "yelp"]),
        ({**FILES, "reader": "tabel"}, ["reader", "'tabel'", "'table'"]),
        ({}, ["source", "interactions and items", "none"]),
        ({"interactions": "log.csv"}, ["source", "interactions and items", "got interactions"]),
        ({"source": "ml-100k", **FILES}, ["got source and interactions and items"]),
        ({**FILES, "reader": "yelp", "columns": {}}, ["columns", "unknown key"]),
        ({**FILES, "columns": {"usr": "who"}}, ["columns.usr", "'user'"]),
        ({**FILES, "columns": {"timestamp_unit": "hours"}}, ["timestamp_unit", "seconds", "hours"]),
        ({**FILES, "valid_share": 0.1}, ["valid_share", "global_time"]),
        (
            {**FILES, "split": "global_time", "valid_share": 0.5, "test_share": 0.5},
            ["valid_share and test_share", "below 1", "got 1"],
        ),
        ({**FILES, "time_start": "2019-13-01"}, ["time_start", '"2019-01-31"', "2019-13-01"]),
        (
            {**FILES, "time_start": "2023-11-20", "time_end": "2023-11-20"},
            ["time_end", "after time_start 2023-11-20", "got 2023-11-20"],
        ),
        ({**FILES, "text_columns": ["a", "a"]}, ["text_columns", "once", "'a'"]),
    ],
)
def test_an_entry_that_contradicts_itself_is_refused_with_key_value_and_way_out(entry, words):
    mistakes = drafted(**entry).mistakes
    assert len(mistakes) == 1
    line = str(mistakes[0])
    assert line.startswith("datasets.shop")
    assert [word for word in words if word not in line] == [], line
