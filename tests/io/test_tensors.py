"""Safetensors with provenance and a checksum; the note of how an artifact was made."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from ace_steps.errors import InputError
from ace_steps.io.provenance import Provenance
from ace_steps.io.tensors import read_tensors, write_tensors

NOTE = Provenance(step="s", settings={"x": 1.5}, inputs={"a": "00"}, facts={"ä": [1]})
ARRAYS = {"b": np.arange(6.0).reshape(2, 3), "a": np.array([1, 2], np.int64), "e": np.empty((0, 2))}
UNUSABLE_NOTES = [
    "{}",
    "[1]",
    "x",
    "",
    '{"step": "s", "when": 1}',
    '{"step": "s", "settings": [1]}',
]


def test_arrays_and_provenance_come_back(tmp_path):
    write_tensors(tmp_path / "t.safetensors", ARRAYS, NOTE)
    arrays, note = read_tensors(tmp_path / "t.safetensors", "a", "b")
    assert note == NOTE
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)


def test_the_same_arrays_give_the_same_bytes(tmp_path):
    write_tensors(tmp_path / "one", ARRAYS, NOTE)
    write_tensors(tmp_path / "two", dict(reversed(ARRAYS.items())), NOTE)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such file"), (b"", "not a readable safetensors"), (b"x" * 99, "not a readable")],
)
def test_what_is_not_safetensors_is_refused_by_name(tmp_path, content, message):
    path = tmp_path / "t.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=rf"t\.safetensors: {message}"):
        read_tensors(path)


def test_a_missing_tensor_is_refused(tmp_path):
    write_tensors(tmp_path / "ours", ARRAYS, NOTE)
    with pytest.raises(InputError, match=r"ours: tensor 'mean' is missing; .* a, b, e"):
        read_tensors(tmp_path / "ours", "mean")


@pytest.mark.parametrize("note", [None, "{}", "[1]", "null", '"x"', '{"sha256": "00"}'])
def test_a_file_without_a_note_of_ours_is_refused(tmp_path, note):
    path = tmp_path / "t.safetensors"
    save_file({"a": np.zeros(2)}, path, metadata=note and {"ace": note})
    with pytest.raises(InputError, match=r"t\.safetensors: safetensors without this package's"):
        read_tensors(path)


def test_a_note_that_cannot_be_used_is_refused_by_the_files_name(tmp_path):
    path = tmp_path / "t.safetensors"
    save_file({"a": np.zeros(2)}, path, metadata={"ace": '{"sha256": [1], "provenance": "{}"}'})
    with pytest.raises(InputError, match=r"t\.safetensors: damaged, its checksum differs"):
        read_tensors(path)
    for text in UNUSABLE_NOTES:
        with pytest.raises(InputError, match=r"f: its provenance cannot be used"):
            Provenance.from_json(text, Path("f"))
