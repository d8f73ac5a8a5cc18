"""What an entry stands for: what it leaves out, its kind, its folder, its step's settings."""

import json

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
    PrecomputedSettings,
    RequestVectorsSettings,
    entry_class,
)
from ace_steps.errors import InputError
from ace_steps.settings import parse
from tests.conftest import ROOT

REGISTRY = ROOT / "data/encoders.yaml"
LIBRARY = "sentence_transformers"
TRANSFORMER = {"path": "", "type": f"{LIBRARY}.models.Transformer"}
POOLING = {"path": "1_Pooling", "type": f"{LIBRARY}.models.Pooling"}
NORMALIZE = {"path": "2_Normalize", "type": f"{LIBRARY}.models.Normalize"}
MEAN = {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}


def write(folder, **files):
    """Small files of a model, by name; ``1_Pooling/config.json`` is called ``pooling``."""
    (folder / "1_Pooling").mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        place = "1_Pooling/config.json" if name == "pooling" else f"{name}.json"
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / place).write_text(text)
    return folder


def resolved(folder, **stated):
    entry = LocalEncoderSettings(path=str(folder), **stated)
    return resolve_encoder(entry, REGISTRY, folder)


def derived(folder, key, **stated):
    settings, origins = resolved(folder, **stated)
    return getattr(settings, key), origins[key]


def refusal(folder, **stated):
    with pytest.raises(InputError) as caught:
        resolved(folder, **stated)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_all_of_a_sentence_transformer_comes_from_its_files(tmp_path):
    write(
        tmp_path,
        modules=[TRANSFORMER, POOLING, NORMALIZE],
        pooling={**MEAN, "word_embedding_dimension": 384},
        sentence_bert_config={"max_seq_length": 200, "do_lower_case": False},
        config_sentence_transformers={"prompts": {"query": "query: ", "document": "passage: "}},
        tokenizer_config={"add_eos_token": True, "model_max_length": 512},
        config={"max_position_embeddings": 512, "hidden_size": 384},
    )
    settings, origins = resolved(tmp_path)
    assert (settings.prompt, settings.pooling, settings.normalize) == (
        "passage: {text}",
        "mean",
        True,
    )
    assert (settings.max_tokens, settings.append_eos) == (200, True)
    assert origins == {
        "prompt": "config_sentence_transformers.json, prompt 'document'",
        "pooling": "1_Pooling/config.json",
        "max_tokens": "sentence_bert_config.json",
        "append_eos": "tokenizer_config.json",
        "normalize": "modules.json",
    }
    line = describe(settings, origins)
    assert "max_tokens 200 (sentence_bert_config.json)" in line
    assert "\n" not in line


def test_a_folder_that_says_nothing_has_the_defaults(tmp_path):
    settings, origins = resolved(write(tmp_path, config={"hidden_size": 8}))
    assert (settings.prompt, settings.pooling, settings.max_tokens) == ("{text}", "mean", 256)
    assert (settings.append_eos, settings.normalize) == (False, True)
    assert set(origins.values()) == {"default"}


def test_what_the_entry_states_is_taken_and_its_files_stay_unread(tmp_path):
    write(tmp_path, modules="no JSON", config_sentence_transformers="no JSON", tokenizer_config="{")
    stated = {"prompt": "a {text}", "pooling": "last", "normalize": False, "append_eos": False}
    settings, origins = resolved(tmp_path, max_tokens=9, **stated)
    assert {key: getattr(settings, key) for key in stated} == stated
    assert set(origins.values()) == {"configuration"}


def test_one_key_can_be_overridden_alone(tmp_path):
    write(tmp_path, modules=[TRANSFORMER, POOLING], pooling=MEAN)
    settings, origins = resolved(tmp_path, pooling="last")
    assert (settings.pooling, origins["pooling"]) == ("last", "configuration")
    assert (settings.normalize, origins["normalize"]) == (False, "modules.json")


