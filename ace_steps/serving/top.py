"""The best items of each user, found in blocks of users and items; no table of all scores."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ace_steps.backbones.recommender import Recommender
from ace_steps.evaluation.ranking import (
    SCORE_ROWS,
    ItemBlocks,
    SeenItems,
    check_finite,
    next_queries,
    user_blocks,
)
from ace_steps.io.tables import PADDING
from ace_steps.sequences.histories import Histories, Targets


@dataclass(frozen=True)
class Top:
    """The best items of some users, the best first.

    Attributes:
        item: (users, k) int64 item indices.
        score: (users, k) float32; -inf where a user has fewer than k items left.
    """

    item: np.ndarray
    score: np.ndarray


def query_pieces(
    recommender: Recommender, histories: Histories, asked: Targets
) -> Iterator[tuple[Targets, Tensor]]:
    """Some users at a time with their queries, (users, query width), in the users' order.

    Args:
        recommender: In evaluation mode; its device is where the queries are made.
        histories: All events.
        asked: The history of each user; ``item`` is 0.
    """
    with torch.inference_mode():
        items = recommender.items()
    for some in user_blocks(asked, items.device):
        with torch.inference_mode():
            queries = next_queries(recommender.network, items, histories, some)
        yield some, queries


def top_items(
    recommender: Recommender, histories: Histories, asked: Targets, *, k: int, mask_seen: bool
) -> Iterator[Top]:
    """The k items of the highest score for each user; of equal scores the lower index is first.

    Args:
        recommender: In evaluation mode; its device is where the scores are made.
        histories: All events.
        asked: The history of each user; ``item`` is 0.
        k: Items per user, at least 1; all of them where the catalogue is smaller.
        mask_seen: Leave out the items of the user's history.

    Yields:
        One ``Top`` per block of users, in the users' order.

    Raises:
        InputError: a query or an item vector is not finite.

    Cost:
        One product of users x items x width. Memory is the item vectors, the queries of one block
        of users and one block of scores, whatever the number of users and items.
    """
    with torch.inference_mode():
        items = recommender.network.scored_items(recommender.items())
    for some, queries in query_pieces(recommender, histories, asked):
        check_finite(queries, items)
        n_rows = SCORE_ROWS[items.device.type]
        for start in range(0, len(queries), n_rows):
            rows = slice(start, start + n_rows)
            seen = SeenItems(histories, some.take(rows)) if mask_seen else None
            yield _top_rows(queries[rows], items, seen, k)


@torch.inference_mode()
def _top_rows(queries: Tensor, items: Tensor, seen: SeenItems | None, k: int) -> Top:
    """The best items of one block of users, item block by item block."""
    catalogue = items[PADDING + 1 :]
    blocks = ItemBlocks(len(catalogue), catalogue.device)
    best_score = queries.new_empty(len(queries), 0)
    best_item = torch.empty_like(best_score, dtype=torch.int64)
    for block in range(blocks.n_blocks):
        first = blocks.first(block)
        scores = queries @ catalogue[first : first + blocks.height].T  # (users, items)
        if seen is not None:
            seen.mask(scores.T, first)
        scores, first = scores[:, blocks.n_repeated(block) :], block * blocks.height
        score, place = best_of(scores, k)
        # What is held has lower indices, so a stable sort keeps the order among equals.
        score = torch.cat([best_score, score], dim=1)
        item = torch.cat([best_item, place + first + PADDING + 1], dim=1)
        best_score, order = score.sort(dim=1, descending=True, stable=True)
        best_score, best_item = best_score[:, :k], item.gather(1, order[:, :k])
    return Top(best_item.cpu().numpy(), best_score.cpu().numpy())


def best_of(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k highest scores of each row and their places; of equal ones the lower place is first.

    ``torch.topk`` alone leaves open which of equal scores it takes and in which order.

    Args:
        scores: (rows, columns) float, no NaN.
        k: At least 1.

    Returns:
        Two tensors (rows, min(k, columns)).
    """
    n = scores.shape[1]
    if n <= k:
        return scores.sort(dim=1, descending=True, stable=True)
    score, place = scores.topk(k + 1, dim=1)
    is_open = score[:, k - 1] == score[:, k]  # the last that is in equals the first that is out
    place = place[:, :k].sort(dim=1).values
    score, order = scores.gather(1, place).sort(dim=1, descending=True, stable=True)
    place = place.gather(1, order)
    if is_open.any():
        exact, order = scores[is_open].sort(dim=1, descending=True, stable=True)
        score[is_open], place[is_open] = exact[:, :k], order[:, :k]
    return score, place
