"""Files that appear whole or not at all."""

import hashlib
import json
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from ace_steps.errors import InputError

LONGEST_PAUSE_S = 600  # a writer on another machine that is silent for longer is taken for dead

_Renames = list[tuple[Path, Path]]
_waiting: ContextVar[_Renames | None] = ContextVar("waiting", default=None)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder that becomes ``path`` when the block ends well.

    The file is synced before the rename, the folder after it; a block that raises leaves nothing.
    What a killed writer of the same file left is removed first.

    Raises:
        OSError: the system refuses, e.g. the disk is full; it names ``path``.
    """
    temporary = _new_temporary(path)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_umask())
    except OSError as refusal:
        temporary.unlink(missing_ok=True)
        if refusal.errno is None or refusal.filename not in (None, str(temporary)):
            raise
        raise OSError(refusal.errno, os.strerror(refusal.errno), str(path)) from refusal
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    group = _waiting.get()
    if group is None:
        _publish([(temporary, path)])
    else:
        group.append((temporary, path))


@contextmanager
def published_together() -> Iterator[None]:
    """The files written in the block get their names at its end, one right after the other.

    A block that raises or is killed leaves the files as they were: no new table beside an old one.
    """
    group: _Renames = []
    token = _waiting.set(group)
    try:
        yield
    except BaseException:
        for temporary, _ in group:
            temporary.unlink(missing_ok=True)
        raise
    finally:
        _waiting.reset(token)
    _publish(group)


def write_text(path: Path, text: str) -> None:
    """Write a text file in one go, UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write a JSON file in one go, keys sorted."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal, read in chunks."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def sha256_text(text: str) -> str:
    """SHA-256 of a text's UTF-8 bytes, hexadecimal."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def expand_path(path: str) -> Path:
    """A path of the configuration with its environment variables and ``~`` filled in.

    Raises:
        InputError: a variable is not set.
    """
    expanded = os.path.expandvars(path)
    if "$" in expanded:
        raise InputError(f"path '{path}' names an environment variable that is not set")
    return Path(expanded).expanduser()


def own_path(path: str) -> str:
    """A path of the caller's that is there, its variables filled in.

    Raises:
        InputError: a variable is not set, or nothing is there.
    """
    found = expand_path(path)
    if not found.exists():
        raise InputError(f"no such file or folder: {found}")
    return str(found)


def _new_temporary(path: Path) -> Path:
    """An empty file beside ``path`` whose name says who writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{_literal(path.name)}.*.tmp"):
        if _is_stale(left):
            left.unlink(missing_ok=True)
    writer = f"{socket.gethostname()}-{os.getpid()}"
    handle, name = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.name}.{writer}-", suffix=".tmp"
    )
    os.close(handle)
    return Path(name)


def _is_stale(temporary: Path) -> bool:
    """Whether the writer of a temporary file is dead, as far as this machine can tell."""
    writer = temporary.name.removesuffix(".tmp").rpartition("-")[0]
    host, _, process = writer.rpartition("-")
    with suppress(FileNotFoundError):
        if not (host.endswith(f".{socket.gethostname()}") and process.isdigit()):
            return time.time() - temporary.stat().st_mtime > LONGEST_PAUSE_S
        try:
            os.kill(int(process), 0)
        except ProcessLookupError:
            return True
        except PermissionError:  # another user's, and alive
            return False
    return False


def _literal(name: str) -> str:
    """A file name as a pattern that matches itself alone."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _publish(renames: _Renames) -> None:
    for temporary, path in renames:
        temporary.replace(path)
    for folder in {path.parent for _, path in renames}:
        _sync_folder(folder)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
