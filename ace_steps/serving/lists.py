"""What is written for users and for an index, in pieces: lists of items, item vectors, queries."""

import logging
from collections.abc import Iterator

import numpy as np
import polars as pl
from torch import Tensor

from ace_steps.evaluation.ranking import check_finite
from ace_steps.io.tables import PADDING
from ace_steps.progress import counted
from ace_steps.serving.top import Top, query_pieces, top_items
from ace_steps.serving.trained import Trained
from ace_steps.serving.users import Asked

log = logging.getLogger(__name__)

ROWS_AT_ONCE = 1_000_000  # of recommendations in memory
ITEMS_AT_ONCE = 65_536

Rows = tuple[dict[str, object], np.ndarray]  # key columns by name, and their vectors


def list_pieces(
    trained: Trained, asked: Asked, *, k: int, mask_seen: bool
) -> Iterator[pl.DataFrame]:
    """Rows of the table ``recommendations``, about a million at once, in the order of the users.

    A user has fewer than k rows where fewer items are left.

    Args:
        trained: Who is asked; on the device to compute on.
        asked: For whom.
        k: Items per user, at least 1.
        mask_seen: Leave out the items of a user's own history.
    """
    tops = top_items(trained.recommender, asked.histories, asked.targets, k=k, mask_seen=mask_seen)
    held: list[Top] = []
    n_done = n_held = 0
    for top in counted(tops, lambda top: len(top.item), len(asked.user_ids), "users", log):
        held.append(top)
        n_held += len(top.item)
        if n_held * k >= ROWS_AT_ONCE:
            yield _rows(held, asked.user_ids[n_done : n_done + n_held], trained.item_ids)
            held, n_done, n_held = [], n_done + n_held, 0
    if held:
        yield _rows(held, asked.user_ids[n_done:], trained.item_ids)


def item_pieces(scored: Tensor, item_ids: pl.Series) -> Iterator[Rows]:
    """Keys and vectors of all items.

    Args:
        scored: (n_items + 1, query width) what queries are multiplied with, row 0 the padding.
        item_ids: Raw ids in the order of the item index, from 1.
    """
    rows = scored[PADDING + 1 :]
    for start in range(0, len(rows), ITEMS_AT_ONCE):
        matrix = rows[start : start + ITEMS_AT_ONCE].cpu().numpy()
        index = np.arange(start + 1, start + 1 + len(matrix), dtype=np.int32)
        yield {"item": index, "item_id": item_ids[start : start + len(matrix)].to_arrow()}, matrix


def user_pieces(trained: Trained, asked: Asked, scored: Tensor) -> Iterator[Rows]:
    """Keys and queries of the users, in their order.

    Raises:
        InputError: a query, or a row of ``scored``, is not finite.
    """
    pieces = query_pieces(trained.recommender, asked.histories, asked.targets)
    done = 0
    for some, queries in counted(pieces, lambda it: len(it[1]), len(asked.user_ids), "users", log):
        ids = asked.user_ids[done : done + len(some.user)]
        done += len(some.user)
        check_finite(queries, scored)
        yield {"user_id": ids.to_arrow()}, queries.cpu().numpy()


def _rows(tops: list[Top], user_ids: pl.Series, item_ids: pl.Series) -> pl.DataFrame:
    item = np.concatenate([top.item for top in tops])
    score = np.concatenate([top.score for top in tops])
    user, place = np.divmod(np.arange(item.size), item.shape[1])
    is_left = (score > -np.inf).reshape(-1)
    columns = {
        "user_id": user_ids.gather(user[is_left]),
        "rank": (place[is_left] + 1).astype(np.int32),
        "item_id": item_ids.gather(item.reshape(-1)[is_left] - 1),
        "score": score.reshape(-1)[is_left],
    }
    return pl.DataFrame(columns)
