"""Every user's events, stored once; what is trained on and what is held out of them."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from ace_steps.errors import InputError

SPLITS = ("train", "valid", "test")  # in the order in which a history holds them
HELD_OUT = SPLITS[1:]


@dataclass(frozen=True)
class Histories:
    """The events of all users in order: train, then at most one valid, then at most one test."""

    items: np.ndarray  # (n_events,) int32 item indices from 1, user after user, oldest first
    offsets: np.ndarray  # (n_users + 1,) int64; u's are ``items[offsets[u]:offsets[u + 1]]``
    n_train: np.ndarray  # (n_users,) int64, each user's train events
    has_valid: np.ndarray  # (n_users,) bool, the event after them is held out for validation
    has_test: np.ndarray  # (n_users,) bool, the last event is held out for the test

    def train_counts(self, n_items: int) -> np.ndarray:
        """(n_items,) int64 train events of each item, item 1 first."""
        length = np.diff(self.offsets)
        position = np.arange(len(self.items)) - np.repeat(self.offsets[:-1], length)
        is_train = position < np.repeat(self.n_train, length)
        return np.bincount(self.items[is_train], minlength=n_items + 1)[1:]


@dataclass(frozen=True)
class Targets:
    """Held-out events, one a row, with the history before each; (n,) int64."""

    user: np.ndarray  # index of the user
    item: np.ndarray  # held out
    start: np.ndarray  # index of the user's first event in ``Histories.items``
    length: np.ndarray  # events before the held-out one

    def take(self, rows: np.ndarray | slice) -> "Targets":
        """The targets in these rows."""
        return Targets(self.user[rows], self.item[rows], self.start[rows], self.length[rows])


def read_histories(interactions: pl.DataFrame, n_items: int) -> Histories:
    """The histories of the table interactions, in any row order, over a catalog of ``n_items``.

    Raises:
        InputError: no event, an item outside the catalog, an unknown split, or a user whose
            splits are not train, one valid, one test in this order.
    """
    if interactions.is_empty():
        raise InputError("interactions: the table has no event.")
    ordered = interactions.sort("user", "position")
    users, items = ordered["user"].to_numpy(), ordered["item"].to_numpy()
    if items.min() < 1 or items.max() > n_items:
        outside = items.min() if items.min() < 1 else items.max()
        raise InputError(f"interactions: item {outside} is not in the catalog of 1 to {n_items}.")
    unknown = ordered["split"].filter(~ordered["split"].is_in(SPLITS))
    if len(unknown):
        raise InputError(f"interactions: expected a split of {SPLITS}, got '{unknown[0]}'.")
    split = ordered["split"].replace_strict(SPLITS, range(3), return_dtype=pl.Int8).to_numpy()
    before, after = split[:-1], split[1:]
    is_right = (after > before) | (after == 0) & (before == 0) | (users[1:] != users[:-1])
    if not is_right.all():
        raise InputError(
            f"interactions: user {users[1:][~is_right][0]}: expected train events, then at most "
            "one valid, then at most one test event."
        )
    n_users = int(users[-1]) + 1
    counts = np.stack([np.bincount(users[split == code], minlength=n_users) for code in range(3)])
    offsets = np.concatenate([[0], np.cumsum(counts.sum(axis=0))])
    return Histories(
        items=items.astype(np.int32),
        offsets=offsets,
        n_train=counts[0],
        has_valid=counts[1] > 0,
        has_test=counts[2] > 0,
    )


def held_out(histories: Histories, split: str) -> Targets:
    """The held-out items of a split; the history of a test item holds the validation item.

    Raises:
        InputError: there is no event before one, so that there is nothing to predict it from.
    """
    is_test = split == "test"
    user = np.flatnonzero(histories.has_test if is_test else histories.has_valid)
    length = histories.n_train[user] + (histories.has_valid[user] if is_test else 0)
    if (length == 0).any():
        raise InputError(
            f"interactions: user {user[length == 0][0]}'s {split} event is the first of the "
            "history; expected at least one event before it."
        )
    start = histories.offsets[user]
    item = histories.items[start + length].astype(np.int64)
    return Targets(user=user, item=item, start=start, length=length)
