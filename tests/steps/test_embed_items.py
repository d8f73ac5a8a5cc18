"""The steps embed_items and merge_vectors, through their command lines, with toy encoders."""

import shutil

import numpy as np
import pytest

from ace_steps import runtime
from ace_steps.parquet import read_provenance, read_vectors
from ace_steps.steps import merge_vectors
from tests.embed.conftest import SETTINGS
from tests.steps.made_items import write_damaged_items, write_items
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
        **{"max_tokens": 256, "normalised": True, "width": TOY_WIDTH, "device": "cpu"},
        **{"shard": "1-of-1", "n_texts": 4, "n_tokens": 256 + 8 + 9 + 11, "n_truncated": 1},
        "n_tokens_longest": 256,
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
    embed(name="whole.parquet", normalise=False)
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
        ({"pooling": "meen"}, "key 'pooling': Input should be 'mean', 'weighted_mean', 'last'"),
        ({"dtype": "float8"}, "key 'dtype': Input should be 'bfloat16' or 'float32'"),
        ({"prompt": "no place"}, "{text} is wanted exactly once"),
        ({"prompt": "{text}{text}"}, "{text} is wanted exactly once"),
        ({"pool": "mean"}, "unknown key 'pool'; did you mean 'pooling'?"),
        ({"max_tokens": 0}, "key 'max_tokens': Input should be greater than 0"),
        ({"max_tokens": 4096}, "reads at most 512"),
    ],
)
def test_settings_that_cannot_be_followed_are_refused(embed, tmp_path, changes, text):
    code, log = embed(**changes)
    assert code == 2
    assert text in log
    assert len(log.strip().splitlines()) == 1
    assert not (tmp_path / "shard.parquet").exists()


def test_a_shard_beyond_their_number_is_refused(embed):
    code, log = embed("5-of-4")
    assert code == 2
    assert "shard '5-of-4'; wanted N-of-M" in log


def test_a_text_without_tokens_is_refused_with_its_item(embed, tmp_path):
    write_items(tmp_path / "items.parquet", ["red shoe", ""])
    code, log = embed()
    assert code == 2
    assert "item 'id2': its text '' has no token" in log
    assert not (tmp_path / "shard.parquet").exists()


def test_a_blank_text_in_a_prompt_has_a_vector(embed, tmp_path):
    write_items(tmp_path / "items.parquet", ["red shoe", ""])
    assert embed(prompt="An item: {text}")[0] == 0


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
    assert len(log.strip().splitlines()) == 1
    assert not (tmp_path / "shard.parquet").exists()
