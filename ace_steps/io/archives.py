"""Single files out of wheels, zips and tars; nothing is ever unpacked as a whole."""

import gzip
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from ace_steps.errors import InputError
from ace_steps.io.files import atomic_path
from ace_steps.validation import unknown

CHUNK_BYTES = 2**20
UNREADABLE = (  # what a damaged archive raises, beside one that is encrypted: RuntimeError
    *(zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError),
    *(EOFError, RuntimeError),
)


def take_members(archive: Path, members: dict[str, str], folder: Path) -> None:
    """Copy members out of a wheel, zip or tar to names inside a folder; see ``take_member``.

    Raises:
        InputError: a name would leave the folder.
    """
    for name in members.values():
        place = PurePosixPath(name)
        if place.is_absolute() or ".." in place.parts or not place.parts:
            raise InputError(f"{archive}: refused to write '{name}', it is outside {folder}.")
    for member, name in members.items():
        take_member(archive, member, folder / name)


def take_member(archive: Path, member: str, target: Path) -> None:
    """Copy one file out of a wheel, zip or tar; only ``target`` is ever written, atomically.

    Raises:
        InputError: not an archive, damaged, or it has no ordinary file of that name.
    """
    try:
        with (
            _open_member(archive, member) as opened,
            atomic_path(target) as temporary,
            temporary.open("wb") as written,
        ):
            shutil.copyfileobj(opened, written, CHUNK_BYTES)
    except UNREADABLE as damage:
        raise InputError(f"{archive}: not a readable zip or tar archive ({damage}).") from None


@contextmanager
def _open_member(archive: Path, member: str) -> Iterator[IO[bytes]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            if member.endswith("/") or member not in opened.namelist():
                raise _no_member(archive, member, opened.namelist())
            with opened.open(member) as stream:
                yield stream
        return
    with tarfile.open(archive) as opened:
        names = [info.name for info in opened if info.isfile()]
        if member not in names:
            raise _no_member(archive, member, names)
        yield opened.extractfile(member)


def _no_member(archive: Path, member: str, names: list[str]) -> InputError:
    return InputError(f"{archive}: {unknown('member', member, _nearest(member, names))}")


def _nearest(member: str, names: list[str]) -> set[str]:
    """At most five names to show: those that end alike, else the first."""
    alike = [name for name in names if name.endswith(PurePosixPath(member).suffix)]
    return set((alike or names)[:5])