OLD_AND_NEW = {
    "first": [{"pooling_mode_cls_token": True}, {"pooling_mode": "cls"}],
    "mean": [MEAN, {"pooling_mode": "mean"}, {"pooling_mode": ["mean"]}],
    "weighted_mean": [{"pooling_mode_weightedmean_tokens": True}, {"pooling_mode": "weightedmean"}],
    "last": [{"pooling_mode_lasttoken": True}, {"pooling_mode": "lasttoken"}],
}


@pytest.mark.parametrize(
    ("name", "content"), [(name, form) for name, forms in OLD_AND_NEW.items() for form in forms]
)
def test_a_pooling_is_known_in_both_forms_of_its_file(tmp_path, name, content):
    write(tmp_path, modules=[TRANSFORMER, POOLING], pooling=content)
    assert derived(tmp_path, "pooling") == (name, "1_Pooling/config.json")


def test_modules_of_a_newer_library_are_known_by_their_last_name(tmp_path):
    types = ("base.modules.transformer.Transformer", "sentence_transformer.modules.pooling.Pooling")
    newer = [
        {"path": path, "type": f"{LIBRARY}.{t}"}
        for path, t in zip(("", "1_Pooling"), types, strict=True)
    ]
    write(tmp_path, modules=newer, pooling={"pooling_mode": "cls"})
    assert derived(tmp_path, "pooling")[0] == "first"


NOT_COMPUTED = {
    "a dense layer": [TRANSFORMER, POOLING, {"path": "2", "type": f"{LIBRARY}.models.Dense"}],
    "a class of somebody else": [{"path": "", "type": "custom_st.Transformer"}, POOLING],
    "another order": [TRANSFORMER, NORMALIZE, POOLING],
    "no pooling": [TRANSFORMER],
    "nothing": [],
    "a path out of the folder": [TRANSFORMER, {**POOLING, "path": "../1_Pooling"}],
    "a model in a subfolder": [{**TRANSFORMER, "path": "0_Transformer"}, POOLING],
    "no path": [TRANSFORMER, {"type": f"{LIBRARY}.models.Pooling"}],
    "no objects": ["Transformer"],
    "an object": {"0": TRANSFORMER},
    "no JSON": "[{",
}


@pytest.mark.parametrize("modules", NOT_COMPUTED.values(), ids=NOT_COMPUTED)
def test_modules_that_are_not_computed_here_are_one_line_with_the_file(tmp_path, modules):
    write(tmp_path, modules=modules, pooling=MEAN)
    assert f"{tmp_path / 'modules.json'}: " in refusal(tmp_path)
    assert resolved(tmp_path, pooling="mean", normalize=True)


POOLED_OTHERWISE = {
    "the maximum": {"pooling_mode_max_tokens": True},
    "the root of the length": {"pooling_mode": "mean_sqrt_len_tokens"},
    "several at once": {**MEAN, "pooling_mode_max_tokens": True},
    "several of the new form": {"pooling_mode": ["cls", "mean"]},
    "none": {"pooling_mode_mean_tokens": False},
    "a text for a truth value": {"pooling_mode_mean_tokens": "yes"},
    "no text": {"pooling_mode": 3},
    "no JSON": "mean",
    "a list": [],
}


@pytest.mark.parametrize("content", POOLED_OTHERWISE.values(), ids=POOLED_OTHERWISE)
def test_a_pooling_that_is_not_computed_here_is_one_line_with_the_file(tmp_path, content):
    write(tmp_path, modules=[TRANSFORMER, POOLING], pooling=content)
    assert f"{tmp_path / '1_Pooling/config.json'}: " in refusal(tmp_path)


def test_a_pooling_file_that_is_not_there_is_one_line(tmp_path):
    write(tmp_path, modules=[TRANSFORMER, POOLING])
    assert "1_Pooling/config.json: no such file, but modules.json names it" in refusal(tmp_path)


