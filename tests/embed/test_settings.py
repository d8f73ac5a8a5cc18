"""Settings of each kind of encoder: what is refused."""

import pytest
from pydantic import ValidationError

from ace_steps.embed.settings import ApiEncoderSettings, entry_class

COMMIT = "0123456789abcdef" * 2 + "01234567"
API = {"base_url": "https://api.example.org/v1/", "model": "m", "dim": 8}


def test_the_address_of_an_api_has_no_slash_at_its_end():
    assert ApiEncoderSettings(api=API).api.base_url == "https://api.example.org/v1"


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"pooling": "mean"}, "got none of them"),
        ({"source": "toy", "path": "x"}, "got source and path"),
        ({"path": "x", "revision": COMMIT}, "revision belongs to source"),
        ({"source": "toy", "revision": "main"}, "revision"),
        ({"source": "toy", "trust_remote_code": True}, "only for a model's folder"),
        ({"source": "toy", "prompt": "x"}, "exactly once"),
        ({"source": "toy", "normalise": True}, "normalise"),
        ({"api": {**API, "base_url": "https://:80/v1"}}, "an address such as"),
        ({"api": {**API, "base_url": "https://a.org/v1?key=1"}}, "an address such as"),
        ({"api": {**API, "base_url": "https://u:p@a.org/v1"}}, "key_variable"),
        ({"api": {**API, "key_variable": "sk-123"}}, "key_variable"),
        ({"vectors": "mine.xlsx"}, "vectors"),
    ],
)
def test_what_cannot_be_meant_is_refused(entry, text):
    with pytest.raises(ValidationError, match=text):
        entry_class(entry).model_validate(entry)
