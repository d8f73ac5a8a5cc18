"""The steps embed_items and merge_vectors, through their command lines, with toy encoders."""

import errno
import itertools
import json
import re
import shutil

import numpy as np
import pytest

from ace_steps import runtime
from ace_steps.embed.store import VectorStore
from ace_steps.io.parquet import read_provenance
from ace_steps.io.vectors import read_vectors
from ace_steps.steps import merge_vectors
from tests.embed.conftest import SETTINGS
from tests.steps.made_items import EMBED_TEXTS, write_damaged_items, write_items
from tests.toy import TOY_WIDTH


@pytest.fixture
def merge(tmp_path, capsys):
    def run(*names):
        shards = [str(tmp_path / name) for name in names]
        code = merge_vectors.main(
            [
                *("--items", str(tmp_path / "items.parquet"), "--shards", *shards),
                *("--vectors", str(tmp_path / "item_vectors.parquet")),
            ]
        )
        return code, capsys.readouterr().err

    return run


def test_items_get_unit_vectors_and_equal_texts_equal_ones(embed, merge, tmp_path):
    names = [f"{shard}.parquet" for shard in ("1-of-2", "2-of-2")]
    assert [embed(name[:6], name=name)[0] for name in names] == [0, 0]
    assert merge(*names)[0] == 0
    found = read_vectors(tmp_path / "item_vectors.parquet")
    assert found.ids.to_list() == ["id1", "id2", "id3", "id4", "id5"]
    np.testing.assert_allclose(np.linalg.norm(found.matrix, axis=1), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(found.matrix[0], found.matrix[2])
    assert len(np.unique(found.matrix, axis=0)) == 4


@pytest.mark.parametrize("n_shards", [2, 3, 8])
def test_no_byte_of_the_table_depends_on_the_number_of_shards(
    embed, merge, tmp_path, monkeypatch, n_shards
):
    monkeypatch.setattr("ace_steps.embed.texts.BUCKET_TEXTS", 8)
    words = ["same beginning of " + "word " * (n % 7) + str(n) for n in range(60)]
    write_items(tmp_path / "items.parquet", words)
    assert embed("1-of-1", name="whole.parquet")[0] == 0
    assert merge("whole.parquet")[0] == 0
    whole = (tmp_path / "item_vectors.parquet").read_bytes()
    names = [f"{number}.parquet" for number in range(1, n_shards + 1)]
    for number, name in enumerate(names, start=1):
        assert embed(f"{number}-of-{n_shards}", name=name)[0] == 0
    assert merge(*names)[0] == 0
    assert (tmp_path / "item_vectors.parquet").read_bytes() == whole


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
        **{"model": "toy", "revision": None, "pooling": "mean", "dtype": "float32"},
        **{
            "max_tokens": 256,
            "normalized": True,
            "append_eos": False,
            "dim": TOY_WIDTH,
            "device": "cpu",
        },
        **{"shard": "1-of-1", "n_texts": 4, "n_tokens": 256 + 8 + 9 + 11, "n_truncated": 1},
        "n_tokens_longest": 256,
        "taken_from": dict.fromkeys(
            ["prompt", "pooling", "max_tokens", "append_eos", "normalize"], "configuration"
        ),
    }


def test_a_shard_without_texts_is_an_empty_table_of_the_right_width(embed, merge, tmp_path):
    names = [f"{number}-of-30" for number in range(1, 31)]
    assert not any(embed(name, name=name)[0] for name in names)
    sizes = [len(read_vectors(tmp_path / name, "text_sha256")) for name in names]
    assert sum(sizes) == 4
    assert 0 in sizes
    assert merge(*names)[0] == 0


def test_the_same_call_writes_the_same_bytes(embed, tmp_path):
    embed(name="one.parquet")
    embed(name="other.parquet")
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "other.parquet").read_bytes()


def test_truncated_dimensions_are_those_of_the_whole_vector(embed, tmp_path):
    embed(name="whole.parquet", normalize=False)
    embed(name="part.parquet", truncate_dim=5)
    whole, part = (
        read_vectors(tmp_path / f"{name}.parquet", "text_sha256").matrix
        for name in ("whole", "part")
    )
    lengths = np.linalg.norm(whole[:, :5], axis=1, keepdims=True)
    np.testing.assert_allclose(part, whole[:, :5] / lengths, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"pooling": "meen"}, "pooling: expected one of mean, weighted_mean, last, first, got"),
        ({"prompt": "{text}{text}"}, "prompt: expected {text} exactly once"),
        ({"pool": "mean"}, "pool: unknown key; did you mean 'pooling'?"),
        ({"max_tokens": 0}, "max_tokens: expected"),
        ({"max_tokens": 4096}, "encodes at most 512"),
    ],
)
def test_settings_that_cannot_be_followed_are_refused(embed, tmp_path, changes, text):
    code, log = embed(**changes)
    assert code == 2
    lines = log.strip().splitlines()
    assert text in lines[-1]
    assert len(lines) <= 2  # before it what was taken from where, if the settings could be read
    assert not (tmp_path / "shard.parquet").exists()


