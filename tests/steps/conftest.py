"""The steps that make vectors: embed_items on a toy encoder, request_vectors with a server that
does wrong on request, and import_vectors."""

import json

import pytest

from ace_steps.embed import api_client
from ace_steps.steps.embed_items import main as embed_items_main
from ace_steps.steps.import_vectors import main as import_vectors_main
from ace_steps.steps.request_vectors import main
from tests.embed.conftest import SETTINGS as EMBED_SETTINGS
from tests.embed.fault_server import KEY, fault_server
from tests.steps.made_items import EMBED_TEXTS, write_items
from tests.steps.made_requests import CONNECTION, SETTINGS, TEXTS
from tests.steps.made_vectors import IDS
from tests.toy import save_toy_encoder


@pytest.fixture(scope="package")
def toy_encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "toy"
    save_toy_encoder(folder)
    return folder


@pytest.fixture
def embed(tmp_path, toy_encoder, capsys):
    """The step on ``EMBED_TEXTS``, with some of its options changed; its exit code and log."""
    write_items(tmp_path / "items.parquet", EMBED_TEXTS)

    def run(shard="1-of-1", *, name="shard.parquet", folder=toy_encoder, more=(), **changes):
        settings = json.dumps({**EMBED_SETTINGS, **changes})
        code = embed_items_main(
            [
                *("--items", str(tmp_path / "items.parquet"), "--model", str(folder)),
                *("--shard", shard, "--settings", settings, "--device", "cpu"),
                *("--vectors", str(tmp_path / name), *more),
            ]
        )
        return code, capsys.readouterr().err

    return run


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(api_client, "FIRST_WAIT_S", 0.01)
    monkeypatch.setenv("ACE_TEST_KEY", KEY)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with fault_server() as running:
        yield running


@pytest.fixture
def request_vectors(server, tmp_path, capsys):
    """The step on the texts above, with some of its settings changed; its exit code and log.

    Wherever anything is written or said, the key must not be in it.
    """
    write_items(tmp_path / "items.parquet", TEXTS)

    def run(*more, shard="1-of-1", name="shard.parquet", settings=None, **changes):
        connection = {**CONNECTION, "base_url": server.url, **changes}
        given = {**SETTINGS, "api": connection, **(settings or {})}
        code = main(
            [
                *("--items", str(tmp_path / "items.parquet"), "--shard", shard),
                *("--settings", json.dumps(given), "--vectors", str(tmp_path / name), *more),
            ]
        )
        said = capsys.readouterr()
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        for secret in (KEY, KEY.replace("/", "%2F").replace("+", "%2B")):
            assert secret not in said.out + said.err
            assert not any(secret.encode() in path.read_bytes() for path in files)
        return code, said.err

    return run


@pytest.fixture
def import_vectors(tmp_path, capsys):
    """The step on 30 items; its exit code and log."""
    write_items(tmp_path / "items.parquet", [f"text {item}" for item in IDS])

    def run(**settings):
        code = import_vectors_main(
            [
                *("--items", str(tmp_path / "items.parquet")),
                *("--vectors", str(tmp_path / "vectors.parquet")),
                *("--settings", json.dumps(settings)),
            ]
        )
        return code, capsys.readouterr().err

    return run
