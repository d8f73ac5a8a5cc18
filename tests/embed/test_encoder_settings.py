"""Settings of each kind of encoder: what a short entry stands for, and what is refused."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from ace_steps.embed.settings import (
    ApiConnection,
    ApiEncoderSettings,
    HubSettings,
    LocalEncoderSettings,
    PrecomputedSettings,
    entry_class,
)

KINDS = (LocalEncoderSettings, HubSettings, ApiEncoderSettings, ApiConnection, PrecomputedSettings)
COMMIT = "0123456789abcdef" * 2 + "01234567"
API = {"base_url": "https://api.example.org/v1/", "model": "m", "dim": 8}


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_says_what_it_is(kind):
    for name, field in kind.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


SHORT = {
    "source": ({"source": "toy"}, LocalEncoderSettings),
    "revision": ({"source": "toy", "revision": COMMIT}, LocalEncoderSettings),
    "path": ({"path": "models/own"}, LocalEncoderSettings),
    "hub": ({"hub": {"repo": "own/model", "revision": COMMIT}}, LocalEncoderSettings),
    "api": ({"api": API}, ApiEncoderSettings),
    "vectors": ({"vectors": "mine.parquet"}, PrecomputedSettings),
}


@pytest.mark.parametrize(("entry", "kind"), SHORT.values(), ids=SHORT)
def test_a_short_entry_is_enough_and_survives_json(entry, kind):
    assert entry_class(entry) is kind
    settings = kind.model_validate(entry)
    assert kind.model_validate(settings.as_json()) == settings


def test_the_address_of_an_api_has_no_slash_at_its_end():
    assert ApiConnection(**API).base_url == "https://api.example.org/v1"


REFUSED = {
    "no origin": ({"pooling": "mean"}, "got none of them"),
    "two origins": ({"source": "toy", "path": "x"}, "got source and path"),
    "a revision without source": ({"path": "x", "revision": COMMIT}, "revision belongs to source"),
    "a branch": ({"source": "toy", "revision": "main"}, "revision"),
    "code with source": ({"source": "toy", "trust_remote_code": True}, "only for a model's folder"),
    "a prompt without text": ({"source": "toy", "prompt": "x"}, "exactly once"),
    "an old name": ({"source": "toy", "normalise": True}, "normalise"),
    "a port without host": ({"api": {**API, "base_url": "https://:80/v1"}}, "an address such as"),
    "a query": ({"api": {**API, "base_url": "https://a.org/v1?key=1"}}, "an address such as"),
    "a password": ({"api": {**API, "base_url": "https://u:p@a.org/v1"}}, "key_variable"),
    "a key instead of its name": ({"api": {**API, "key_variable": "sk-123"}}, "key_variable"),
    "a spreadsheet": ({"vectors": "mine.xlsx"}, "vectors"),
}


@pytest.mark.parametrize(("entry", "text"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_meant_is_refused(entry, text):
    with pytest.raises(ValidationError, match=text):
        entry_class(entry).model_validate(entry)


def test_a_dry_run_imports_no_torch_and_no_polars():
    code = (
        "import sys, ace_steps.embed.entries, ace_steps.embed.entries;"
        "print({'torch', 'polars', 'numpy', 'transformers'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
