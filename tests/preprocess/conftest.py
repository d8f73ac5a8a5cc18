"""Readers on files written on the spot."""

import pytest

from ace_steps.preprocess.readers import READERS
from ace_steps.preprocess.settings import Columns

MAPPING = {
    "user": "who",
    "item": "what",
    "timestamp": "when",
    "timestamp_unit": "seconds",
    "rating": None,
    "item_id": "sku",
}


@pytest.fixture
def read(tmp_path):
    """Write both files, read them with the reader of that name."""

    def write_and_read(reader, log, catalogue, **columns):
        folder = tmp_path / "set [1]"  # brackets are no pattern
        folder.mkdir(exist_ok=True)
        paths = []
        for name, content in (("log", log), ("catalogue", catalogue)):
            paths.append(folder / name)
            paths[-1].write_bytes(content if isinstance(content, bytes) else content.encode())
        mapping = Columns(**{**MAPPING, **columns}) if reader == "table" else None
        return READERS[reader](*paths, mapping)

    return write_and_read
