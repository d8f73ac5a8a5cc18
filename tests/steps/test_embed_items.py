"""The steps embed_items and merge_vectors, through their command lines, with toy encoders."""

import errno
import itertools
import json
import re
import shutil

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from ace_steps import runtime
from ace_steps.embed.store import VectorStore
from ace_steps.io.parquet import read_provenance
from ace_steps.io.vectors import read_vectors
from ace_steps.steps import merge_vectors
from tests.embed.conftest import SETTINGS
from tests.embed.test_model_files import POOLING, TRANSFORMER, write_files
from tests.steps.made_items import EMBED_TEXTS, write_damaged_items, write_items
from tests.toy import TOY_DIM

LEFT_OUT = dict.fromkeys(["prompt", "pooling", "max_tokens", "append_eos", "normalize"])


@pytest.fixture
def merge(tmp_path):
    def run(*names):
        shards = [str(tmp_path / name) for name in names]
        places = ["--items", str(tmp_path / "items.parquet"), "--shards", *shards]
        return merge_vectors.main([*places, "--vectors", str(tmp_path / "item_vectors.parquet")])

    return run


@pytest.fixture
def store(tmp_path):
    return ["--store", str(tmp_path / "store")]


def matrix_in(path):
    return read_vectors(path, "text_sha256").matrix


def n_new(log):
    """How many texts the closing line says the model encoded."""
    return int(re.search(r"(\d+) new:", log)[1])


@pytest.mark.parametrize("n_shards", [2, 8])
def test_no_byte_of_the_table_depends_on_the_number_of_shards(
    embed, merge, tmp_path, monkeypatch, n_shards
):
    monkeypatch.setattr("ace_steps.embed.texts.BUCKET_TEXTS", 20)
    numbers = [*range(50), *range(10)]
    words = ["same beginning of " + "word " * (n % 7) + str(n) for n in numbers]
    write_items(tmp_path / "items.parquet", words)
    assert embed("1-of-1", name="whole.parquet")[0] == 0
    assert merge("whole.parquet") == 0
    whole = (tmp_path / "item_vectors.parquet").read_bytes()
    names = [f"{number}.parquet" for number in range(1, n_shards + 1)]
    for number, name in enumerate(names, start=1):
        assert embed(f"{number}-of-{n_shards}", name=name)[0] == 0
    assert merge(*names) == 0
    assert (tmp_path / "item_vectors.parquet").read_bytes() == whole
    assert (n_shards == 8) == (min(len(matrix_in(tmp_path / name)) for name in names) == 0)
    vectors = read_vectors(tmp_path / "item_vectors.parquet")
    assert vectors.ids.to_list() == [f"id{number}" for number in range(1, 61)]
    np.testing.assert_allclose(np.linalg.norm(vectors.matrix, axis=1), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(vectors.matrix[:10], vectors.matrix[50:])
    assert len(np.unique(vectors.matrix, axis=0)) == 50


def test_the_file_tells_how_it_was_made(embed, tmp_path):
    code, log = embed()
    assert code == 0
    assert "4 texts of 284 tokens, 1 truncated; 4 new: 284 tokens in" in log
    assert "tokens/s on cpu" in log
    note = read_provenance(tmp_path / "shard.parquet")
    assert note.settings == SETTINGS
    assert note.inputs.keys() == {"items"}
    assert len(note.facts.pop("model_sha256")) == 64
    assert note.facts == {
        "model": "toy",
        "revision": None,
        "pooling": "mean",
        "dtype": "float32",
        "max_tokens": 256,
        "normalized": True,
        "append_eos": False,
        "dim": TOY_DIM,
        "device": "cpu",
        "shard": "1-of-1",
        "n_texts": 4,
        "n_tokens": 256 + 8 + 9 + 11,
        "n_truncated": 1,
        "n_tokens_longest": 256,
        "taken_from": dict.fromkeys(LEFT_OUT, "configuration"),
    }


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"prompt": "{text}{text}", "pool": "mean"}, "prompt: expected {text} exactly once"),
        ({"max_tokens": 4096}, "max_tokens: expected 1 to 512"),
    ],
)
def test_settings_that_cannot_be_followed_are_refused(embed, tmp_path, changes, text):
    code, log = embed(**changes)
    assert code == 2
    lines = log.strip().splitlines()
    assert text in lines[-1]
    assert len(lines) <= 2  # before it what was taken from where, if the settings could be read
    assert not (tmp_path / "shard.parquet").exists()


def test_a_text_that_is_no_utf8_is_refused_with_its_item(embed, tmp_path):
    write_damaged_items(tmp_path / "items.parquet")
    code, log = embed()
    assert code == 2
    assert "item 'id2': its text is not UTF-8" in log
    assert not (tmp_path / "shard.parquet").exists()


