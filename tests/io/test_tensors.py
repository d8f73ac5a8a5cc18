"""Safetensors with provenance and a checksum."""

import json
import re

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from ace_steps.errors import InputError
from ace_steps.io.files import sha256_text
from ace_steps.io.provenance import Provenance
from ace_steps.io.tensors import read_tensors, write_tensors
from tests.io.test_provenance import UNUSABLE

NOTE = Provenance(step="test", settings={"x": 1.5}, inputs={"a": "00"}, facts={"device": "cpu"})
ARRAYS = {"b": np.arange(6.0).reshape(2, 3), "a": np.array([1, 2], np.int64), "e": np.empty((0, 2))}


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


def test_a_flipped_bit_is_refused(tmp_path):
    path = tmp_path / "t.safetensors"
    write_tensors(path, ARRAYS, NOTE)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged, its checksum differs"):
        read_tensors(path)


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


def test_a_truncated_file_is_refused(tmp_path):
    path = tmp_path / "t.safetensors"
    write_tensors(path, ARRAYS, NOTE)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InputError, match="not a readable safetensors"):
        read_tensors(path)


def test_anothers_file_and_a_missing_tensor_are_refused(tmp_path):
    save_file({"a": np.zeros(2)}, tmp_path / "theirs")
    with pytest.raises(InputError, match="without this package's provenance"):
        read_tensors(tmp_path / "theirs")
    write_tensors(tmp_path / "ours", ARRAYS, NOTE)
    with pytest.raises(InputError, match="tensor 'mean' is missing; found a, b, e"):
        read_tensors(tmp_path / "ours", "mean")


@pytest.mark.parametrize("note", ["{}", "[1]", "null", '"x"', '{"sha256": "00"}'])
def test_metadata_of_another_shape_is_no_provenance_of_ours(tmp_path, note):
    path = tmp_path / "t.safetensors"
    save_file({"a": np.zeros(2)}, path, metadata={"ace": note})
    with pytest.raises(InputError, match=r"t\.safetensors: safetensors without this package's"):
        read_tensors(path)


def test_a_checksum_that_is_no_text_is_a_damaged_file(tmp_path):
    path = tmp_path / "t.safetensors"
    save_file({"a": np.zeros(2)}, path, metadata={"ace": '{"sha256": [1], "provenance": "{}"}'})
    with pytest.raises(InputError, match=r"t\.safetensors: damaged, its checksum differs"):
        read_tensors(path)


@pytest.mark.parametrize(("text", "message"), UNUSABLE.items())
def test_a_note_that_cannot_be_used_is_refused_by_the_files_name(tmp_path, text, message):
    path = tmp_path / "t.safetensors"
    write_tensors(path, ARRAYS, NOTE)
    with safe_open(path, framework="numpy") as opened:
        note = json.loads(opened.metadata()["ace"])
    note |= {"provenance": text, "provenance_sha256": sha256_text(text)}
    save_file(ARRAYS, path, metadata={"ace": json.dumps(note)})
    with pytest.raises(InputError, match=re.escape(f"t.safetensors: its provenance {message}")):
        read_tensors(path)
