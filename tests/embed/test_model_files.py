"""What a model's small files say of its vectors, and what its folder lacks to be loaded."""

import json
import shutil

import pytest

from ace_steps.embed.model_files import DEFAULTS, check_folder, derive, excludes_prompt, folder_dim
from ace_steps.errors import InputError

TRANSFORMER = {"path": "", "type": "sentence_transformers.models.Transformer"}
POOLING = {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}
NORMALIZE = {"path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}
MEAN = {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
POOLED = {"modules": [TRANSFORMER, POOLING]}


def write_files(folder, **files):
    """Small files of a model, by name; ``1_Pooling/config.json`` is called ``pooling``."""
    (folder / "1_Pooling").mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        place = "1_Pooling/config.json" if name == "pooling" else f"{name}.json"
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / place).write_text(text)
    return folder


@pytest.mark.parametrize("key", DEFAULTS)
def test_without_its_files_a_key_has_its_default(tmp_path, key):
    assert derive(key, tmp_path) == (DEFAULTS[key], "default")


@pytest.mark.parametrize(
    ("content", "pooling"),
    [
        ({"pooling_mode_cls_token": True}, "first"),
        ({"pooling_mode": "cls"}, "first"),
        ({**MEAN, "word_embedding_dimension": 384}, "mean"),
        ({"pooling_mode": ["mean"]}, "mean"),
        ({"pooling_mode_weightedmean_tokens": True}, "weighted_mean"),
        ({"pooling_mode": "weightedmean"}, "weighted_mean"),
        ({"pooling_mode_lasttoken": True}, "last"),
        ({"pooling_mode": "lasttoken"}, "last"),
    ],
)
def test_a_pooling_is_known_in_both_forms_of_its_file(tmp_path, content, pooling):
    write_files(tmp_path, **POOLED, pooling=content)
    assert derive("pooling", tmp_path) == (pooling, "1_Pooling/config.json")


@pytest.mark.parametrize("names", [("models.", "models."), ("base.modules.", "modules.pooling.")])
def test_modules_are_known_by_their_last_name_whatever_the_librarys_version(tmp_path, names):
    modules = [
        {"path": path, "type": f"sentence_transformers.{name}{path or 'Transformer'}"}
        for path, name in zip(("", "Pooling"), names, strict=True)
    ]
    write_files(tmp_path, modules=[*modules, NORMALIZE])
    assert derive("normalize", tmp_path) == (True, "modules.json")
    write_files(tmp_path, modules=modules)
    assert derive("normalize", tmp_path) == (False, "modules.json")


@pytest.mark.parametrize(
    "modules",
    [
        [TRANSFORMER, POOLING, {"path": "2", "type": "sentence_transformers.models.Dense"}],
        [{"path": "", "type": "custom_st.Transformer"}, POOLING],
        [TRANSFORMER, NORMALIZE, POOLING],
        [],
        [TRANSFORMER, {**POOLING, "path": "../1_Pooling"}],
        [{**TRANSFORMER, "path": "0_Transformer"}, POOLING],
        ["Transformer"],
        {"0": TRANSFORMER},
        "[{",
    ],
)
def test_modules_that_are_not_computed_here_are_refused_with_the_file(tmp_path, modules):
    write_files(tmp_path, modules=modules, pooling=MEAN)
    for key in ("pooling", "normalize"):
        with pytest.raises(InputError, match=r"modules\.json: "):
            derive(key, tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        None,
        {"pooling_mode_max_tokens": True},
        {"pooling_mode": "mean_sqrt_len_tokens"},
        {**MEAN, "pooling_mode_max_tokens": True},
        {"pooling_mode": ["cls", "mean"]},
        {"pooling_mode_mean_tokens": False},
        {"pooling_mode": 3},
        "mean",
    ],
)
def test_a_pooling_that_is_not_computed_here_is_refused_with_the_file(tmp_path, content):
    write_files(tmp_path, **POOLED, **({"pooling": content} if content else {}))
    with pytest.raises(InputError, match=r"1_Pooling/config\.json: "):
        derive("pooling", tmp_path)


def test_a_pooling_may_leave_the_prompt_out(tmp_path):
    assert not excludes_prompt(tmp_path)
    write_files(tmp_path, **POOLED, pooling=MEAN)
    assert not excludes_prompt(tmp_path)
    write_files(tmp_path, pooling={**MEAN, "include_prompt": False})
    assert excludes_prompt(tmp_path)


@pytest.mark.parametrize(
    ("content", "prompt"),
    [
        ({"prompts": {"query": "q: ", "passage": "p: ", "corpus": "c: "}}, "p: {text}"),
        ({"prompts": {"query": "q: ", "document": ""}, "default_prompt_name": "query"}, "{text}"),
        ({"prompts": {"query": "q: "}, "default_prompt_name": "query"}, "q: {text}"),
        ({"prompts": {"query": "q: "}, "default_prompt_name": None}, "{text}"),
    ],
)
def test_items_are_documents_and_so_is_their_prompt(tmp_path, content, prompt):
    write_files(tmp_path, config_sentence_transformers=content)
    assert derive("prompt", tmp_path)[0] == prompt