def test_a_pooling_without_the_prompt_is_refused_only_where_there_is_a_prompt(tmp_path):
    write(tmp_path, modules=[TRANSFORMER, POOLING], pooling={**MEAN, "include_prompt": False})
    assert resolved(tmp_path)[0].prompt == "{text}"
    write(tmp_path, config_sentence_transformers={"prompts": {"document": "d: "}})
    assert "include_prompt is false" in refusal(tmp_path)
    assert resolved(tmp_path, pooling="mean")[0].prompt == "d: {text}"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"prompts": {"query": "q: ", "passage": "p: ", "corpus": "c: "}}, "p: {text}"),
        ({"prompts": {"query": "q: ", "document": ""}, "default_prompt_name": "query"}, "{text}"),
        ({"prompts": {"query": "q: "}, "default_prompt_name": "query"}, "q: {text}"),
        ({"prompts": {"query": "q: "}, "default_prompt_name": None}, "{text}"),
        ({"prompts": {}}, "{text}"),
        ({"__version__": {}}, "{text}"),
    ],
)
def test_items_are_documents_and_so_is_their_prompt(tmp_path, content, expected):
    write(tmp_path, config_sentence_transformers=content)
    assert derived(tmp_path, "prompt")[0] == expected


@pytest.mark.parametrize(
    "content",
    [
        {"prompts": []},
        {"prompts": {"document": 3}},
        {"prompts": {"document": "{text}: "}},
        {"prompts": {}, "default_prompt_name": "query"},
        {"prompts": {}, "default_prompt_name": 1},
        [],
    ],
)
def test_a_prompt_that_cannot_be_one_is_refused_with_the_file(tmp_path, content):
    write(tmp_path, config_sentence_transformers=content)
    assert "config_sentence_transformers.json: " in refusal(tmp_path)
    assert derived(tmp_path, "prompt", prompt="{text}") == ("{text}", "configuration")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"config": {"max_position_embeddings": 128}}, 128),
        ({"config": {"n_positions": 100}}, 100),
        ({"config": {"text_config": {"max_position_embeddings": 64}}}, 64),
        ({"config": {"max_position_embeddings": 4096}}, 256),
        ({"tokenizer_config": {"model_max_length": 77}}, 77),
        ({"tokenizer_config": {"model_max_length": 1e30}}, 256),
        (
            {
                "config": {"max_position_embeddings": 130},
                "tokenizer_config": {"model_max_length": 128},
            },
            128,
        ),
        ({"sentence_bert_config": {"max_seq_length": 4000}}, 4000),
        ({"sentence_bert_config": {"max_seq_length": None}}, 256),
        (
            {
                "sentence_bert_config": {"max_seq_length": 4000},
                "config": {"max_position_embeddings": 512},
            },
            512,
        ),
    ],
)
def test_a_length_is_never_more_than_the_model_can_take(tmp_path, files, expected):
    length, origin = derived(write(tmp_path, **files), "max_tokens")
    assert length == expected
    assert (origin == "default") == (expected == 256)


@pytest.mark.parametrize(
    "files",
    [
        {"sentence_bert_config": {"max_seq_length": 0}},
        {"sentence_bert_config": {"max_seq_length": "many"}},
        {"sentence_bert_config": {"max_seq_length": True}},
        {"config": {"max_position_embeddings": "many"}},
        {"tokenizer_config": {"add_eos_token": "yes"}},
        {"tokenizer_config": "{"},
        {"config": "[]"},
    ],
)
def test_a_small_file_of_another_form_is_one_line_with_its_name(tmp_path, files):
    (name,) = files
    assert f"{name}.json: " in refusal(write(tmp_path, **files))


def test_an_entry_of_the_registry_has_its_preset_and_its_own_values_first():
    entry = LocalEncoderSettings(source="smollm2-135m", pooling="last", dtype="float32")
    settings, origins = resolve_encoder(entry, REGISTRY, None)
    assert (settings.pooling, origins["pooling"]) == ("last", "configuration")
    assert (settings.max_tokens, origins["max_tokens"]) == (256, "registry")
    assert (settings.source, settings.dtype) == ("smollm2-135m", "float32")


