"""The best items of each user, and vectors for an index, in blocks: no table of all scores."""

import logging
from collections.abc import Iterator

import numpy as np
import polars as pl
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
from ace_steps.progress import counted
from ace_steps.sequences.histories import Histories, Targets
from ace_steps.serving.model import TrainedModel

log = logging.getLogger(__name__)

ROWS_AT_ONCE = 1_000_000  # of recommendations in memory
ITEMS_AT_ONCE = 65_536

Rows = tuple[dict[str, object], np.ndarray]  # key columns by name, and their vectors
Top = tuple[np.ndarray, np.ndarray]  # item indices and scores


def list_pieces(model: TrainedModel, *, k: int, mask_seen: bool) -> Iterator[pl.DataFrame]:
    """Rows of the table ``recommendations``, about a million at once, in the order of the users.

    A user has fewer than k rows where fewer items are left. Arguments as of ``top_items``.
    """
    users = model.users
    tops = top_items(model.recommender, users.histories, users.targets, k=k, mask_seen=mask_seen)
    held: list[pl.DataFrame] = []
    n_users = 0
    for items, scores in counted(tops, lambda top: len(top[0]), len(users.ids), "users", log):
        row, column = np.nonzero(scores > -np.inf)
        columns = {
            "user_id": users.ids.gather(n_users + row),
            "rank": (column + 1).astype(np.int32),
            "item_id": model.item_ids.gather(items[row, column] - 1),
            "score": scores[row, column],
        }
        held.append(pl.DataFrame(columns))
        n_users += len(items)
        if sum(map(len, held)) >= ROWS_AT_ONCE:
            yield pl.concat(held)
            held = []
    if held:
        yield pl.concat(held)


def item_pieces(model: TrainedModel, scored: Tensor) -> Iterator[Rows]:
    """Keys and vectors of all items.

    ``scored`` are ``TrainedModel.scored_items``.
    """
    for start in range(0, len(model.item_ids), ITEMS_AT_ONCE):
        ids = model.item_ids[start : start + ITEMS_AT_ONCE]
        first = start + PADDING + 1
        index = np.arange(first, first + len(ids), dtype=np.int32)
        rows = scored[first : first + len(ids)].cpu().numpy()
        yield {"item": index, "item_id": ids.to_arrow()}, rows


def user_pieces(model: TrainedModel, scored: Tensor) -> Iterator[Rows]:
    """Keys and queries of the users, in their order.

    Raises:
        InputError: a query, or a row of ``scored``, is not finite.
    """
    users, start = model.users, 0
    pieces = _query_pieces(model.recommender, users.histories, users.targets)
    for _, queries in counted(pieces, lambda it: len(it[1]), len(users.ids), "users", log):
        check_finite(queries, scored)
        ids = users.ids[start : start + len(queries)]
        start += len(queries)
        yield {"user_id": ids.to_arrow()}, queries.cpu().numpy()


def top_items(
    recommender: Recommender, histories: Histories, targets: Targets, *, k: int, mask_seen: bool
) -> Iterator[Top]:
    """The k items of the highest score for each user; of equal scores the lower index is first.

    Args:
        recommender: In evaluation mode; its device is where the scores are computed.
        histories: All events.
        targets: The history of each user; ``item`` is 0.
        k: Items per user, at least 1; all of them where the catalog is smaller.
        mask_seen: Leave out the items of the user's history.

    Yields:
        For each block of users, in their order: item indices (users, k) int64, the best first, and
        their scores (users, k) float32, -inf where a user has fewer than k items left.

    Raises:
        InputError: a query or an item vector is not finite.

    Cost:
        One product of users x items x dim. Memory is the item vectors, the queries of one block
        of users and one block of scores, whatever the number of users and items.
    """
    with torch.inference_mode():
        items = recommender.network.scored_items(recommender.items())
    for block, queries in _query_pieces(recommender, histories, targets):
        check_finite(queries, items)
        n_rows = SCORE_ROWS[items.device.type]
        for start in range(0, len(queries), n_rows):
            rows = slice(start, start + n_rows)
            seen = SeenItems(histories, block.take(rows)) if mask_seen else None
            yield _top_rows(queries[rows], items[PADDING + 1 :], seen, k)


def _query_pieces(
    recommender: Recommender, histories: Histories, targets: Targets
) -> Iterator[tuple[Targets, Tensor]]:
    """Some users at a time with their queries, (users, query dim), in the users' order."""
    with torch.inference_mode():
        items = recommender.items()
    for block in user_blocks(targets, items.device):
        with torch.inference_mode():
            queries = next_queries(recommender.network, items, histories, block)
        yield block, queries


@torch.inference_mode()
def _top_rows(queries: Tensor, catalog: Tensor, seen: SeenItems | None, k: int) -> Top:
    """The best items of one block of users, item block by item block."""
    blocks = ItemBlocks(len(catalog), catalog.device)
    best_score = queries.new_empty(len(queries), 0)
    best_item = torch.empty_like(best_score, dtype=torch.int64)
    for block in range(blocks.n_blocks):
        first = blocks.first(block)
        scores = queries @ catalog[first : first + blocks.height].T  # (users, items)
        if seen is not None:
            seen.mask(scores.T, first)
        scores, first = scores[:, blocks.n_repeated(block) :], block * blocks.height
        score, column = best_of(scores, k)
        # What is held has lower indices, so a stable sort keeps the order among equals.
        score = torch.cat([best_score, score], dim=1)
        item = torch.cat([best_item, column + first + PADDING + 1], dim=1)
        best_score, order = score.sort(dim=1, descending=True, stable=True)
        best_score, best_item = best_score[:, :k], item.gather(1, order[:, :k])
    return best_item.cpu().numpy(), best_score.cpu().numpy()


def best_of(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k highest scores of each row and their columns; of equal ones the lower column is first.

    ``torch.topk`` alone leaves open which of equal scores it takes and in which order.

    Args:
        scores: (rows, columns) float, no NaN.
        k: At least 1.

    Returns:
        Two tensors (rows, min(k, columns)).
    """
    if scores.shape[1] <= k:
        return scores.sort(dim=1, descending=True, stable=True)
    score, column = scores.topk(k + 1, dim=1)
    is_open = score[:, k - 1] == score[:, k]  # the last that is in equals the first that is out
    column = column[:, :k].sort(dim=1).values
    score, order = scores.gather(1, column).sort(dim=1, descending=True, stable=True)
    column = column.gather(1, order)
    if is_open.any():
        exact, order = scores[is_open].sort(dim=1, descending=True, stable=True)
        score[is_open], column[is_open] = exact[:, :k], order[:, :k]
    return score, column
