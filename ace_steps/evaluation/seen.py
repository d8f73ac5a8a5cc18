"""Items a user has had already, kept from counting or being recommended."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ace_steps.sequences.histories import Histories, Targets


@dataclass(frozen=True)
class Seen:
    """Which item each of some users has had, ascending by item.

    Attributes:
        item: (n,) int64 item indices.
        user: (n,) int64 places among the users.
    """

    item: np.ndarray
    user: np.ndarray


def seen_items(histories: Histories, targets: Targets) -> Seen:
    """The items before each target, but for the target itself.

    Args:
        histories: All events.
        targets: The history of each user, and the item that is kept (0: none).

    Cost:
        A sort of the events; each block of items is found in it by bisection.
    """
    user = np.repeat(np.arange(len(targets.user)), targets.length)
    before = np.repeat(np.cumsum(targets.length) - targets.length, targets.length)
    place = targets.start[user] + np.arange(len(user)) - before
    item = histories.items[place].astype(np.int64)
    order = np.argsort(item, kind="stable")
    order = order[(item != targets.item[user])[order]]
    return Seen(item[order], user[order])


def hide_seen(scores: Tensor, seen: Seen, first: int) -> None:
    """Put the scores of seen items to -inf.

    Args:
        scores: (items, users); row 0 is item ``first + 1``.
        seen: Of these users.
        first: Items before the first row.
    """
    begin, end = np.searchsorted(seen.item, [first + 1, first + 1 + len(scores)])
    where = np.stack([seen.item[begin:end] - 1 - first, seen.user[begin:end]])
    row, user = torch.from_numpy(where).to(scores.device)
    scores[row, user] = -torch.inf