def test_what_a_preset_leaves_out_comes_from_the_folder_once_it_is_there(tmp_path):
    entry = LocalEncoderSettings(source="f2llm-4b")
    settings, origins = resolve_encoder(entry, REGISTRY, None)
    assert settings.append_eos is True
    assert settings.normalize is None
    assert "normalize" not in origins
    write(tmp_path, modules=[TRANSFORMER, POOLING], pooling={"pooling_mode": "max"})
    write(tmp_path, pooling={"pooling_mode": "cls"})
    settings, origins = resolve_encoder(entry, REGISTRY, tmp_path)
    assert (settings.normalize, origins["normalize"]) == (False, "modules.json")
    assert (settings.pooling, origins["pooling"]) == ("last", "registry")


def test_a_source_that_only_an_api_has_becomes_that_api():
    entry = LocalEncoderSettings(source="text-embedding-3-large", truncate_dim=256, max_tokens=100)
    settings, origins = resolve_encoder(entry, REGISTRY, None)
    assert isinstance(settings, ApiEncoderSettings)
    assert settings.api.base_url == "https://api.openai.com/v1"
    assert settings.api.key_variable == "OPENAI_API_KEY"
    assert (settings.api.dim, settings.truncate_dim, settings.max_tokens) == (3072, 256, 100)
    assert origins["max_tokens"] == "configuration"
    assert origins["prompt"] == origins["normalize"] == "registry"
    assert "max_tokens 100 (configuration)" in describe(settings, origins)


@pytest.mark.parametrize("stated", [{"pooling": "mean"}, {"layer": -2}, {"append_eos": False}])
def test_an_api_has_no_settings_of_a_model_that_runs_here(stated):
    entry = LocalEncoderSettings(source="text-embedding-3-small", **stated)
    with pytest.raises(InputError, match=f"{next(iter(stated))}: 'text-embedding-3-small' is"):
        resolve_encoder(entry, REGISTRY, None)


def test_an_api_of_ones_own_has_the_defaults_of_its_class():
    api = {"base_url": "http://127.0.0.1/v1", "model": "m", "dim": 8}
    settings = ApiEncoderSettings(api=api, max_tokens=50)
    found, origins = resolve_encoder(settings, REGISTRY, None)
    assert found == settings
    assert origins == {"prompt": "default", "max_tokens": "configuration", "normalize": "default"}


def test_precomputed_embeddings_have_nothing_to_resolve():
    settings = PrecomputedSettings(vectors="mine.parquet")
    assert resolve_encoder(settings, REGISTRY, None) == (settings, {})


def test_an_unknown_source_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match="did you mean 'smollm2-135m'"):
        resolve_encoder(LocalEncoderSettings(source="smollm2-135"), REGISTRY, None)


def test_what_was_resolved_resolves_to_itself(tmp_path):
    write(tmp_path, modules=[TRANSFORMER, POOLING, NORMALIZE], pooling=MEAN)
    settings, _ = resolved(tmp_path)
    assert resolve_encoder(settings, REGISTRY, tmp_path)[0] == settings


@pytest.mark.parametrize(
    ("entry", "dim"),
    [
        (LocalEncoderSettings(source="smollm2-135m"), 576),
        (LocalEncoderSettings(source="smollm2-135m", truncate_dim=64), 64),
        (LocalEncoderSettings(source="text-embedding-3-small"), 1536),
        (ApiEncoderSettings(api={"base_url": "http://a/v1", "model": "m", "dim": 8}), 8),
        (PrecomputedSettings(vectors="mine.npy"), None),
        (LocalEncoderSettings(hub={"repo": "own/model", "revision": "0" * 40}), None),
    ],
)
def test_the_dimension_is_known_before_a_run_where_something_says_it(entry, dim):
    assert encoder_dim(entry, REGISTRY, None) == dim


