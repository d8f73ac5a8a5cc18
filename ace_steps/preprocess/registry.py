"""The public datasets of ``data/datasets.yaml``, and what an entry of the configuration names.

A dry run imports this module: no polars, no torch.
"""

from pathlib import Path
from typing import Literal

from pydantic import model_validator

from ace_steps.errors import InputError
from ace_steps.fetch import Source, look_up, read_registry
from ace_steps.preprocess.settings import Counts, DatasetSettings, Reader
from ace_steps.config.base import Settings

Role = Literal["interactions", "items"]
ROLES = ("interactions", "items")


class Files(Settings):
    """Raw files that are already here."""

    interactions: str
    items: str


class DatasetEntry(DatasetSettings):
    """A dataset of the configuration: its settings, and where its raw files come from."""

    source: str | None = None
    files: Files | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> "DatasetEntry":
        if (self.source is None) == (self.files is None):
            raise ValueError("exactly one of 'source' and 'files' is wanted")
        return self


class Sources(Settings):
    """Where both raw files of a public dataset come from."""

    interactions: Source
    items: Source


class PublicDataset(Settings):
    """A public dataset.

    Attributes:
        title: Its full name.
        reader: The reader of its files.
        homepage: Where a person reads about it and can download it.
        licence: What its publisher allows, in a few words.
        files: Where the raw files come from.
        expected: Counts it should have after its filters, None where none are published.
        expected_with: The settings that ``expected`` holds for; the counts are compared only when
            an entry has all of them.
    """

    title: str
    reader: Reader
    homepage: str
    licence: str
    files: Sources
    expected: Counts | None
    expected_with: dict[str, str | int | float | None]

    def advice(self, role: Role) -> str:
        """What a person should do who needs a file that cannot be fetched."""
        member = getattr(self.files, role).member
        inside = f" (the file {member} in it is used)" if member else ""
        return f"Get it from {self.homepage}{inside}; licence: {self.licence}."


def public_dataset(name: str, registry: Path) -> PublicDataset:
    """The registry's entry.

    Raises:
        InputError: the registry cannot be read, or has no such entry.
    """
    return look_up(read_registry(registry, PublicDataset), name, registry)


def step_settings(entry: dict, registry: Path) -> dict:
    """The settings of the step preprocess_dataset for a dataset of the configuration.

    Args:
        entry: The entry as the configuration holds it, checked against the schema.
        registry: ``data/datasets.yaml``.

    Returns:
        The entry without ``source`` and ``files``; with the registry's expected counts if it has
        none of its own and its settings are those the counts hold for.

    Raises:
        InputError: the source is unknown, or is for another reader.
    """
    settings = {key: value for key, value in entry.items() if key not in ("source", "files")}
    if "source" not in entry:
        return settings
    public = public_dataset(entry["source"], registry)
    if public.reader != entry["reader"]:
        raise InputError(
            f"source '{entry['source']}' is for the reader '{public.reader}', "
            f"found '{entry['reader']}'."
        )
    is_alike = all(settings.get(key) == value for key, value in public.expected_with.items())
    if public.expected and is_alike:
        settings.setdefault("expected", public.expected.as_json())
    return settings
