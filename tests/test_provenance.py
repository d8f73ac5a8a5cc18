"""How an artifact was made: its note, and digests of code."""

import json
from pathlib import Path

import pytest

from ace_steps import provenance
from ace_steps.errors import InputError
from ace_steps.provenance import Provenance, code_sha256

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


@pytest.fixture
def write_package(tmp_path, monkeypatch):
    """Makes a package of two modules the one that digests are of."""

    def write(name, *, first="a.py", content="x = 1", unread="1"):
        folder = tmp_path / name / "part"
        folder.mkdir(parents=True)
        (folder / first).write_text(content)
        (folder / "z.py").write_text("z = 1")
        (folder.parent / "unread.py").write_text(unread)
        monkeypatch.setattr(provenance, "PACKAGE", folder.parent)

    return write


def test_the_digest_of_code_is_of_names_and_bytes_of_the_files_that_match(write_package):
    write_package("one")
    first = code_sha256("part/*.py")
    write_package("other_place", unread="2")
    assert code_sha256("part/*.py") == code_sha256("part/z.py", "part/a.py") == first
    write_package("edited", content="x = 2")
    assert code_sha256("part/*.py") != first
    write_package("renamed", first="b.py")
    assert code_sha256("part/*.py") != first


def test_an_edit_while_a_process_runs_is_not_of_its_code(write_package):
    write_package("one")
    first = code_sha256("part/*.py")
    (provenance.PACKAGE / "part" / "a.py").write_text("x = 2")
    assert code_sha256("part/*.py") == first


def test_a_pattern_that_matches_no_code_is_refused(write_package):
    write_package("one")
    with pytest.raises(ValueError, match=r"no file of the package matches 'prat/\*\.py'"):
        code_sha256("part/*.py", "prat/*.py")
