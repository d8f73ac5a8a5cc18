"""Toy encoders, made once."""

import pytest

from ace_steps.embed.settings import EncoderSettings
from tests.toy import save_toy_encoder, save_toy_reader

SETTINGS = {
    "prompt": "{text}",
    "pooling": "mean",
    "layer": -1,
    "dtype": "float32",
    "max_tokens": 256,
    "append_eos": False,
    "batch_tokens": 512,
    "truncate_dim": None,
    "normalize": True,
    "trust_remote_code": False,
}


def encoder_settings(**changes):
    """Settings that fit the toy encoders."""
    return EncoderSettings(**{**SETTINGS, **changes})


@pytest.fixture(scope="session")
def decoder_folder(tmp_path_factory):
    """A two-layer decoder-only model."""
    folder = tmp_path_factory.mktemp("toy") / "decoder"
    save_toy_encoder(folder)
    return folder


@pytest.fixture(scope="session")
def reader_folder(tmp_path_factory):
    """A two-layer bidirectional model."""
    folder = tmp_path_factory.mktemp("toy") / "reader"
    save_toy_reader(folder)
    return folder
