"""Which events stay, and in which order."""

import numpy as np
import polars as pl


def core(users: np.ndarray, items: np.ndarray, *, min_user: int, min_item: int) -> np.ndarray:
    """Which events belong to the largest log where every user and item has enough events.

    Rounds of dropping users and items that have too few events, until nothing changes; the result
    does not depend on the order of the drops.

    Args:
        users: (n_events,) integer user codes from 0.
        items: (n_events,) integer item codes from 0.
        min_user: Events that a user needs.
        min_item: Events that an item needs.

    Returns:
        (n_events,) bool; all False where no such log exists.

    Cost:
        O(n_events) a round; some ten rounds on the usual logs.
    """
    kept = np.arange(len(users))
    while True:
        user_counts = np.bincount(users[kept])
        item_counts = np.bincount(items[kept])
        stays = (user_counts[users[kept]] >= min_user) & (item_counts[items[kept]] >= min_item)
        if stays.all():
            break
        kept = kept[stays]
    mask = np.zeros(len(users), dtype=bool)
    mask[kept] = True
    return mask


def chronological(events: pl.DataFrame, *, tie_rule: str, seed: int) -> pl.DataFrame:
    """The events sorted by user, then time, then the tie rule.

    Equal times of one user keep the order of the file (``file_order``), or follow a hash of seed,
    user and item (``hashed``), which no order of the file can change. Neither sorts by item: that
    would put an item's place in the catalogue into the test targets.

    Args:
        events: Columns user, item (integer codes), timestamp, in file order.
        tie_rule: ``file_order`` or ``hashed``.
        seed: Seed of the hash.
    """
    if tie_rule == "hashed":
        keys = tie_hash(events["user"].to_numpy(), events["item"].to_numpy(), seed)
        events = events.with_columns(tie=keys).sort("tie", maintain_order=True).drop("tie")
    # Stable sorts, the least important key first: twice as fast here as one sort by two keys.
    return events.sort("timestamp", maintain_order=True).sort("user", maintain_order=True)


def tie_hash(users: np.ndarray, items: np.ndarray, seed: int) -> np.ndarray:
    """(n_events,) uint64: a hash of seed, user and item that every platform computes alike.

    Source:
        The finaliser of SplitMix64, Steele, Lea and Flood, OOPSLA 2014.
    """
    state = _mix(users.astype(np.uint64) + np.uint64(seed % 2**64))
    return _mix(state ^ items.astype(np.uint64))


def _mix(state: np.ndarray) -> np.ndarray:
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def without_duplicates(events: pl.DataFrame, *, keep: str) -> pl.DataFrame:
    """The first or the last event of each pair of user and item.

    Args:
        events: Columns user and item (integer codes) at least, in chronological order.
        keep: ``first`` or ``last``, by time.
    """
    pair = pl.col("user").cast(pl.Int64) * 2**31 + pl.col("item")
    return events.filter(pair.is_first_distinct() if keep == "first" else pair.is_last_distinct())


def sample_users(users: np.ndarray, n_wanted: int, generator: np.random.Generator) -> np.ndarray:
    """Which events belong to ``n_wanted`` users drawn without replacement, or to all if fewer.

    Args:
        users: (n_events,) integer user codes.
        n_wanted: Users to keep.
        generator: Source of the draw.

    Returns:
        (n_events,) bool.
    """
    present = np.unique(users)
    if len(present) <= n_wanted:
        return np.ones(len(users), dtype=bool)
    return np.isin(users, generator.choice(present, n_wanted, replace=False))
