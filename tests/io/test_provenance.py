"""How an artifact was made: its note."""

import json
from pathlib import Path

import pytest

from ace_steps.errors import InputError
from ace_steps.io.provenance import Provenance

NOTE = {"step": "s", "settings": {}, "inputs": {}, "facts": {}, "version": "1"}
UNUSABLE = {  # what a file may carry under our key, and how it is refused
    "{}": "has no usable 'facts'.",
    "[1]": "is [1], but an object is wanted.",
    '"x"': "is 'x', but an object is wanted.",
    "null": "is None, but an object is wanted.",
    "x": "is not JSON.",
    "": "is not JSON.",
    json.dumps({**NOTE, "when": "today"}): "holds 'when', which is unknown.",
    json.dumps({**NOTE, "settings": [1]}): "has no usable 'settings'.",
    json.dumps({**NOTE, "version": 1}): "has no usable 'version'.",
}


def test_a_note_comes_back_from_text_and_bytes():
    note = Provenance(step="s", settings={"x": 1.5}, inputs={"a": "00"}, facts={"ä": [1]})
    text = note.to_json()
    assert Provenance.from_json(text, Path("f")) == note
    assert Provenance.from_json(text.encode(), Path("f")) == note


@pytest.mark.parametrize(("text", "message"), UNUSABLE.items())
def test_a_note_that_cannot_be_used_is_one_line(text, message):
    with pytest.raises(InputError) as refusal:
        Provenance.from_json(text, Path("some/file"))
    assert str(refusal.value) == f"some/file: its provenance {message}"
