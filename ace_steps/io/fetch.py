"""Files from elsewhere: out of a package-index wheel, from a URL, or put in place by a person.

Everything is kept in a downloads folder and used only after its SHA-256 was checked. Nothing that
was downloaded is executed or unpacked as a whole: named members are copied out one at a time.
"""

import fcntl
import gzip
import json
import logging
import lzma
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import urlsplit

import requests
import tenacity
import urllib3
import yaml
from pydantic import model_validator

from ace_steps.errors import InputError
from ace_steps.io.files import atomic_path, sha256_file
from ace_steps.settings import Model, Settings, parse
from ace_steps.validation import unknown

log = logging.getLogger(__name__)

CHUNK_BYTES = 2**20
ATTEMPTS = 5
LONGEST_WAIT_S = 30.0
TIMEOUT_S = 60.0  # without a single byte
RETRIED_STATUS = (408, 425, 429, 500, 502, 503, 504)
UNREADABLE = (  # what zipfile and tarfile raise; RuntimeError where a member is encrypted
    *(zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError),
    *(EOFError, RuntimeError),
)


class Source(Settings):
    """Where one file comes from; exactly one of ``wheel``, ``url`` and ``by_hand`` is given.

    Attributes:
        wheel: ``name==version`` on the package index; pip downloads it, nothing is installed.
        url: An http(s) address.
        by_hand: Name of a file that a person puts into the downloads folder, where the licence
            requires a click or an account.
        sha256: Digest of the wheel or file; None where its publisher changes it in place.
        member: Path inside the wheel, zip or tar; None for the file itself.
    """

    wheel: str | None = None
    url: str | None = None
    by_hand: str | None = None
    sha256: str | None = None
    member: str | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> "Source":
        given = [name for name in ("wheel", "url", "by_hand") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(f"expected exactly one of wheel, url and by_hand, got {given}")
        if self.wheel and (not self.sha256 or self.wheel.count("==") != 1):
            raise ValueError("a wheel needs name==version and its sha256")
        return self


def read_registry(path: Path, model: type[Model]) -> dict[str, Model]:
    """The entries of a registry file by name.

    Args:
        path: A YAML file of one mapping: name to entry.
        model: The settings class of an entry.

    Raises:
        InputError: no such file, not YAML, not a mapping, or an entry that ``model`` refuses.
    """
    try:
        return _parse_registry(path.read_text(encoding="utf-8"), path, model)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except (UnicodeDecodeError, yaml.YAMLError) as refusal:
        reason = " ".join(str(refusal).split())
        raise InputError(f"{path}: not readable as YAML ({reason}).") from None


@cache  # a plan asks for every encoder and dataset
def _parse_registry(text: str, path: Path, model: type[Model]) -> dict[str, Model]:
    entries = yaml.safe_load(text)
    if not isinstance(entries, dict):
        raise InputError(f"{path}: expected a mapping, got {type(entries).__name__}.")
    return {
        str(name): parse(model, json.dumps(entry, default=str), f"{path}: entry '{name}'")
        for name, entry in entries.items()
    }


def look_up(registry: dict[str, Model], name: str, path: Path) -> Model:
    """The registry's entry, or one line with the nearest known name."""
    if name not in registry:
        raise InputError(f"{unknown('source', name, registry)} (in {path.name})")
    return registry[name]


def deliver(source: Source, output: Path, downloads: Path, *, advice: str) -> None:
    """Put the file that ``source`` names at ``output``, whole or not at all.

    Args:
        source: Where it comes from.
        output: Where it goes.
        downloads: Folder in which the checked downloads are kept for the next call.
        advice: A sentence for the error line of a file that only a person can get.
    """
    archive = obtain(source, downloads, advice=advice)
    if source.member is not None:
        take_member(archive, source.member, output)
        return
    with atomic_path(output) as temporary:
        shutil.copyfile(archive, temporary)


def obtain(source: Source, downloads: Path, *, advice: str) -> Path:
    """Path of the checked wheel or file in the downloads folder; fetched if it is not there.

    Args:
        source: Where it comes from.
        downloads: Folder in which it is kept.
        advice: A sentence for the error line of a file that only a person can get.

    Raises:
        InputError: it cannot be fetched, or it has another digest; the line says which file to put
            where.
    """
    target = downloads / _file_name(source)
    downloads.mkdir(parents=True, exist_ok=True)
    with _only_one_at_a_time(target):
        if target.exists():
            _check_digest(target, source.sha256, target)
        elif source.wheel:
            _download_wheel(source.wheel, source.sha256, target)
        elif source.url:
            _download_url(source.url, source.sha256, target)
        else:
            raise InputError(f"{target}: no such file, and only a person can get it. {advice}")
    return target


def _file_name(source: Source) -> str:
    if source.wheel:
        return source.wheel.replace("==", "-") + ".whl"
    name = source.by_hand or PurePosixPath(urlsplit(source.url).path).name
    if not name or PurePosixPath(name).name != name:
        raise InputError(f"'{source.by_hand or source.url}' does not end in a file name.")
    return name


@contextmanager
def _only_one_at_a_time(target: Path) -> Iterator[None]:
    """Two steps that want one archive: the second waits and then finds it."""
    with (target.parent / f".{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _check_digest(path: Path, expected: str | None, origin: Path | str) -> None:
    digest = sha256_file(path)
    if expected is None:
        log.info("%s: no digest is known for it; it has sha256 %s", origin, digest)
    elif digest != expected:
        raise InputError(
            f"{origin}: wrong checksum, expected sha256 {expected}, got {digest}; "
            "delete the file or get it again."
        )


def _download_wheel(requirement: str, sha256: str, target: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
    command += ["--only-binary", ":all:", "--disable-pip-version-check"]
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".wheel-") as folder:
        log.info("downloading the wheel %s with pip", requirement)
        command += ["--dest", folder, requirement]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if result.returncode or len(wheels) != 1:
            reason = (result.stderr.strip().splitlines() or ["no message"])[-1].rstrip(".")
            raise InputError(
                f"{requirement}: pip could not download the wheel ({reason}); "
                f"without a network, put the wheel at {target}."
            )
        _check_digest(wheels[0], sha256, requirement)
        with atomic_path(target) as temporary:
            wheels[0].replace(temporary)


class _TryAgain(Exception):
    """A failure of the network or the server that may pass."""


def _download_url(url: str, sha256: str | None, target: Path) -> None:
    """Download with retries; what has come is kept beside the target and continued next time."""
    part = target.with_name(f".{target.name}.part")
    version = target.with_name(f".{target.name}.part.version")
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(_TryAgain),
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=tenacity.wait_exponential(max=LONGEST_WAIT_S),
        before_sleep=lambda state: log.info("%s: %s; trying again", url, state.outcome.exception()),
        reraise=True,
    )
    try:
        retrying(_download_rest, url, part, version)
    except (_TryAgain, requests.RequestException) as failure:
        raise InputError(
            f"{url}: could not be downloaded ({failure}); run again to go on from "
            f"{part.stat().st_size if part.exists() else 0} bytes, or put the file at {target}."
        ) from None
    try:
        _check_digest(part, sha256, url)
    except InputError:
        part.unlink()  # never continued: its bytes are wrong
        raise
    part.replace(target)
    version.unlink(missing_ok=True)


def _download_rest(url: str, part: Path, version: Path) -> None:
    """Append to ``part`` what it lacks, or start over if the server's file has changed.

    Args:
        url: Where the file is.
        part: What has come of it.
        version: A file with the server's name for the version that ``part`` is of.
    """
    headers = {"Accept-Encoding": "identity"}
    tag = version.read_text() if version.exists() else ""
    if tag and part.exists() and part.stat().st_size:
        headers |= {"Range": f"bytes={part.stat().st_size}-", "If-Range": tag}
    try:
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
            status = response.status_code
            if status == requests.codes.requested_range_not_satisfiable:
                part.unlink()
                raise _TryAgain("the server's file is another one than that begun here")
            if status in RETRIED_STATUS:
                raise _TryAgain(f"the server answers {status}")
            response.raise_for_status()
            version.write_text(
                response.headers.get("ETag", response.headers.get("Last-Modified", ""))
            )
            log.info("%s: %s bytes to come", url, response.headers.get("Content-Length", "?"))
            with part.open("ab" if status == requests.codes.partial_content else "wb") as file:
                # Raw bytes: a .gz stays a .gz even where the server calls that an encoding.
                for chunk in response.raw.stream(CHUNK_BYTES, decode_content=False):
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
    except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError):
        raise _TryAgain("no connection, or it broke") from None


def take_members(archive: Path, members: dict[str, str], folder: Path) -> None:
    """Copy members out of a wheel, zip or tar to names inside a folder; see ``take_member``.

    Raises:
        InputError: a name would leave the folder.
    """
    for name in members.values():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
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
            temporary.open("wb") as file,
        ):
            shutil.copyfileobj(opened, file, CHUNK_BYTES)
    except UNREADABLE as damage:
        raise InputError(f"{archive}: not a readable zip or tar archive ({damage}).") from None


@contextmanager
def _open_member(archive: Path, member: str) -> Iterator[IO[bytes]]:
    is_zip = zipfile.is_zipfile(archive)
    with zipfile.ZipFile(archive) if is_zip else tarfile.open(archive) as opened:
        if is_zip:
            names = [info.filename for info in opened.infolist() if not info.is_dir()]
        else:
            names = [info.name for info in opened if info.isfile()]
        if member not in names:
            raise InputError(f"{archive}: {unknown('member', member, names)}")
        with opened.open(member) if is_zip else opened.extractfile(member) as stream:
            yield stream
