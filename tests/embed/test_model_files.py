"""What a model's folder lacks, and the dimension that its files tell, before anything is loaded."""

import json
import shutil

import pytest

from ace_steps.embed.model_files import check_folder, folder_dim
from ace_steps.errors import InputError
from tests.toy import TOY_WIDTH


@pytest.fixture
def copied(decoder_folder, tmp_path):
    return shutil.copytree(decoder_folder, tmp_path / "model")


def test_a_whole_folder_lacks_nothing(decoder_folder, reader_folder):
    assert check_folder(decoder_folder) == check_folder(reader_folder) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.json", "config.json or a .gguf file"),
        ("model.safetensors", "weights in .safetensors or .gguf"),
        ("tokenizer.json", "tokenizer.json"),
    ],
)
def test_a_missing_file_is_named_with_its_folder(copied, name, text):
    (copied / name).unlink()
    (line,) = check_folder(copied)
    assert line.startswith(f"{copied}: ")
    assert text in line


def test_all_that_is_missing_is_said_at_once(tmp_path):
    assert len(check_folder(tmp_path)) == 3


def test_a_pickle_is_named_as_the_reason(copied):
    (copied / "model.safetensors").rename(copied / "pytorch_model.bin")
    (line,) = check_folder(copied)
    assert "pytorch_model.bin is a pickle" in line


def test_weights_in_several_files_must_all_be_there(copied):
    index = {"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}
    (copied / "model.safetensors.index.json").write_text(json.dumps(index))
    (line,) = check_folder(copied)
    assert "model-2.safetensors" in line
    shutil.copy(copied / "model.safetensors", copied / "model-2.safetensors")
    assert check_folder(copied) == []


def test_one_gguf_file_is_enough_and_two_are_too_many(tmp_path):
    (tmp_path / "a.gguf").write_bytes(b"")
    assert check_folder(tmp_path) == []
    (tmp_path / "b.gguf").write_bytes(b"")
    (line,) = check_folder(tmp_path)
    assert "a.gguf, b.gguf" in line


def test_a_file_and_nothing_at_all_are_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    assert "got a file" in check_folder(tmp_path / "file")[0]
    assert "got none" in check_folder(tmp_path / "gone")[0]


@pytest.mark.parametrize(
    ("config", "dim"),
    [
        ({"hidden_size": 7}, 7),
        ({"hidden_size": 9, "text_config": {"hidden_size": 7}}, 7),
        ({"hidden_size": 9, "word_embed_proj_dim": 7}, 7),
        ({"n_embd": 7}, 7),
        ({"dim": 7}, 7),
        ({"model_type": "own"}, None),
    ],
)
def test_the_dimension_is_found_under_the_names_of_its_architecture(tmp_path, config, dim):
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert folder_dim(tmp_path) == dim


def test_the_dimension_is_that_of_the_vectors(decoder_folder, tmp_path):
    assert folder_dim(decoder_folder) == TOY_WIDTH
    assert folder_dim(tmp_path) is None


def test_a_config_of_another_form_is_refused_with_the_file(tmp_path):
    (tmp_path / "config.json").write_text('{"hidden_size": "wide"}')
    with pytest.raises(InputError, match=r"config.json: hidden_size: "):
        folder_dim(tmp_path)
