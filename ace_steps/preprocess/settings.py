"""Settings of a dataset, and the public datasets that they may name.

A reader's own settings class stands in its file. A dry run imports this module: no polars, no
torch.
"""

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat, field_validator, model_validator

from ace_steps.io.fetch import Source, look_up, read_registry
from ace_steps.io.files import own_path
from ace_steps.settings import Count, Seed, Settings, Share

ROLES = ("interactions", "items")
ORIGINS = ("source", *ROLES)  # keys that say where the raw files are

Text = Annotated[str, Field(min_length=1)]


class Counts(Settings):
    """Counts that a dataset should have after its filters."""

    users: Count = Field(description="Users after all filters.")
    items: Count = Field(description="Items after all filters.")
    events: Count = Field(description="Events after all filters.")


class DatasetSettings(Settings):
    """Where a log and its catalog are, and how they become interactions and item texts.

    The order of the work: rating threshold, time window, items without a catalog row, order by
    time, duplicates, k-core, sample of users, split, texts.
    """

    reader: str
    source: Text | None = Field(
        None,
        description="Name of a public dataset in data/datasets.yaml, fetched and checked by the "
        "rule fetch_dataset; instead of interactions and items.",
    )
    interactions: Text | None = Field(
        None,
        description="Path of the log; it may hold ${NAME}, replaced from the environment.",
    )
    items: Text | None = Field(None, description="Path of the catalog, likewise.")
    min_rating: FiniteFloat | None = Field(
        None,
        description="Events rated lower are left out, in the unit of the log's ratings; null keeps "
        "all.",
    )
    time_start: str | None = Field(
        None,
        description='First day of the time window, "YYYY-MM-DD" (UTC), in quotes; null is none.',
    )
    time_end: str | None = Field(
        None,
        description='Day before which the time window ends, "YYYY-MM-DD" (UTC), in quotes; null is '
        "none.",
    )
    missing_items: Literal["error", "drop"] = Field(
        "error",
        description="What happens to items of the log that have no row in the catalog: error, or "
        "drop their events before the k-core. The report counts what is dropped.",
    )
    duplicates: Literal["all", "first", "last"] = Field(
        "all",
        description="Of the events of one user with one item, keep all, the first or the last.",
    )
    tie_rule: Literal["file_order", "hashed"] = Field(
        "file_order",
        description="Order of a user's events of one time: file_order, as the log has them; or "
        "hashed, by a hash of seed, user and item, so that no order of the log matters. The report "
        "has the share of ties.",
    )
    min_user_events: Count = Field(
        5,
        description="Events that a user needs (k-core, together with min_item_events; 1 is no "
        "filter). A user with fewer than three events cannot be split and is trained on only.",
    )
    min_item_events: Count = Field(
        5, description="Events that an item needs (k-core, together with min_user_events)."
    )
    max_users: Count | None = Field(
        None,
        description="Users drawn by seed for a quick run; null is all. The k-core is applied again "
        "after it.",
    )
    seed: Seed = Field(0, description="Seed of the sample of users and of the hashed tie rule.")
    split: Literal["leave_one_out", "global_time"] = Field(
        "leave_one_out",
        description="leave_one_out: a user's last event is the test item, the one before the "
        "validation item. global_time: two dates for all users, nothing trained on is later than "
        "anything held out; a user's first event of a period is held out, later ones are left out.",
    )
    valid_share: Share | None = Field(
        None,
        description="Share of the events in the validation period; for the split global_time "
        "alone, where null is 0.1.",
    )
    test_share: Share | None = Field(
        None,
        description="Share of the events in the test period; for the split global_time alone, "
        "where null is 0.1.",
    )
    template: Text = Field(
        "The {dataset} item has the following attributes: \n {attributes}",
        description="What the encoder gets of an item. {title} is the catalog's column title, "
        '{attributes} lists text_columns as "title: Red lamp; price: 3;", {dataset} is the '
        "dataset's name here.",
    )
    text_columns: list[str] | None = Field(
        None,
        min_length=1,
        description="Columns that {attributes} lists, in order; null is all of the catalog's.",
    )
    clean_html: bool = Field(
        True,
        description="Take HTML tags out of the fields and turn entities into their characters.",
    )
    max_field_chars: Count | None = Field(
        None,
        description="Longest text of one field, in characters, cut at its end; null is no limit.",
    )
    blank_text: Literal["error", "placeholder"] = Field(
        "placeholder",
        description="What happens to an item of which every field in the template is empty: error, "
        "or the text of placeholder. The report counts them.",
    )
    placeholder: Text = Field("unknown item", description="Text of an item without any.")
    expected: Counts | None = Field(
        None,
        description="Counts that the dataset should have; a deviation is a warning in the report. "
        "For a source the registry's counts are taken if the settings are those they hold for.",
    )

    @field_validator("time_start", "time_end")
    @classmethod
    def _is_date(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                date.fromisoformat(value)
            except ValueError:
                raise ValueError(
                    f"expected a day such as \"2019-01-31\", got the string '{value}'"
                ) from None
        return value

    @field_validator("text_columns")
    @classmethod
    def _each_once(cls, value: list[str] | None) -> list[str] | None:
        repeated = [name for i, name in enumerate(value or []) if name in value[:i]]
        if repeated:
            raise ValueError(f"expected each column once, got '{repeated[0]}' twice")
        return value

    @model_validator(mode="before")
    @classmethod
    def _default_shares(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("split") == "global_time":
            shares = ("valid_share", "test_share")
            return given | {name: 0.1 for name in shares if given.get(name) is None}
        return given

    @model_validator(mode="after")
    def _keys_agree(self) -> "DatasetSettings":
        if self.time_start and self.time_end and self.time_start >= self.time_end:
            raise ValueError(
                f"time_end: expected a day after time_start {self.time_start}, got {self.time_end}"
            )
        shares = (self.valid_share, self.test_share)
        if self.split == "leave_one_out" and shares != (None, None):
            raise ValueError("valid_share and test_share belong to split: global_time")
        if None not in shares and sum(shares) >= 1:
            raise ValueError(
                f"valid_share and test_share: expected a sum below 1, got {sum(shares):g}; nothing "
                "would be left to train on"
            )
        return self


class RawFiles(Settings):
    """Where both raw files of a public dataset come from."""

    interactions: Source
    items: Source


class PublicDataset(Settings):
    """A public dataset of ``data/datasets.yaml``.

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
    files: RawFiles
    expected: Counts | None
    expected_with: dict[str, str | int | float | None]

    def advice(self, role: str) -> str:
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
    """The counts that a public dataset should have with these settings, where they are known."""
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
