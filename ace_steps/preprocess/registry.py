"""The public datasets of ``data/datasets.yaml``, and what an entry of the configuration names.

A dry run imports this module: no polars, no torch.
"""

from pathlib import Path
from typing import Literal

from ace_steps.io.fetch import Source, look_up, read_registry
from ace_steps.io.files import own_path
from ace_steps.preprocess.settings import ORIGINS, Counts, DatasetSettings
from ace_steps.settings import Settings

Role = Literal["interactions", "items"]
ROLES = ("interactions", "items")


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
        license: What its publisher allows, in a few words.
        files: Where the raw files come from.
        expected: Counts it should have after its filters, None where none are published.
        expected_with: The settings that ``expected`` holds for; the counts are compared only when
            an entry has all of them.
    """

    title: str
    reader: str
    homepage: str
    license: str
    files: Sources
    expected: Counts | None
    expected_with: dict[str, str | int | float | None]

    def advice(self, role: Role) -> str:
        """What a person should do who needs a file that cannot be fetched."""
        member = getattr(self.files, role).member
        inside = f" (the file {member} in it is used)" if member else ""
        return f"Get it from {self.homepage}{inside}; license: {self.license}."


def public_dataset(name: str, registry: Path) -> PublicDataset:
    """The registry's entry.

    Raises:
        InputError: the registry cannot be read, or has no such entry.
    """
    return look_up(read_registry(registry, PublicDataset), name, registry)


def expected_counts(source: str, settings: dict, registry: Path) -> Counts | None:
    """The counts that a public dataset should have with these settings, where they are known.

    Args:
        source: Its name in the registry.
        settings: The dataset's settings as JSON values.
        registry: ``data/datasets.yaml``.

    Raises:
        InputError: the registry cannot be read, or has no such entry.
    """
    public = public_dataset(source, registry)
    is_alike = all(settings.get(key) == value for key, value in public.expected_with.items())
    return public.expected if is_alike else None


def raw_files(settings: DatasetSettings) -> dict[str, str]:
    """Both raw files of a dataset: those that it names, or where fetch_dataset puts them.

    Raises:
        InputError: a path names a variable that is not set, or a file that is not there.
    """
    if settings.source:
        return {role: f"<resources>/datasets/{settings.source}/{role}" for role in ROLES}
    return {role: own_path(getattr(settings, role)) for role in ROLES}


def step_settings(settings: DatasetSettings) -> dict:
    """What the step preprocess_dataset needs to know: all but where the raw files are."""
    return {key: value for key, value in settings.as_json().items() if key not in ORIGINS}
