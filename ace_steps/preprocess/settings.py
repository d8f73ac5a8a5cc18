"""Settings of a dataset; described in config.schema.yaml under ``$defs/dataset``.

This module and ``registry`` are what a dry run imports: no polars, no torch.
"""

from datetime import date
from typing import Literal

from pydantic import Field, field_validator, model_validator

from ace_steps.config.base import Settings

Reader = Literal["recbole", "amazon_2014", "amazon_2023", "movielens", "yelp", "table"]


class Columns(Settings):
    """Which columns of anyone's own tables hold what, for the reader ``table``."""

    user: str
    item: str
    timestamp: str
    timestamp_unit: Literal["seconds", "milliseconds", "iso"]
    rating: str | None
    item_id: str


class Counts(Settings):
    """Counts that a dataset should have after its filters."""

    users: int = Field(ge=1)
    items: int = Field(ge=1)
    events: int = Field(ge=1)


class DatasetSettings(Settings):
    """How raw files become interactions and item texts."""

    reader: Reader
    columns: Columns | None = None
    min_rating: float | None
    time_start: str | None
    time_end: str | None
    missing_items: Literal["error", "drop"]
    duplicates: Literal["all", "first", "last"]
    tie_rule: Literal["file_order", "hashed"]
    min_user_events: int = Field(ge=1)
    min_item_events: int = Field(ge=1)
    max_users: int | None = Field(ge=1)
    seed: int = Field(ge=0)
    split: Literal["leave_one_out", "global_time"]
    valid_share: float | None = Field(default=None, gt=0, lt=1)
    test_share: float | None = Field(default=None, gt=0, lt=1)
    template: str = Field(min_length=1)
    text_columns: list[str] | None = Field(min_length=1)
    clean_html: bool
    max_field_chars: int | None = Field(ge=1)
    blank_text: Literal["error", "placeholder"]
    placeholder: str = Field(min_length=1)
    expected: Counts | None = None

    @field_validator("time_start", "time_end")
    @classmethod
    def _is_date(cls, value: str | None) -> str | None:
        if value is not None:
            date.fromisoformat(value)
        return value

    @model_validator(mode="after")
    def _keys_agree(self) -> "DatasetSettings":
        if (self.reader == "table") != (self.columns is not None):
            raise ValueError("'columns' is wanted for the reader 'table' and for no other")
        shares = (self.valid_share, self.test_share)
        if self.split == "global_time" and None in shares:
            raise ValueError("the split 'global_time' needs 'valid_share' and 'test_share'")
        if self.split == "leave_one_out" and shares != (None, None):
            raise ValueError("'valid_share' and 'test_share' belong to the split 'global_time'")
        if None not in shares and sum(shares) >= 1:
            raise ValueError("'valid_share' and 'test_share' leave nothing to train on")
        return self
