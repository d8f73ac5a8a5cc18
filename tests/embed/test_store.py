"""The store of vectors: one folder for one way of making them, and what is made of them."""

import importlib.metadata
import shutil
from functools import partial

import numpy as np
import polars as pl
import pytest

from ace_steps.embed import store
from ace_steps.embed.settings import EncoderSettings
from ace_steps.embed.store import (
    Embedded,
    VectorStore,
    embed_new,
    finished,
    store_key,
)
from ace_steps.embed.texts import distinct_texts
from ace_steps.errors import InputError
from ace_steps.io.code_digest import PACKAGE, code_digest
from tests.embed.conftest import encoder_settings
from tests.embed.test_texts import items_of


def key(model="m", device="cpu", **changes):
    return store_key(model, encoder_settings(**changes), device)


def test_each_way_of_making_vectors_has_a_folder_of_its_own(monkeypatch):
    changes = (
        {},
        {"prompt": "An item: {text}"},
        {"pooling": "last"},
        {"layer": 1},
        {"dtype": "bfloat16"},
        {"max_tokens": 100},
        {"append_eos": True},
        {"batch_tokens": 300},
        {"device": "cuda"},
        {"model": "another"},
    )
    keys = {key(**change) for change in changes}
    for name in ("torch", "transformers"):
        versions = {"torch": "1", "transformers": "1", name: "2"}
        monkeypatch.setattr(store, "version", versions.__getitem__)
        keys.add(key())
    monkeypatch.setattr(store, "version", importlib.metadata.version)
    monkeypatch.setattr(store, "code_digest", lambda *_, **__: "edited")
    keys.add(key())
    assert len(keys) == len(changes) + 3


def test_what_is_made_of_a_pooled_vector_later_shares_its_folder():
    assert key(truncate_dim=5) == key(normalize=False) == key()


@pytest.fixture
def key_of_edited(tmp_path, monkeypatch):
    """Key after texts are appended to modules of ``embed``."""

    def make(edits):
        package = shutil.copytree(PACKAGE, tmp_path / "ace_steps")
        for module, text in edits.items():
            with (package / "embed" / f"{module}.py").open("a") as file:
                file.write(text)
        monkeypatch.setattr(store, "code_digest", partial(code_digest, package=package))
        return key()

    return make


DECIDING = {
    "encode": "_vectors",
    "fused": "Decoder",
    "models": "load_model",
    "tokens": "token_budget_batches",
}


@pytest.mark.parametrize(("module", "name"), DECIDING.items())
def test_an_edit_of_what_computes_a_vector_has_a_folder_of_its_own(key_of_edited, module, name):
    before = key()
    assert key_of_edited({module: f"\n{name} = {name}\n"}) != before


def test_other_edits_keep_the_folder(key_of_edited):
    edits = {
        "encode": "# a comment\n",
        "settings": "EncoderSettings = EncoderSettings\n",
        "store": "store_key = store_key\n",
        "api": "import os\n",
        "texts": "distinct_texts = distinct_texts\n",
        "entries": "describe = describe\n",
    }
    before = key()
    assert key_of_edited(edits) == before


def test_a_file_that_another_job_gathers_meanwhile_is_no_damage(tmp_path, monkeypatch):
    other, hashes = VectorStore(tmp_path), pl.Series(["a" * 64, "b" * 64])
    for row in range(2):
        other.add(hashes[row : row + 1], np.full((1, 3), row, np.float32))
    open_parquet = store.open_parquet

    def gathered_before(path):
        other.gather()
        return open_parquet(path)

    monkeypatch.setattr(store, "open_parquet", gathered_before)
    matrix = np.empty((2, 3), np.float32)
    assert not VectorStore(tmp_path).load(hashes, matrix).any()
    assert VectorStore(tmp_path).load(hashes, matrix).all()
    np.testing.assert_array_equal(matrix[:, 0], [0, 1])


def test_a_useless_vector_is_not_kept_and_those_before_it_are(tmp_path):
    texts = distinct_texts(items_of(["x", "y", "z"]))
    batches = [
        (np.array([0]), np.ones((1, 2), np.float32)),
        (np.array([1, 2]), np.array([[1.0, 1.0], [0.0, np.nan]], np.float32)),
    ]
    sizes, is_cut = np.ones(3, np.int64), np.zeros(3, bool)
    with pytest.raises(InputError, match=f"item '{texts['item_id'][2]}': the model's vector"):
        embed_new(
            *(texts, sizes, is_cut),
            dim=2,
            store=VectorStore(tmp_path),
            batches=lambda is_known: iter(batches),
        )
    is_known = VectorStore(tmp_path).load(texts["text_sha256"], np.empty((3, 2), np.float32))
    np.testing.assert_array_equal(is_known, [True, False, False])


def vectors_of(rows, **changes):
    embedded = Embedded(np.array(rows, np.float32), 0, 0, 0, 0, 0, 0.0)
    texts = pl.DataFrame({"item_id": ["a", "b"][: len(rows)], "text": ["x", "y"][: len(rows)]})
    return finished(embedded, texts, EncoderSettings(**changes)).matrix


def test_vectors_are_cut_before_they_are_scaled():
    rows = [[3.0, 4.0, 12.0]]
    np.testing.assert_allclose(vectors_of(rows, truncate_dim=2, normalize=True), [[0.6, 0.8]])
    np.testing.assert_array_equal(vectors_of(rows, normalize=False), rows)


@pytest.mark.parametrize("row", [[0.0, 0.0], [np.inf, 1.0], [np.nan, 1.0], [0.0, 0.0, 1.0]])
def test_scaling_hides_no_useless_vector(row):
    rows = [[1.0] * len(row), row]
    with pytest.raises(InputError, match="item 'b': the model's vector"):
        vectors_of(rows, truncate_dim=2, normalize=True)
