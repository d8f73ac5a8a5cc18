"""The store of vectors: one folder for one way of making them."""

import importlib.metadata
import json
import re

import pytest

from ace_steps.embed.store import CODE, store_key
from ace_steps.parquet import read_provenance
from ace_steps.steps import embed_items
from tests.conftest import ROOT
from tests.embed.conftest import SETTINGS, encoder_settings
from tests.steps.made_items import write_items


def key(device="cpu", **changes):
    return store_key("m", encoder_settings(**changes), device)


def test_what_is_made_of_a_pooled_vector_later_shares_its_folder():
    assert key(truncate_dim=5) == key(normalise=False) == key()


IS_NO_NUMBER = {"settings", "registry", "texts", "api_texts"}  # names, texts, and what is asked for


def imported_by(module):
    """The modules of the embed package that a module imports, and those that they import."""
    source = (ROOT / "ace_steps/embed" / f"{module}.py").read_text()
    found = set(re.findall(r"^from ace_steps\.embed\.(\w+) import", source, re.MULTILINE))
    found -= IS_NO_NUMBER
    return found.union(*(imported_by(name) for name in found))


def test_every_module_that_computes_a_vector_is_part_of_the_key():
    wanted = {"encode", "models"} | imported_by("encode") | imported_by("models")
    assert {f"embed/{name}.py" for name in wanted} == set(CODE)


def test_devices_and_budgets_have_folders_of_their_own():
    assert len({key(), key("cuda"), key(batch_tokens=300), key("cuda", batch_tokens=300)}) == 4


@pytest.mark.parametrize("library", ["torch", "transformers"])
def test_another_version_of_a_library_has_a_folder_of_its_own(monkeypatch, library):
    before = key()
    monkeypatch.setattr(
        "ace_steps.embed.store.version",
        lambda name: "0.0" if name == library else importlib.metadata.version(name),
    )
    assert key() != before


def test_the_step_takes_the_folder_of_its_model_settings_and_device(decoder_folder, tmp_path):
    items = write_items(tmp_path / "items.parquet", ["red shoe", "blue shoe"])
    options = {
        **{"items": items, "model": decoder_folder, "shard": "1-of-1", "device": "cpu"},
        **{"settings": json.dumps(SETTINGS), "store": tmp_path / "store"},
        "vectors": tmp_path / "shard.parquet",
    }
    assert embed_items.main([x for n, v in options.items() for x in (f"--{n}", str(v))]) == 0
    digest = read_provenance(tmp_path / "shard.parquet").facts["model_sha256"]
    wanted = store_key(digest, encoder_settings(), "cpu")
    assert [folder.name for folder in (tmp_path / "store").iterdir()] == [wanted]
