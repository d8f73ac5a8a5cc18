"""A checksum of a whole Parquet file, kept in its own footer.

Pages have checksums of their own, but not the page headers, the footer, or the note of how the
file was made; the seal covers every byte but itself.
"""

import hashlib
import os
import time
from functools import lru_cache
from pathlib import Path

SEAL_KEY = "sha256"
BLANK = "0" * 64
CLOCK_S = 2.0  # a younger file may change again without a change of its time
TAIL_BYTES = 8  # length of the footer, and the magic word
_MARK = SEAL_KEY.encode() + b"\x18\x40"  # the key, then Thrift's "a text of 64 bytes"


def seal(path: Path) -> None:
    """Put the digest of a written file into the place that ``BLANK`` keeps for it.

    Raises:
        ValueError: the footer has no such place.
    """
    place = _place(path)
    if place is None:
        raise ValueError(f"{path}: the footer keeps no place for a seal")
    digest = _digest(path, place)
    with path.open("r+b") as file:
        file.seek(place)
        file.write(digest.encode())


def is_damaged(path: Path) -> bool:
    """Whether a sealed file differs from what was sealed; False for a file without a seal.

    A process reads a file once for it, as long as its size and times stay.

    Raises:
        FileNotFoundError: no such file.

    Cost:
        One reading of the file, at the speed of SHA-256 (1 to 2 GB/s).
    """
    state = path.stat()
    if time.time() - state.st_mtime < CLOCK_S:
        return _differs(path)
    return _remembered(path, state.st_ino, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=4096)
def _remembered(path: Path, *_state: int) -> bool:
    return _differs(path)


def _differs(path: Path) -> bool:
    place = _place(path)
    if place is None:
        return False
    with path.open("rb") as file:
        file.seek(place)
        found = file.read(len(BLANK))
    return found != _digest(path, place).encode()


def _place(path: Path) -> int | None:
    """Where in the file the seal's digits are; None where there are none."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - TAIL_BYTES))
        length = int.from_bytes(file.read(4), "little")
        start = max(0, size - TAIL_BYTES - length)
        file.seek(start)
        found = file.read(size - start).rfind(_MARK)
    place = start + found + len(_MARK)
    return place if found >= 0 and place + len(BLANK) <= size else None


def _digest(path: Path, place: int) -> str:
    """SHA-256 of the file with the seal's digits blank."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        left = place
        while left and (chunk := file.read(min(left, 2**20))):
            digest.update(chunk)
            left -= len(chunk)
        digest.update(BLANK.encode())
        file.seek(place + len(BLANK))
        digest.update(file.read())
    return digest.hexdigest()
