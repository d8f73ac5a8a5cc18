"""What an entry stands for: its kind, what it leaves out, its folder, its step's settings."""

import json
import subprocess
import sys

import pytest

from ace_steps.embed.entries import (
    API,
    LOCAL,
    PRECOMPUTED,
    describe,
    encoder_dim,
    fill_in,
    kind_of,
    model_folder,
    resolve_encoder,
    step_settings,
    trace,
    unlisted_hub,
)
from ace_steps.embed.settings import (
    ApiEncoderSettings,
    EmbedItemsSettings,
    HubSettings,
    LocalEncoderSettings,
    RequestVectorsSettings,
    entry_class,
)
from ace_steps.errors import InputError
from ace_steps.settings import parse
from tests.conftest import ROOT
from tests.embed.test_model_files import MEAN, NORMALIZE, POOLING, TRANSFORMER, write_files

REGISTRY = ROOT / "data/encoders.yaml"
COMMIT = "0123456789ab" + "0" * 28
OWN_API = {"base_url": "http://127.0.0.1/v1", "model": "m", "dim": 8}


def resolved(entry, folder=None):
    return resolve_encoder(entry_class(entry).model_validate(entry), REGISTRY, folder)


def test_all_of_a_sentence_transformer_comes_from_its_files(tmp_path):
    write_files(
        tmp_path,
        modules=[TRANSFORMER, POOLING, NORMALIZE],
        pooling=MEAN,
        sentence_bert_config={"max_seq_length": 200, "do_lower_case": False},
        config_sentence_transformers={"prompts": {"query": "query: ", "document": "passage: "}},
        tokenizer_config={"add_eos_token": True, "model_max_length": 512},
    )
    settings, origins = resolved({"path": str(tmp_path)}, tmp_path)
    values = {key: getattr(settings, key) for key in origins}
    assert values == {
        "prompt": "passage: {text}",
        "pooling": "mean",
        "max_tokens": 200,
        "append_eos": True,
        "normalize": True,
    }
    assert origins == {
        "prompt": "config_sentence_transformers.json, prompt 'document'",
        "pooling": "1_Pooling/config.json",
        "max_tokens": "sentence_bert_config.json",
        "append_eos": "tokenizer_config.json",
        "normalize": "modules.json",
    }
    assert "max_tokens 200 (sentence_bert_config.json)" in describe(settings, origins)
    assert resolve_encoder(settings, REGISTRY, tmp_path)[0] == settings


def test_a_stated_value_comes_first_and_files_of_stated_values_are_not_read(tmp_path):
    write_files(tmp_path, modules=[TRANSFORMER, POOLING], pooling="{", config="{")
    stated = {"prompt": "a {text}", "pooling": "last", "max_tokens": 9, "append_eos": True}
    settings, origins = resolved({"path": str(tmp_path), **stated}, tmp_path)
    assert {key: getattr(settings, key) for key in stated} == stated
    assert settings.normalize is False
    assert origins == dict.fromkeys(stated, "configuration") | {"normalize": "modules.json"}


def test_a_pooling_without_the_prompt_is_refused_only_where_there_is_a_prompt(tmp_path):
    pooling = {**MEAN, "include_prompt": False}
    write_files(tmp_path, modules=[TRANSFORMER, POOLING], pooling=pooling)
    entry = {"path": str(tmp_path)}
    assert resolved(entry, tmp_path)[0].prompt == "{text}"
    with pytest.raises(InputError, match="include_prompt is false"):
        resolved({**entry, "prompt": "d: {text}"}, tmp_path)
    assert resolved({**entry, "prompt": "d: {text}", "pooling": "mean"}, tmp_path)


def test_a_preset_comes_before_the_models_files_and_these_fill_in_the_rest(tmp_path):
    entry = {"source": "f2llm-4b", "dtype": "float32", "max_tokens": 9}
    settings, origins = resolved(entry)
    assert (settings.source, settings.dtype, settings.append_eos) == ("f2llm-4b", "float32", True)
    assert settings.normalize is None
    assert origins == {
        "prompt": "registry",
        "pooling": "registry",
        "max_tokens": "configuration",
        "append_eos": "registry",
    }
    write_files(tmp_path, modules=[TRANSFORMER, POOLING], pooling=MEAN)
    settings, origins = resolved(entry, tmp_path)
    assert (settings.normalize, origins["normalize"]) == (False, "modules.json")
    assert (settings.pooling, origins["pooling"]) == ("last", "registry")


def test_a_source_that_only_an_api_has_becomes_that_api():
    entry = {"source": "text-embedding-3-large", "truncate_dim": 256, "max_tokens": 100}
    settings, origins = resolved(entry)
    assert isinstance(settings, ApiEncoderSettings)
    assert settings.api.base_url == "https://api.openai.com/v1"
    assert settings.api.key_variable == "OPENAI_API_KEY"
    assert (settings.api.dim, settings.truncate_dim, settings.max_tokens) == (3072, 256, 100)
    assert origins == {
        "prompt": "registry",
        "max_tokens": "configuration",
        "normalize": "registry",
    }


