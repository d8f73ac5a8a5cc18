"""Where the configuration's entries say that a model is, before anything is run."""

import json

import pytest

from ace_steps.embed.entries import (
    API,
    LOCAL,
    PRECOMPUTED,
    fill_in,
    kind_of,
    model_folder,
    resolve_encoder,
    step_settings,
    trace,
    unlisted_hub,
)
from ace_steps.embed.settings import (
    EmbedItemsSettings,
    HubSettings,
    LocalEncoderSettings,
    RequestVectorsSettings,
    entry_class,
)
from ace_steps.errors import InputError
from ace_steps.settings import parse
from tests.conftest import ROOT

REGISTRY = ROOT / "data/encoders.yaml"
COMMIT = "0123456789ab" + "0" * 28


def resolved(entry):
    return resolve_encoder(entry_class(entry).model_validate(entry), REGISTRY, None)


def test_each_kind_has_its_steps(tmp_path):
    assert kind_of(resolved({"source": "toy"})[0]) == LOCAL
    assert kind_of(resolved({"source": "text-embedding-3-small"})[0]) == API
    assert kind_of(resolved({"vectors": "mine.npy"})[0]) == PRECOMPUTED


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
    settings, _ = resolved(entry)
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
    settings, _ = resolved(entry)
    with pytest.raises(InputError, match=text):
        model_folder(settings, REGISTRY)


def test_a_step_gets_what_was_resolved_and_from_where(decoder_folder):
    settings, origins = resolved({"source": "kalm-embedding-gemma3-12b", "max_tokens": 99})
    text = json.dumps(step_settings(settings, origins))
    given = parse(EmbedItemsSettings, text, "--settings")
    known = trace(fill_in(given.plain(), None, decoder_folder)[1], given.taken_from)
    assert known == {
        **{"prompt": "registry", "pooling": "registry", "max_tokens": "configuration"},
        **{"append_eos": "default", "normalize": "default"},
    }


def test_the_step_of_an_api_gets_where_its_settings_were_taken_from():
    settings, origins = resolved({"source": "text-embedding-3-small", "max_tokens": 99})
    text = json.dumps(step_settings(settings, origins))
    given = parse(RequestVectorsSettings, text, "--settings")
    assert given.plain() == settings
    assert given.taken_from == {
        **{"prompt": "registry", "max_tokens": "configuration", "normalize": "registry"},
    }


def test_paths_of_a_file_of_vectors_are_filled_in(tmp_path, monkeypatch):
    monkeypatch.setenv("ACE_TEST_FOLDER", str(tmp_path))
    (tmp_path / "mine.npy").write_bytes(b"")
    settings, origins = resolved({"vectors": "$ACE_TEST_FOLDER/mine.npy"})
    made = step_settings(settings, origins)
    assert made["vectors"] == str(tmp_path / "mine.npy")
    assert "taken_from" not in made