def test_the_dimension_of_a_folder_is_its_models(tmp_path):
    entry = LocalEncoderSettings(path=str(tmp_path))
    assert encoder_dim(entry, REGISTRY, tmp_path) is None
    write(tmp_path, config={"hidden_size": 48})
    assert encoder_dim(entry, REGISTRY, tmp_path) == 48


REGISTRY = ROOT / "data/encoders.yaml"
COMMIT = "0123456789ab" + "0" * 28


def resolved_entry(entry):
    return resolve_encoder(entry_class(entry).model_validate(entry), REGISTRY, None)


def test_each_kind_has_its_steps(tmp_path):
    assert kind_of(resolved_entry({"source": "toy"})[0]) == LOCAL
    assert kind_of(resolved_entry({"source": "text-embedding-3-small"})[0]) == API
    assert kind_of(resolved_entry({"vectors": "mine.npy"})[0]) == PRECOMPUTED


@pytest.mark.parametrize(
    ("entry", "folder", "hub"),
    [
        ({"source": "smollm2-135m"}, "smollm2-135m", None),
        ({"source": "toy"}, "toy", None),
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
    settings, _ = resolved_entry(entry)
    assert model_folder(settings, REGISTRY) == f"<resources>/encoders/{folder}/model"
    assert unlisted_hub(settings, REGISTRY) == hub


def test_a_model_that_is_here_stays_where_it_is(tmp_path):
    settings = LocalEncoderSettings(path=str(tmp_path), trust_remote_code=True)
    assert model_folder(settings, REGISTRY) == str(tmp_path)
    assert unlisted_hub(settings, REGISTRY) is None


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"path": "nowhere/model"}, "no such file or folder: nowhere/model"),
        ({"source": "toy", "revision": COMMIT}, "'toy' has no revisions"),
        ({"source": "smollm2-135m", "revision": COMMIT}, "has no revisions"),
        ({"source": "kalm-embedding-gemma3-12b"}, "no commit of 'kalm-embedding-gemma3-12b' is"),
    ],
)
def test_a_model_that_cannot_be_had_is_one_line(entry, text):
    settings, _ = resolved_entry(entry)
    with pytest.raises(InputError, match=text):
        model_folder(settings, REGISTRY)


def test_a_step_gets_what_was_resolved_and_from_where(decoder_folder):
    settings, origins = resolved_entry({"source": "kalm-embedding-gemma3-12b", "max_tokens": 99})
    text = json.dumps(step_settings(settings, origins))
    given = parse(EmbedItemsSettings, text, "--settings")
    known = trace(fill_in(given.plain(), None, decoder_folder)[1], given.taken_from)
    assert known == {
        **{"prompt": "registry", "pooling": "registry", "max_tokens": "configuration"},
        **{"append_eos": "default", "normalize": "default"},
    }


def test_the_step_of_an_api_gets_where_its_settings_were_taken_from():
    settings, origins = resolved_entry({"source": "text-embedding-3-small", "max_tokens": 99})
    text = json.dumps(step_settings(settings, origins))
    given = parse(RequestVectorsSettings, text, "--settings")
    assert given.plain() == settings
    assert given.taken_from == {
        **{"prompt": "registry", "max_tokens": "configuration", "normalize": "registry"},
    }


def test_paths_of_a_file_of_vectors_are_filled_in(tmp_path, monkeypatch):
    monkeypatch.setenv("ACE_TEST_FOLDER", str(tmp_path))
    (tmp_path / "mine.npy").write_bytes(b"")
    settings, origins = resolved_entry({"vectors": "$ACE_TEST_FOLDER/mine.npy"})
    made = step_settings(settings, origins)
    assert made["vectors"] == str(tmp_path / "mine.npy")
    assert "taken_from" not in made