@pytest.mark.parametrize("stated", [{"pooling": "mean"}, {"layer": -2}, {"append_eos": False}])
def test_an_api_has_no_settings_of_a_model_that_runs_here(stated):
    with pytest.raises(InputError, match=f"{next(iter(stated))}: 'text-embedding-3-small' is"):
        resolved({"source": "text-embedding-3-small", **stated})


def test_an_api_of_ones_own_has_the_defaults_of_its_class():
    settings, origins = resolved({"api": OWN_API, "max_tokens": 50})
    assert settings == ApiEncoderSettings(api=OWN_API, max_tokens=50)
    assert origins == {"prompt": "default", "max_tokens": "configuration", "normalize": "default"}


def test_an_unknown_source_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match="did you mean 'smollm2-135m'"):
        resolved({"source": "smollm2-135"})


@pytest.mark.parametrize(
    ("entry", "kind", "dim"),
    [
        ({"source": "smollm2-135m"}, LOCAL, 576),
        ({"source": "smollm2-135m", "truncate_dim": 64}, LOCAL, 64),
        ({"source": "text-embedding-3-small"}, API, 1536),
        ({"api": OWN_API}, API, 8),
        ({"vectors": "mine.npy"}, PRECOMPUTED, None),
        ({"hub": {"repo": "own/model", "revision": COMMIT}}, LOCAL, None),
    ],
)
def test_kind_and_dimension_are_known_before_a_run_where_something_says_it(entry, kind, dim):
    assert kind_of(resolved(entry)[0]) == kind
    assert encoder_dim(entry_class(entry).model_validate(entry), REGISTRY, None) == dim


@pytest.mark.parametrize(
    ("entry", "folder", "hub"),
    [
        ({"source": "smollm2-135m"}, "smollm2-135m", None),
        ({"source": "qwen3-embedding-4b"}, "qwen3-embedding-4b", None),
        (
            {"source": "qwen3-embedding-4b", "revision": COMMIT},
            "Qwen--Qwen3-Embedding-4B--0123456789ab",
            HubSettings(repo="Qwen/Qwen3-Embedding-4B", revision=COMMIT),
        ),
        (
            {"hub": {"repo": "own/model", "revision": COMMIT}},
            "own--model--0123456789ab",
            HubSettings(repo="own/model", revision=COMMIT),
        ),
    ],
)
def test_a_fetched_model_has_a_folder_of_its_own(entry, folder, hub):
    settings, _ = resolved(entry)
    assert model_folder(settings, REGISTRY) == f"<resources>/encoders/{folder}/model"
    assert unlisted_hub(settings, REGISTRY) == hub


def test_a_model_that_is_here_stays_where_it_is_and_has_the_dimension_of_its_files(tmp_path):
    settings = LocalEncoderSettings(path=str(tmp_path), trust_remote_code=True)
    assert model_folder(settings, REGISTRY) == str(tmp_path)
    assert unlisted_hub(settings, REGISTRY) is None
    write_files(tmp_path, config={"hidden_size": 48})
    assert encoder_dim(settings, REGISTRY, tmp_path) == 48


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"path": "nowhere/model"}, "no such file or folder: nowhere/model"),
        ({"source": "toy", "revision": COMMIT}, "'toy' has no revisions"),
        ({"source": "kalm-embedding-gemma3-12b"}, "no commit of 'kalm-embedding-gemma3-12b' is"),
    ],
)
def test_a_model_that_cannot_be_had_is_one_line(entry, text):
    settings, _ = resolved(entry)
    with pytest.raises(InputError, match=text):
        model_folder(settings, REGISTRY)


def test_a_step_gets_what_was_resolved_and_from_where(decoder_folder):
    settings, origins = resolved({"source": "kalm-embedding-gemma3-12b", "max_tokens": 99})
    text = json.dumps(step_settings(settings, origins))
    given = parse(EmbedItemsSettings, text, "--settings")
    assert trace(fill_in(given.plain(), None, decoder_folder)[1], given.taken_from) == {
        "prompt": "registry",
        "pooling": "registry",
        "max_tokens": "configuration",
        "append_eos": "default",
        "normalize": "default",
    }
    settings, origins = resolved({"source": "text-embedding-3-small", "max_tokens": 99})
    text = json.dumps(step_settings(settings, origins))
    given = parse(RequestVectorsSettings, text, "--settings")
    assert given.plain() == settings
    assert given.taken_from == origins


def test_paths_of_a_file_of_vectors_are_filled_in(tmp_path, monkeypatch):
    monkeypatch.setenv("ACE_TEST_FOLDER", str(tmp_path))
    (tmp_path / "mine.npy").write_bytes(b"")
    made = step_settings(*resolved({"vectors": "$ACE_TEST_FOLDER/mine.npy"}))
    assert made["vectors"] == str(tmp_path / "mine.npy")
    assert "taken_from" not in made


def test_a_dry_run_imports_no_torch_and_no_polars():
    code = (
        "import sys, ace_steps.embed.entries;"
        "print({'torch', 'polars', 'numpy', 'transformers'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