def test_a_text_without_tokens_is_refused_with_its_item(embed, tmp_path):
    write_items(tmp_path / "items.parquet", ["red shoe", ""])
    code, log = embed()
    assert code == 2
    assert "item 'id2': its text '' has no token" in log
    assert not (tmp_path / "shard.parquet").exists()


def broken(toy_encoder, folder, value):
    """A copy of the model in which the token of the letter y has a useless vector."""
    from safetensors.torch import load_file, save_file
    from transformers import AutoTokenizer

    shutil.copytree(toy_encoder, folder)
    token = AutoTokenizer.from_pretrained(folder)("y").input_ids[0]
    weights = load_file(folder / "model.safetensors")
    weights["embed_tokens.weight"][token] = value
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_a_vector_with_nan_is_refused_with_its_item(embed, toy_encoder, tmp_path):
    code, log = embed(folder=broken(toy_encoder, tmp_path / "broken", float("nan")))
    assert code == 2
    assert "item 'id5': the model's vector holds NaN or infinity" in log
    assert not (tmp_path / "shard.parquet").exists()


def test_a_zero_vector_is_refused_with_its_item(embed, toy_encoder, tmp_path):
    code, log = embed(folder=broken(toy_encoder, tmp_path / "broken", 0.0), layer=0)
    assert code == 2
    assert "item 'id5': the model's vector is all zeros" in log


def test_nothing_but_the_vectors_is_left_behind(embed, toy_encoder, tmp_path):
    embed(folder=broken(toy_encoder, tmp_path / "broken", float("nan")))
    embed()
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"items.parquet", "shard.parquet", "broken"}


def test_a_processor_without_bfloat16_computes_in_float32_and_the_file_says_so(
    embed, tmp_path, monkeypatch
):
    monkeypatch.setattr(runtime, "_multiplies_bfloat16", lambda device: False)
    _, log = embed(name="asked.parquet", dtype="bfloat16")
    assert "no bfloat16 on this cpu; computing in float32" in log
    embed(name="whole.parquet", dtype="float32")
    asked, whole = (tmp_path / "asked.parquet", tmp_path / "whole.parquet")
    assert read_provenance(asked).facts["dtype"] == "float32"
    found, wanted = (read_vectors(path, "text_sha256").matrix for path in (asked, whole))
    np.testing.assert_array_equal(found, wanted)


def test_a_text_that_is_no_utf8_is_refused_with_its_item(embed, tmp_path):
    write_damaged_items(tmp_path / "items.parquet")
    code, log = embed()
    assert code == 2
    assert "item 'id2': its text is not UTF-8 (byte 0xe9 at 3, after 'a h')" in log
    assert "Traceback" not in log
    assert not (tmp_path / "shard.parquet").exists()


def write_sentence_files(folder):
    """The files of sentence-transformers: the last token, 20 tokens, no scaling."""
    modules = [("", "Transformer"), ("1_Pooling", "Pooling")]
    listed = [{"path": path, "type": f"sentence_transformers.models.{k}"} for path, k in modules]
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling/config.json").write_text('{"pooling_mode_lasttoken": true}')
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 20}')
    prompts = {"prompts": {"query": "q: ", "document": "d: "}}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))


def test_what_is_left_out_comes_from_the_models_files_and_is_told(embed, toy_encoder, tmp_path):
    folder = shutil.copytree(toy_encoder, tmp_path / "model")
    write_sentence_files(folder)
    left_out = dict.fromkeys(["prompt", "pooling", "max_tokens", "append_eos", "normalize"])
    told = {"taken_from": {"normalize": "registry"}, "normalize": False}
    derived = embed(folder=folder, name="derived.parquet", **{**left_out, **told})
    assert derived[0] == 0
    assert "pooling 'last' (1_Pooling/config.json)" in derived[1]
    assert "max_tokens 20 (sentence_bert_config.json)" in derived[1]
    stated = {"prompt": "d: {text}", "pooling": "last", "max_tokens": 20, "normalize": False}
    assert embed(folder=folder, name="stated.parquet", **stated)[0] == 0
    one, other = (tmp_path / f"{name}.parquet" for name in ("derived", "stated"))
    np.testing.assert_array_equal(
        *(read_vectors(path, "text_sha256").matrix for path in (one, other))
    )
    note = read_provenance(one)
    assert note.settings == read_provenance(other).settings == {**SETTINGS, **stated}
    assert note.facts["taken_from"] == {
        "prompt": "config_sentence_transformers.json, prompt 'document'",
        "pooling": "1_Pooling/config.json",
        "max_tokens": "sentence_bert_config.json",
        "append_eos": "default",
        "normalize": "registry",
    }


