"""Ranks of held-out targets over the whole catalogue, by counting and never by sorting."""

from dataclasses import dataclass

import numpy as np
import polars as pl
import torch
from torch import Tensor

from ace_steps.backbones.network import Network
from ace_steps.backbones.recommender import Recommender
from ace_steps.evaluation.counting import count_better
from ace_steps.io.shards import shard_rows
from ace_steps.sequences.batches import gather
from ace_steps.sequences.histories import Histories, Targets, some_of

TIE_SHARES = {"optimistic": 0.0, "expected": 0.5, "pessimistic": 1.0}
USERS_AT_ONCE = {"cpu": 2**12, "cuda": 2**16}  # a block: its queries are held, no shard splits it
POSITIONS_AT_ONCE = {"cpu": 2**11, "cuda": 2**18}  # of histories in one forward pass


@dataclass(frozen=True)
class Ranks:
    """Ranks of targets, one a row: ``rank`` (n,) float64 from 1, ``n_ties`` (n,) int32."""

    rank: np.ndarray
    n_ties: np.ndarray


@torch.inference_mode()
def rank_targets(
    recommender: Recommender,
    histories: Histories,
    targets: Targets,
    *,
    tie_policy: str,
    mask_seen: bool,
) -> Ranks:
    """The rank of every target among all items: ``1 + n_greater + share * n_ties``.

    ``n_ties`` counts the other items with exactly the target's score; the share of them that is
    put before it is 0 (optimistic), 1/2 (expected: the mean over all orders) or 1 (pessimistic).

    Args:
        recommender: In evaluation mode; its device is where the scores are made.
        histories: All events.
        targets: What to rank, with the history before each.
        tie_policy: ``expected``, ``optimistic`` or ``pessimistic``.
        mask_seen: Leave out the items of the user's history, except the target itself.

    Raises:
        InputError: a query or an item vector is not finite, so that the ranking would be arbitrary.

    Cost:
        One product of targets x items x width. Memory is the item vectors, the queries of one block
        of users and one block of scores, whatever the number of users and items.
    """
    items = recommender.items()
    scored = recommender.network.scored_items(items)
    ranks = [np.empty((2, 0), np.int64)]
    step = USERS_AT_ONCE[items.device.type]
    for start in range(0, len(targets.user), step):
        some = some_of(targets, np.arange(start, min(start + step, len(targets.user))))
        queries = next_queries(recommender.network, items, histories, some)
        ranks.append(count_better(queries, scored, histories if mask_seen else None, some))
    n_greater, n_ties = np.concatenate(ranks, axis=1)
    rank = 1.0 + n_greater + TIE_SHARES[tie_policy] * n_ties
    return Ranks(rank=rank, n_ties=n_ties.astype(np.int32))


def targets_of_shard(targets: Targets, shard: str, device: str) -> Targets:
    """The targets of one of several jobs, e.g. 2-of-4; none where there are more jobs than blocks.

    Whole blocks of users: which users share a product decides its last digits, so that the ranks
    are the same whatever the number of shards.

    Args:
        targets: All of a split.
        shard: Which part, counted from 1.
        device: Its type, ``cpu`` or ``cuda``.

    Raises:
        InputError: the shard is not of that form.
    """
    step = USERS_AT_ONCE[device]
    blocks = shard_rows(shard, -(-len(targets.user) // step))
    stop = min(blocks.stop * step, len(targets.user))
    return some_of(targets, np.arange(min(blocks.start * step, stop), stop))


def ranks_table(
    ranks: Ranks, targets: Targets, *, split: str, train_counts: np.ndarray
) -> pl.DataFrame:
    """The columns of the table ranks, but for the run's identity.

    Args:
        ranks: Of the targets.
        targets: What was ranked.
        split: ``valid`` or ``test``.
        train_counts: (n_items,) train events of each item, item 1 first.
    """
    columns = {
        "user": targets.user.astype(np.int32),
        "item": targets.item.astype(np.int32),
        "rank": ranks.rank,
        "n_ties": ranks.n_ties,
        "history_length": targets.length.astype(np.int32),
        "target_train_count": train_counts[targets.item - 1].astype(np.int32),
    }
    return pl.DataFrame(columns).with_columns(split=pl.lit(split))


def next_queries(network: Network, items: Tensor, histories: Histories, targets: Targets) -> Tensor:
    """(n, query width) queries, made in batches of histories of like length.

    Args:
        network: In evaluation mode.
        items: (n_items + 1, width) item vectors, row 0 zero.
        histories: All events.
        targets: Which of them stand before each query; ``item`` is not read.
    """
    length = np.minimum(targets.length, network.longest_history)
    start = targets.start + targets.length - length
    order = np.argsort(-length, kind="stable")  # longest first: the first row bounds a batch
    queries, done = [], 0
    while done < len(order):
        n_rows = max(1, POSITIONS_AT_ONCE[items.device.type] // int(length[order[done]]))
        rows = order[done : done + n_rows]
        history = torch.from_numpy(gather(histories.items, start[rows], length[rows]))
        lengths = torch.from_numpy(length[rows]).to(items.device)
        queries.append(network.next_queries(history.to(items.device), lengths, items))
        done += len(rows)
    back = torch.from_numpy(np.argsort(order)).to(items.device)
    return torch.cat(queries)[back]
