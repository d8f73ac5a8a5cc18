"""Readers on files written on the spot."""

import json

import pytest

from ace_steps.registry import READERS
from ace_steps.settings import parse

MAPPING = {"user": "who", "item": "what", "timestamp": "when", "item_id": "sku"}  # of a table


def reader_settings(reader, **columns):
    """Settings of a reader with nothing said but, for a table, its columns."""
    said = {"columns": {**MAPPING, **columns}} if reader == "table" else {}
    return parse(READERS[reader].settings_class(), json.dumps(said), "settings")


@pytest.fixture
def write(tmp_path):
    """Write a log and a catalog, texts or bytes; their paths."""

    def write_both(log, catalog):
        folder = tmp_path / "set [1]"  # brackets are no pattern
        folder.mkdir(exist_ok=True)
        paths = folder / "log", folder / "catalogue"
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