def test_stated_and_derived_values_share_the_store(embed, tmp_path):
    left_out = dict.fromkeys(["prompt", "pooling", "max_tokens", "append_eos", "normalize"])
    store = ("--store", str(tmp_path / "store"))
    assert embed(name="one.parquet", more=store, **left_out)[0] == 0
    code, log = embed(name="other.parquet", more=store)
    assert code == 0
    assert "0 new" in log
    assert len(list((tmp_path / "store").iterdir())) == 1


def test_an_end_token_changes_the_vectors_and_their_folder(embed, toy_encoder, tmp_path):
    folder = shutil.copytree(toy_encoder, tmp_path / "model")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "eos_token": "Z"}))
    store = ("--store", str(tmp_path / "store"))
    for name, append in (("with", True), ("without", False)):
        code, log = embed(folder=folder, name=f"{name}.parquet", append_eos=append, more=store)
        assert code == 0
    assert "4 new" in log
    matrices = [
        read_vectors(tmp_path / f"{name}.parquet", "text_sha256").matrix
        for name in ("with", "without")
    ]
    assert (matrices[0] != matrices[1]).any(axis=1).all()
    assert read_provenance(tmp_path / "with.parquet").facts["n_tokens"] == 284 + 3  # one was cut


def new_texts(log):
    """How many texts the closing line says the model read."""
    return int(re.search(r"(\d+) new:", log)[1])


def test_a_store_embeds_only_texts_it_has_not_seen(embed, tmp_path):
    store = ["--store", str(tmp_path / "store")]
    assert new_texts(embed(more=store)[1]) == 4
    before = (tmp_path / "shard.parquet").read_bytes()
    assert new_texts(embed(more=store)[1]) == 0
    assert (tmp_path / "shard.parquet").read_bytes() == before
    write_items(tmp_path / "items.parquet", [*EMBED_TEXTS, "a new hat"])
    assert new_texts(embed(more=store)[1]) == 1
    assert len(list((tmp_path / "store").rglob("*.parquet"))) == 2  # gathered, one a run


def test_a_store_gives_every_length_and_scale_of_one_vector(embed, tmp_path):
    store = ["--store", str(tmp_path / "store")]
    embed(name="fresh.parquet", truncate_dim=5)
    embed(more=store, normalize=False)
    code, log = embed(name="kept.parquet", more=store, truncate_dim=5)
    assert code == new_texts(log) == 0
    assert (tmp_path / "kept.parquet").read_bytes() == (tmp_path / "fresh.parquet").read_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"pooling": "last"},
        {"layer": 1},
        {"dtype": "bfloat16"},
        {"prompt": "An item: {text}"},
        {"max_tokens": 100},
        {"batch_tokens": 300},
    ],
)
@pytest.mark.usefixtures("bfloat16_everywhere")
def test_a_store_keeps_other_ways_apart(embed, tmp_path, changes):
    store = ["--store", str(tmp_path / "store")]
    embed(more=store)
    assert new_texts(embed(more=store, **changes)[1]) == 4


def test_a_damaged_store_is_an_error_that_names_the_file(embed, tmp_path):
    store = ["--store", str(tmp_path / "store")]
    embed(more=store)
    path = next((tmp_path / "store").rglob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-20])
    code, log = embed(more=store)
    assert code == 2
    assert path.name in log
    assert "delete it and run again" in log


def failing_after(monkeypatch, n_batches, failure):
    """The store raises ``failure`` instead of keeping one batch more."""
    add, calls = VectorStore.add, itertools.count()

    def guarded(self, hashes, vectors):
        if next(calls) == n_batches:
            raise failure
        add(self, hashes, vectors)

    monkeypatch.setattr(VectorStore, "add", guarded)


def test_a_full_disk_is_one_line_and_what_is_done_is_kept(embed, tmp_path, monkeypatch):
    many = [f"item number {number}" for number in range(100)]
    write_items(tmp_path / "items.parquet", many)
    embed(name="unbroken.parquet")
    full = OSError(errno.ENOSPC, "No space left on device", "shard.parquet")
    with monkeypatch.context() as patch:
        failing_after(patch, 2, full)
        code, log = embed()
    assert code == 2
    assert "shard.parquet: No space left on device" in log
    assert not (tmp_path / "shard.parquet").exists()
    n_left = new_texts(embed()[1])
    assert 0 < n_left < 100
    whole = (tmp_path / "unbroken.parquet").read_bytes()
    assert (tmp_path / "shard.parquet").read_bytes() == whole