def test_a_useless_vector_is_refused_with_its_item_and_leaves_nothing_behind(
    embed, toy_encoder, tmp_path
):
    folder = shutil.copytree(toy_encoder, tmp_path / "model")
    token = AutoTokenizer.from_pretrained(folder)("y").input_ids[0]
    weights = load_file(folder / "model.safetensors")
    weights["embed_tokens.weight"][token] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    code, log = embed(folder=folder)
    assert code == 2
    assert "item 'id5': the model's vector holds NaN or infinity" in log
    assert not (tmp_path / "shard.parquet").exists()
    assert embed()[0] == 0
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"items.parquet", "shard.parquet", "model"}


def test_a_processor_without_bfloat16_computes_in_float32_and_the_file_says_so(
    embed, tmp_path, monkeypatch
):
    monkeypatch.setattr(runtime, "_multiplies_bfloat16", lambda device: False)
    _, log = embed(dtype="bfloat16")
    assert "no bfloat16 on this cpu; computing in float32" in log
    assert read_provenance(tmp_path / "shard.parquet").facts["dtype"] == "float32"


def test_what_is_left_out_comes_from_the_models_files_and_shares_the_store(
    embed, toy_encoder, tmp_path, store
):
    folder = shutil.copytree(toy_encoder, tmp_path / "model")
    write_files(
        folder,
        modules=[TRANSFORMER, POOLING],
        pooling={"pooling_mode_lasttoken": True},
        sentence_bert_config={"max_seq_length": 20},
        config_sentence_transformers={"prompts": {"query": "q: ", "document": "d: "}},
    )
    known = {"taken_from": {"normalize": "registry"}, "normalize": False}
    code, log = embed(folder=folder, more=store, **{**LEFT_OUT, **known})
    assert code == 0
    assert "pooling 'last' (1_Pooling/config.json)" in log
    note = read_provenance(tmp_path / "shard.parquet")
    stated = {"prompt": "d: {text}", "pooling": "last", "max_tokens": 20, "normalize": False}
    assert note.settings == {**SETTINGS, **stated}
    assert note.facts["taken_from"] == {
        "prompt": "config_sentence_transformers.json, prompt 'document'",
        "pooling": "1_Pooling/config.json",
        "max_tokens": "sentence_bert_config.json",
        "append_eos": "default",
        "normalize": "registry",
    }
    _, log = embed(folder=folder, name="stated.parquet", more=store, **stated)
    assert n_new(log) == 0
    derived, stated = (matrix_in(tmp_path / name) for name in ("shard.parquet", "stated.parquet"))
    np.testing.assert_array_equal(derived, stated)


def test_an_end_token_changes_every_vector(embed, toy_encoder, tmp_path):
    folder = shutil.copytree(toy_encoder, tmp_path / "model")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "eos_token": "Z"}))
    assert embed(folder=folder, name="with.parquet", append_eos=True)[0] == 0
    assert embed(folder=folder, name="without.parquet")[0] == 0
    with_end, without = (matrix_in(tmp_path / f"{name}.parquet") for name in ("with", "without"))
    assert (with_end != without).any(axis=1).all()
    n_tokens = read_provenance(tmp_path / "with.parquet").facts["n_tokens"]
    assert n_tokens == 284 + 3  # one was cut


def test_a_store_embeds_only_texts_it_lacks_and_changes_no_byte(embed, tmp_path, store):
    assert n_new(embed(more=store)[1]) == 4
    before = (tmp_path / "shard.parquet").read_bytes()
    assert n_new(embed(more=store)[1]) == 0
    assert (tmp_path / "shard.parquet").read_bytes() == before
    write_items(tmp_path / "items.parquet", [*EMBED_TEXTS, "a new hat"])
    assert n_new(embed(more=store)[1]) == 1
    assert len(list((tmp_path / "store").rglob("*.parquet"))) == 2  # gathered, one a run
    assert n_new(embed(more=store, pooling="last")[1]) == 5


def test_a_damaged_store_is_an_error_that_names_the_file(embed, tmp_path, store):
    embed(more=store)
    path = next((tmp_path / "store").rglob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-20])
    code, log = embed(more=store)
    assert code == 2
    assert path.name in log
    assert "delete it and run again" in log


def test_a_full_disk_is_one_line_and_what_is_embedded_is_kept(embed, tmp_path, monkeypatch):
    write_items(tmp_path / "items.parquet", [f"item number {number}" for number in range(100)])
    embed(name="unbroken.parquet")
    add, calls = VectorStore.add, itertools.count()

    def full_after_two(self, hashes, vectors):
        if next(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device", "shard.parquet")
        add(self, hashes, vectors)

    with monkeypatch.context() as patch:
        patch.setattr(VectorStore, "add", full_after_two)
        code, log = embed()
    assert code == 2
    assert "shard.parquet: No space left on device" in log
    assert not (tmp_path / "shard.parquet").exists()
    assert 0 < n_new(embed()[1]) < 100
    whole = (tmp_path / "unbroken.parquet").read_bytes()
    assert (tmp_path / "shard.parquet").read_bytes() == whole
