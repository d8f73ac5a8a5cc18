"""Files that appear whole or not at all, and checksums of files."""

import hashlib
import json
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path

from ace_steps.errors import InputError

LONGEST_PAUSE_S = 600  # a writer on another machine that is silent for longer is taken for dead
CLOCK_S = 2.0  # a younger file may change again without a change of its time
CHECKSUM_MARK = b"sha256 of the other bytes: "
N_CHECKSUM = len(CHECKSUM_MARK) + 64

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
    mode = temporary.stat().st_mode
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(mode)  # safetensors makes a file that only its owner may read
    except BaseException as failure:
        temporary.unlink(missing_ok=True)
        is_ours = isinstance(failure, OSError) and failure.filename in (None, str(temporary))
        if not is_ours or failure.errno is None:
            raise
        raise OSError(failure.errno, os.strerror(failure.errno), str(path)) from failure
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


def _new_temporary(path: Path) -> Path:
    """An empty file beside ``path`` whose name says who writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in path.parent.iterdir():
        is_temporary = leftover.name.startswith(f".{path.name}.") and leftover.suffix == ".tmp"
        if is_temporary and _is_stale(leftover):
            leftover.unlink(missing_ok=True)
    writer = f"{socket.gethostname()}-{os.getpid()}"
    temporary = path.with_name(f".{path.name}.{writer}-{secrets.token_hex(4)}.tmp")
    temporary.touch(exist_ok=False)
    return temporary


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


def _publish(renames: _Renames) -> None:
    for temporary, path in renames:
        temporary.replace(path)
    for folder in {path.parent for _, path in renames}:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write a text file in one go, UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write a JSON file in one go, keys sorted."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def sha256_text(text: str) -> str:
    """SHA-256 of a text's UTF-8 bytes, hexadecimal."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal; a process reads an unchanged file once for it."""
    return _checksums(path)[0]


def has_wrong_checksum(path: Path) -> bool:
    """Whether a file with an inserted checksum was changed; False for a file without one.

    It shares its reading of the file with ``sha256_file``: 1 to 2 GB/s.
    """
    return _checksums(path)[1]


def insert_checksum(path: Path) -> None:
    """Put a digest of a Parquet file into it, between its pages and its footer.

    Readers follow the offsets in the footer and so skip it, as they skip page indexes. The pages'
    own checksums do not cover their headers, and a page whose type was damaged reads as noise.
    """
    digest = sha256_file(path)
    with path.open("r+b") as file:
        start = _footer_start(path)
        file.seek(start)
        footer = file.read()
        file.seek(start)
        file.write(CHECKSUM_MARK + digest.encode() + footer)


def _footer_start(path: Path) -> int:
    """Where the footer of a Parquet file begins; the end of any other file."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 8))
        length, magic = file.read(4), file.read(4)
    start = size - 8 - int.from_bytes(length, "little")
    return start if magic == b"PAR1" and start > 0 else size


def _checksums(path: Path) -> tuple[str, bool]:
    """SHA-256 of a file, and whether its inserted checksum is wrong."""
    state = path.stat()
    if time.time() - state.st_mtime < CLOCK_S:
        return _read_checksums.__wrapped__(path)
    return _read_checksums(path, state.st_ino, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=4096)
def _read_checksums(path: Path, *_state: int) -> tuple[str, bool]:
    start = max(0, _footer_start(path) - N_CHECKSUM)
    whole = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(min(2**20, start - file.tell())):
            whole.update(chunk)
        rest = whole.copy()  # without the inserted checksum
        checksum, footer = file.read(N_CHECKSUM), file.read()
    whole.update(checksum + footer)
    rest.update(footer)
    is_wrong = checksum.startswith(CHECKSUM_MARK) and (
        checksum != CHECKSUM_MARK + rest.hexdigest().encode()
    )
    return whole.hexdigest(), is_wrong


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
    expanded = expand_path(path)
    if not expanded.exists():
        raise InputError(f"no such file or folder: {expanded}")
    return str(expanded)
