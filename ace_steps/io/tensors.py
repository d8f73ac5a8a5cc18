"""Reading and writing safetensors: named arrays with their provenance and a checksum."""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ace_steps.errors import InputError
from ace_steps.io.files import atomic_path, sha256_text
from ace_steps.io.provenance import METADATA_KEY, Provenance


class Listed(NamedTuple):
    """An array of a file: its type as safetensors names it, and its shape."""

    name: str
    type: str
    shape: list[int]


def write_tensors(path: Path, tensors: dict[str, np.ndarray], provenance: Provenance) -> None:
    """Write named arrays atomically, with provenance and a digest of their bytes."""
    arrays = {name: np.asarray(array, order="C") for name, array in sorted(tensors.items())}
    text = provenance.to_json()
    note = {
        "provenance": text,
        "sha256": _digest(arrays.items()),
        "provenance_sha256": sha256_text(text),
    }
    with atomic_path(path) as temporary:
        _save(arrays, temporary, {METADATA_KEY: json.dumps(note, sort_keys=True)})


def read_tensors(path: Path, *names: str) -> tuple[dict[str, np.ndarray], Provenance]:
    """All arrays of a file and its provenance.

    Args:
        path: A safetensors file that ``write_tensors`` wrote.
        names: Arrays that must be there.

    Raises:
        InputError: no such file, not safetensors, not ours, damaged, or an array is missing.
    """
    with _opened(path) as (file, note):
        arrays = {name: file.get_tensor(name) for name in sorted(file.keys())}
    if note is None:
        raise InputError(f"{path}: safetensors without this package's provenance.")
    _check_sound(path, note, arrays.items())
    missing = [name for name in names if name not in arrays]
    if missing:
        raise InputError(
            f"{path}: tensor '{missing[0]}' is missing; the file has {', '.join(arrays)}."
        )
    return arrays, Provenance.from_json(str(note["provenance"]), path)


def list_tensors(path: Path) -> tuple[list[Listed], str | None]:
    """What a file holds, and how it was made as JSON; None for a file that is not ours.

    Raises:
        InputError: no such file, not safetensors, or one of ours that is damaged.

    Cost:
        Ours are read once, at the speed of SHA-256; memory of one array.
    """
    with _opened(path) as (file, note):
        names = sorted(file.keys())
        slices = {name: file.get_slice(name) for name in names}
        listed = [Listed(n, part.get_dtype(), part.get_shape()) for n, part in slices.items()]
        if note is None:
            return listed, None
        _check_sound(path, note, ((name, file.get_tensor(name)) for name in names))
    return listed, str(note["provenance"])


@contextmanager
def _opened(path: Path) -> Iterator[tuple[safe_open, dict | None]]:
    """A file open for reading and its note, None where it has none of ours."""
    try:
        with safe_open(path, framework="numpy") as file:
            note = json.loads((file.metadata() or {}).get(METADATA_KEY, "null"))
            is_ours = isinstance(note, dict) and note.keys() >= {"provenance", "sha256"}
            yield file, note if is_ours else None
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except (SafetensorError, ValueError) as damage:
        raise InputError(
            f"{path}: not a readable safetensors file ({damage}); delete it and run again."
        ) from None


def _check_sound(path: Path, note: dict, arrays: Iterable[tuple[str, np.ndarray]]) -> None:
    text = str(note["provenance"])
    is_other_note = note.get("provenance_sha256", sha256_text(text)) != sha256_text(text)
    if is_other_note or note["sha256"] != _digest(arrays):
        raise InputError(f"{path}: damaged, its checksum differs; delete it and run again.")


def _save(arrays: dict[str, np.ndarray], path: Path, metadata: dict[str, str]) -> None:
    """As safetensors saves; what the system refuses is an OSError."""
    try:
        save_file(arrays, path, metadata=metadata)
    except SafetensorError as refusal:
        match = re.search(r"\(os error (\d+)\)", str(refusal))
        if match is None:
            raise
        raise OSError(int(match[1]), os.strerror(int(match[1]))) from None


def _digest(arrays: Iterable[tuple[str, np.ndarray]]) -> str:
    digest = hashlib.sha256()
    for name, array in arrays:
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(array.reshape(-1).view(np.uint8).data if array.size else b"")
    return digest.hexdigest()
