"""Toy encoders, made once, and the small files that say how a model's vectors are made."""

import json

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
TRANSFORMER = {"path": "", "type": "sentence_transformers.models.Transformer"}
POOLING = {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}
NORMALIZE = {"path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}
MEAN = {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}


def encoder_settings(**changes):
    """Settings that fit the toy encoders."""
    return EncoderSettings(**{**SETTINGS, **changes})


def write_files(folder, **files):
    """Small files of a model, by name; ``1_Pooling/config.json`` is called ``pooling``."""
    (folder / "1_Pooling").mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        place = "1_Pooling/config.json" if name == "pooling" else f"{name}.json"
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / place).write_text(text)
    return folder


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
