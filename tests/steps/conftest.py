"""A toy encoder and the step embed_items on it; small trainings."""

import functools
import json

import pytest

from ace_steps.steps.embed_items import main as embed_items_main
from tests.embed.conftest import SETTINGS as EMBED_SETTINGS
from tests.serving.made import write_trained
from tests.steps.made_items import EMBED_TEXTS, write_items
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


@pytest.fixture(scope="session")
def trained_folder(tmp_path_factory):
    """The folder of a small training of one of ``KINDS``, made once."""

    @functools.cache
    def folder(kind):
        path = tmp_path_factory.mktemp("trained")
        write_trained(path, kind)
        return path

    return folder
