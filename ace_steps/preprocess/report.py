"""What is counted on the way from raw data to tables: the table data_report.

Statistics are named ``<counted>_<when>``: ``users``, ``items``, ``events`` alone are the final
counts, ``users_raw``, ``users_after_core`` and so on those after each filter that was applied.
"""

import hashlib

import numpy as np
import polars as pl

from ace_steps.preprocess.item_text import ItemTexts
from ace_steps.preprocess.settings import Counts

TOP_PERCENT = (1, 2, 5, 10, 20, 50)


class Report:
    """Collects statistics by name."""

    def __init__(self) -> None:
        self._values: dict[str, float] = {}

    def add(self, statistic: str, value: float) -> None:
        """Note one number."""
        self._values[statistic] = float(value)

    def count(self, stage: str, events: pl.DataFrame, user: str, item: str) -> None:
        """Note the users, items and events after a stage; the columns of ids are named."""
        self.add(f"events_{stage}", len(events))
        self.add(f"users_{stage}", events[user].n_unique())
        self.add(f"items_{stage}", events[item].n_unique())

    def describe(self, events: pl.DataFrame, items: pl.DataFrame) -> None:
        """Note the final counts, histories, ties, popularity, and targets unseen in training.

        Args:
            events: Final interactions, sorted by user and position, timestamps unrounded.
            items: Final items with train_count.
        """
        lengths = events.group_by("user").len()["len"].to_numpy()
        self.add("users", len(lengths))
        self.add("items", len(items))
        self.add("events", len(events))
        self.add("density", len(events) / (len(lengths) * len(items)))
        held_out = events.filter(pl.col("split") != "train")["user"].n_unique()
        self.add("users_train_only", len(lengths) - held_out)
        self._histories(lengths)
        self._ties(events)
        self._popularity(items["train_count"].to_numpy())
        for split in ("valid", "test"):
            targets = events.filter(pl.col("split") == split)["item"].to_numpy()
            unseen = items["train_count"].to_numpy()[targets - 1] == 0
            self.add(f"{split}_targets_unseen_share", unseen.mean())

    def texts(self, items: pl.DataFrame, texts: ItemTexts) -> None:
        """Note blank, shortened and repeated texts, and their lengths in characters."""
        lengths = items["text"].str.len_chars()
        self.add("blank_texts", texts.n_blank)
        self.add("shortened_fields", texts.n_shortened)
        self.add("duplicate_texts", len(items) - items["text"].n_unique())
        self.add("text_chars_mean", lengths.mean())
        self.add("text_chars_max", lengths.max())

    def compare(self, expected: Counts | None) -> list[str]:
        """Note every final count that differs from the one expected; a sentence for each."""
        warnings = []
        for name, wanted in (expected.as_json() if expected else {}).items():
            found = self._values[name]
            if found != wanted:
                self.add(f"warning_{name}_expected", wanted)
                self.add(f"warning_{name}_found", found)
                warnings.append(f"{found:.0f} {name} found, but {wanted} expected")
        return warnings

    def table(self) -> pl.DataFrame:
        """The table data_report."""
        return pl.DataFrame(
            {"statistic": list(self._values), "value": list(self._values.values())},
            schema={"statistic": pl.String, "value": pl.Float64},
        )

    def _histories(self, lengths: np.ndarray) -> None:
        self.add("history_length_min", lengths.min())
        self.add("history_length_mean", lengths.mean())
        self.add("history_length_median", float(np.median(lengths)))
        self.add("history_length_max", lengths.max())
        bins = np.bincount(np.frexp(lengths)[1] - 1)  # [1, 2), [2, 4), [4, 8), ...
        for power in np.flatnonzero(bins):
            low, high = 2**power, 2 ** (power + 1) - 1
            self.add(f"users_with_history_{low:06d}_to_{high:06d}", bins[power])

    def _ties(self, events: pl.DataFrame) -> None:
        """Share of events that share user and time with another, and of such test targets."""
        same_user = pl.col("user") == pl.col("user").shift(1)
        same_time = pl.col("timestamp") == pl.col("timestamp").shift(1)
        tied = events.select("split", earlier=(same_user & same_time).fill_null(False))
        later = pl.col("earlier").shift(-1, fill_value=False)
        self.add("tied_events_share", tied.select((pl.col("earlier") | later).mean()).item())
        at_test = tied.filter(pl.col("split") == "test")
        self.add("tied_test_targets_share", at_test["earlier"].mean())

    def _popularity(self, train_counts: np.ndarray) -> None:
        """Share of the training events that fall on the most popular items."""
        curve = np.cumsum(np.sort(train_counts)[::-1])
        for percent in TOP_PERCENT:
            n_top = max(1, round(len(curve) * percent / 100))
            self.add(
                f"train_share_of_top_{percent:02d}_percent_items", curve[n_top - 1] / curve[-1]
            )
        self.add("items_unseen_in_train", int((train_counts == 0).sum()))


def text_digests(texts: pl.Series) -> pl.Series:
    """SHA-256 of each text's UTF-8 bytes, hexadecimal; each distinct text is hashed once."""
    distinct = texts.unique()
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in distinct]
    return texts.replace_strict(distinct, pl.Series(digests), return_dtype=pl.String)
