"""Items that are hidden from training, so that later they are new and yet someone wanted them."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from ace_steps.errors import InputError
from ace_steps.runtime import derive_seed


@dataclass(frozen=True)
class Hidden:
    """A catalogue in which some items are new.

    Attributes:
        order: (n_items,) places in the catalogue (item index - 1): known items, then hidden ones,
            each in their order; a place in here + 1 is an item's index from now on.
        n_known: Items that stay.
    """

    order: np.ndarray
    n_known: int


def hide(n_items: int, *, share: float, seed: int) -> Hidden:
    """Draw the items to hide, evenly among all.

    Args:
        n_items: Items of the catalogue.
        share: Of them, in (0, 1).
        seed: Of the draw.

    Raises:
        InputError: the share leaves no item to hide or none to train on.
    """
    n_hidden = round(share * n_items)
    if not 0 < n_hidden < n_items:
        raise InputError(f"a share of {share} of {n_items} items hides {n_hidden} of them.")
    rng = np.random.default_rng(derive_seed(seed, "hidden items"))
    is_hidden = np.zeros(n_items, bool)
    is_hidden[rng.permutation(n_items)[:n_hidden]] = True
    return Hidden(np.argsort(is_hidden, kind="stable"), n_items - n_hidden)


def without_hidden(interactions: pl.DataFrame, hidden: Hidden) -> pl.DataFrame:
    """The table interactions with new indices, hidden items left in as test targets alone.

    Train and validation events of hidden items go, and so do users who have no train event left. A
    test target's history holds known items only.

    Args:
        interactions: The table.
        hidden: Which items are hidden.
    """
    index = np.empty(len(hidden.order) + 1, np.int32)
    index[hidden.order + 1] = np.arange(1, len(hidden.order) + 1)
    moved = interactions.with_columns(item=pl.Series(index[interactions["item"].to_numpy()]))
    is_kept = (pl.col("item") <= hidden.n_known) | (pl.col("split") == "test")
    has_train = (pl.col("split") == "train").any().over("user")
    return moved.filter(is_kept).filter(has_train)