@pytest.mark.parametrize(
    ("files", "length", "origin"),
    [
        ({"config": {"max_position_embeddings": 128}}, 128, "config.json"),
        ({"config": {"n_positions": 100}}, 100, "config.json"),
        ({"config": {"text_config": {"max_position_embeddings": 64}}}, 64, "config.json"),
        ({"config": {"max_position_embeddings": 4096}}, 256, "default"),
        ({"tokenizer_config": {"model_max_length": 77}}, 77, "tokenizer_config.json"),
        ({"tokenizer_config": {"model_max_length": 1e30}}, 256, "default"),
        ({"sentence_bert_config": {"max_seq_length": 4000}}, 4000, "sentence_bert_config.json"),
        (
            {
                "sentence_bert_config": {"max_seq_length": 4000},
                "config": {"max_position_embeddings": 512},
                "tokenizer_config": {"model_max_length": 500},
            },
            500,
            "tokenizer_config.json",
        ),
    ],
)
def test_a_length_is_never_more_than_the_model_can_take(tmp_path, files, length, origin):
    value, source = derive("max_tokens", write_files(tmp_path, **files))
    assert value == length
    assert source.partition(",")[0] == origin


@pytest.mark.parametrize(
    ("key", "name", "content"),
    [
        ("prompt", "config_sentence_transformers", {"prompts": []}),
        ("prompt", "config_sentence_transformers", {"prompts": {"document": 3}}),
        ("prompt", "config_sentence_transformers", {"prompts": {"document": "{text}: "}}),
        ("prompt", "config_sentence_transformers", {"default_prompt_name": "query"}),
        ("prompt", "config_sentence_transformers", []),
        ("max_tokens", "sentence_bert_config", {"max_seq_length": 0}),
        ("max_tokens", "sentence_bert_config", {"max_seq_length": True}),
        ("max_tokens", "config", {"max_position_embeddings": "many"}),
        ("append_eos", "tokenizer_config", {"add_eos_token": "yes"}),
        ("append_eos", "tokenizer_config", "{"),
    ],
)
def test_a_file_of_another_form_is_refused_in_one_line_with_its_name(tmp_path, key, name, content):
    write_files(tmp_path, **{name: content})
    with pytest.raises(InputError, match=rf"{name}\.json: .*") as caught:
        derive(key, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("config", "dim"),
    [
        ({"hidden_size": 7}, 7),
        ({"hidden_size": 9, "text_config": {"hidden_size": 7}}, 7),
        ({"hidden_size": 9, "word_embed_proj_dim": 7}, 7),
        ({"n_embd": 7}, 7),
        ({"model_type": "own"}, None),
    ],
)
def test_the_dimension_has_the_name_that_its_architecture_gives_it(tmp_path, config, dim):
    assert folder_dim(write_files(tmp_path, config=config)) == dim


@pytest.fixture
def copied(decoder_folder, tmp_path):
    return shutil.copytree(decoder_folder, tmp_path / "model")


def test_a_whole_folder_lacks_nothing_and_an_empty_one_everything(
    decoder_folder, reader_folder, tmp_path
):
    assert check_folder(decoder_folder) == check_folder(reader_folder) == []
    assert len(check_folder(tmp_path)) == 3
    assert "got none" in check_folder(tmp_path / "gone")[0]


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_file_is_named_with_its_folder(copied, name):
    (copied / name).rename(copied / "old.bin")
    (line,) = check_folder(copied)
    assert line.startswith(f"{copied}: ")
    assert name.removeprefix("model") in line
    assert ("old.bin is a pickle" in line) == (name == "model.safetensors")


def test_weights_in_several_files_must_all_be_there(copied):
    index = {"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}
    (copied / "model.safetensors.index.json").write_text(json.dumps(index))
    (line,) = check_folder(copied)
    assert "model-2.safetensors" in line
    shutil.copy(copied / "model.safetensors", copied / "model-2.safetensors")
    assert check_folder(copied) == []
    (copied / "model.safetensors.index.json").write_text("{")
    with pytest.raises(InputError, match=r"index\.json: "):
        check_folder(copied)


def test_one_gguf_file_is_enough_and_two_are_too_many(tmp_path):
    (tmp_path / "a.gguf").write_bytes(b"")
    assert check_folder(tmp_path) == []
    (tmp_path / "b.gguf").write_bytes(b"")
    (line,) = check_folder(tmp_path)
    assert "a.gguf, b.gguf" in line
