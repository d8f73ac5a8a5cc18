"""The store of vectors: one folder for one way of making them."""

import importlib.metadata
import json
import shutil
from functools import partial

import pytest

from ace_steps.embed import store
from ace_steps.embed.store import store_key
from ace_steps.io.code_digest import PACKAGE, code_digest
from ace_steps.io.parquet import read_provenance
from ace_steps.steps import embed_items
from tests.embed.conftest import SETTINGS, encoder_settings
from tests.steps.made_items import write_items


def key(device="cpu", **changes):
    return store_key("m", encoder_settings(**changes), device)


def test_what_is_made_of_a_pooled_vector_later_shares_its_folder():
    assert key(truncate_dim=5) == key(normalize=False) == key()


DECIDING = (  # parts of the embed package that decide what a vector is
    ("encode", "_vectors"),
    ("fused", "Decoder"),
    ("fused", "Cores"),
    ("fused", "encode_prefix"),
    ("models", "load_model"),
    ("pooling", "weighted_mean"),
    ("tokens", "token_budget_batches"),
)


@pytest.fixture
def key_of_edited(tmp_path, monkeypatch):
    """The key with the code of a copy of the package in which a text is added to a module."""

    def make(module, text):
        package = shutil.copytree(PACKAGE, tmp_path / "ace_steps")
        with (package / "embed" / f"{module}.py").open("a") as file:
            file.write(text)
        monkeypatch.setattr(store, "code_digest", partial(code_digest, package=package))
        return key()

    return make


@pytest.mark.parametrize(("module", "name"), DECIDING)
def test_an_edit_of_what_computes_a_vector_has_a_folder_of_its_own(key_of_edited, module, name):
    before = key()
    assert key_of_edited(module, f"\n{name} = {name}\n") != before


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("encode", "# a comment\n"),
        ("settings", "EncoderSettings = EncoderSettings\n"),
        ("store", "store_key = store_key\n"),
        ("api", "import os\n"),
    ],
)
def test_other_edits_keep_the_folder(key_of_edited, module, text):
    before = key()
    assert key_of_edited(module, text) == before


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
