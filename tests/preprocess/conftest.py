"""Readers on files written on the spot, and the settings that tests vary."""

import json

import pytest

from ace_steps.preprocess.read_recbole import RecboleSettings
from ace_steps.registry import READERS
from ace_steps.settings import parse
from tests.conftest import ROOT

TOY = json.loads((ROOT / "data/toy/settings.json").read_text())
MAPPING = {"user": "who", "item": "what", "timestamp": "when", "item_id": "sku"}  # of a table


def dataset_settings(**changes):
    """The toy's settings, with changes; no expected counts."""
    values = {key: value for key, value in {**TOY, **changes}.items() if key != "expected"}
    return parse(RecboleSettings, json.dumps(values), "test")


def reader_settings(reader, **columns):
    """The defaults of a reader's settings but, for a table, its columns."""
    values = {"columns": {**MAPPING, **columns}} if reader == "table" else {}
    return parse(READERS[reader].settings_class(), json.dumps(values), "test")


@pytest.fixture
def write(tmp_path):
    """Write a log and a catalog, texts or bytes; their paths."""

    def write_both(log, catalog):
        folder = tmp_path / "set [1]"  # brackets are no pattern
        folder.mkdir(exist_ok=True)
        paths = folder / "log", folder / "catalog"
        for path, content in zip(paths, (log, catalog), strict=True):
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return paths

    return write_both


@pytest.fixture
def read(write):
    """Write both files, read them with the reader of that name."""

    def write_and_read(reader, log, catalog, **columns):
        settings = reader_settings(reader, **columns)
        return READERS[reader].implementation()(*write(log, catalog), settings)

    return write_and_read
