"""The best items of each user, and vectors for an index, in blocks: no table of all scores."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import polars as pl
import torch
from torch import Tensor

from ace_steps.backbones.recommender import Recommender
from ace_steps.errors import InputError
from ace_steps.evaluation.ranking import (
    SCORE_ROWS,
    ItemBlocks,
    SeenItems,
    check_finite,
    next_queries,
    user_blocks,
)
from ace_steps.io.parquet import read_table
from ace_steps.io.provenance import Provenance, digests
from ace_steps.io.tables import PADDING, USERS
from ace_steps.progress import counted
from ace_steps.runtime import select_device
from ace_steps.sequences.histories import Histories, Targets
from ace_steps.serving.model import ModelOptions, TrainedModel, read_model
from ace_steps.serving.users import Users, only_listed, users_of_file, users_of_log

log = logging.getLogger(__name__)

ROWS_AT_ONCE = 1_000_000  # of recommendations in memory
ITEMS_AT_ONCE = 65_536

Rows = tuple[dict[str, object], np.ndarray]  # key columns by name, and their vectors


@dataclass(frozen=True, kw_only=True)
class RecommendOptions(ModelOptions):
    """A trained recommender, and whom to recommend to."""

    user_table: Annotated[Path, "table users"]
    users: Annotated[Path | None, "text file, one user id a line: only these"] = None
    histories: Annotated[
        Path | None,
        "Parquet with user_id, item_id, position: recommend to these new users instead",
    ] = None
    skip_unknown: Annotated[
        bool, "leave events of --histories with unknown items out instead of refusing them"
    ] = False


def read_model_and_users(
    step: str, settings: dict, options: RecommendOptions
) -> tuple[TrainedModel, Users, Provenance]:
    """The recommender on its device, the users, and the provenance of what is computed from them.

    Args:
        step: The step's name.
        settings: What its result depends on beside the options.
        options: Of the step.

    Raises:
        InputError: a file or an option cannot be used.
    """
    if options.skip_unknown and options.histories is None:
        raise InputError("--skip-unknown is for --histories, which is not given.")
    model = read_model(options)
    if options.histories is None:
        users = users_of_log(model.inputs.histories, read_table(options.user_table, USERS))
        read = {"user_table": options.user_table}
    else:
        users = users_of_file(options.histories, model.item_ids, skip_unknown=options.skip_unknown)
        read = {"histories": options.histories}
    if options.users is not None:
        users, read = only_listed(users, options.users), read | {"users": options.users}
    if options.map_new_items:
        settings = settings | {"map_new_items": True}
    device = select_device(options.device)  # last, as it may wait: bad input is refused at once
    model.recommender.to(device)
    note = Provenance(
        step,
        {"backbone": model.note.settings, **settings},
        model.note.inputs | digests(**read),
        model.note.facts | {"device": device.type, "metric": "inner_product"},
    )
    return model, users, note


def list_pieces(
    model: TrainedModel, users: Users, *, k: int, mask_seen: bool
) -> Iterator[pl.DataFrame]:
    """Rows of the table ``recommendations``, about a million at once, in the order of the users.

    A user has fewer than k rows where fewer items are left.

    Args:
        model: On the device to compute on.
        users: For whom.
        k: Items per user, at least 1.
        mask_seen: Leave out the items of a user's own history.
    """
    tops = top_items(model.recommender, users.histories, users.targets, k=k, mask_seen=mask_seen)
    held: list[Top] = []
    n_written = n_held = 0
    for top in counted(tops, lambda top: len(top.item), len(users.ids), "users", log):
        held.append(top)
        n_held += len(top.item)
        if n_held * k >= ROWS_AT_ONCE:
            yield _list_rows(held, users.ids[n_written : n_written + n_held], model.item_ids)
            held, n_written, n_held = [], n_written + n_held, 0
    if held:
        yield _list_rows(held, users.ids[n_written:], model.item_ids)


def item_pieces(scored: Tensor, item_ids: pl.Series) -> Iterator[Rows]:
    """Keys and vectors of all items.

    Args:
        scored: (n_items + 1, query dim) what queries are multiplied with, row 0 the padding.
        item_ids: Raw ids in the order of the item index, from 1.
    """
    rows = scored[PADDING + 1 :]
    for start in range(0, len(rows), ITEMS_AT_ONCE):
        matrix = rows[start : start + ITEMS_AT_ONCE].cpu().numpy()
        index = np.arange(start + 1, start + 1 + len(matrix), dtype=np.int32)
        yield {"item": index, "item_id": item_ids[start : start + len(matrix)].to_arrow()}, matrix


def user_pieces(model: TrainedModel, users: Users, scored: Tensor) -> Iterator[Rows]:
    """Keys and queries of the users, in their order.

    Raises:
        InputError: a query, or a row of ``scored``, is not finite.
    """
    pieces = _query_pieces(model.recommender, users.histories, users.targets)
    start = 0
    for _, queries in counted(pieces, lambda it: len(it[1]), len(users.ids), "users", log):
        check_finite(queries, scored)
        ids = users.ids[start : start + len(queries)]
        start += len(queries)
        yield {"user_id": ids.to_arrow()}, queries.cpu().numpy()


class Top(NamedTuple):
    """The best items of some users, the best first.

    Attributes:
        item: (users, k) int64 item indices.
        score: (users, k) float32; -inf where a user has fewer than k items left.
    """

    item: np.ndarray
    score: np.ndarray


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
        One ``Top`` per block of users, in the users' order.

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
    return Top(best_item.cpu().numpy(), best_score.cpu().numpy())


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


def _list_rows(tops: list[Top], user_ids: pl.Series, item_ids: pl.Series) -> pl.DataFrame:
    item = np.concatenate([top.item for top in tops])
    score = np.concatenate([top.score for top in tops])
    user, column = np.divmod(np.arange(item.size), item.shape[1])
    is_left = (score > -np.inf).reshape(-1)
    columns = {
        "user_id": user_ids.gather(user[is_left]),
        "rank": (column[is_left] + 1).astype(np.int32),
        "item_id": item_ids.gather(item.reshape(-1)[is_left] - 1),
        "score": score.reshape(-1)[is_left],
    }
    return pl.DataFrame(columns)
