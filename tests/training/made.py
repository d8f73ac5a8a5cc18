"""Small histories, vectors and settings that the tests of training share."""

import json

import numpy as np
import polars as pl
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ace_steps.backbones.recommender import Recommender
from ace_steps.backbones.settings import parse_backbone
from ace_steps.sequences.histories import Histories, read_histories

N_ITEMS = 30
WIDTH = 8

# Item encoders: what refinements write beside vectors of that width.
TABLE = {"kind": "table"}
PARTLY = {"kind": "partly_trainable", "parts": [8], "width": 8, "trainable_last": 4, "std": 1.0}
MLP = {"kind": "mlp", "parts": [8], "hidden": 12, "width": 8, "activation": "relu"}

TRAINING = {"batch_size": 8, "lr": 0.01, "epochs": 4, "patience": 3}
COMMON = {"dim": WIDTH, "max_length": 6}
SMALL = {
    "sasrec": {"model": "sasrec", **COMMON, "inner_dim": 16},
    "gru4rec": {"model": "gru4rec", **COMMON, "hidden_dim": 10},
    "bert4rec": {"model": "bert4rec", **COMMON, "inner_dim": 16},
}


def settings_json(model: str = "sasrec", dropout: float = 0.5, **training: object) -> str:
    """Settings of a small backbone as JSON, some training keys changed."""
    changed = {"dropout": dropout, "training": {**TRAINING, **training}}
    return json.dumps({**SMALL[model], **changed})


def small_settings(model: str = "sasrec", dropout: float = 0.5, **training: object):
    """Settings of a small backbone."""
    return parse_backbone(settings_json(model, dropout, **training), "settings")


def interactions_of(histories: list[list[int]]) -> pl.DataFrame:
    """The table interactions of histories: leave one out where there are three events or more."""
    rows = [
        (user, position, item, position, _split(position, len(items)))
        for user, items in enumerate(histories)
        for position, item in enumerate(items)
    ]
    names = ["user", "position", "item", "timestamp", "split"]
    return pl.DataFrame(rows, schema=names, orient="row").with_columns(
        pl.col("user", "position", "item").cast(pl.Int32)
    )


def random_interactions(n_users: int = 40, seed: int = 0) -> pl.DataFrame:
    """Histories of 3 to 20 events; most follow an item with the next one, so there is a pattern."""
    rng = np.random.default_rng(seed)
    histories = []
    for length in rng.integers(3, 21, n_users):
        steps = np.where(rng.random(length) < 0.8, 1, rng.integers(1, N_ITEMS, length))
        histories.append(list(np.cumsum(steps) % N_ITEMS + 1))
    return interactions_of(histories)


def random_histories(n_users: int = 40, seed: int = 0) -> Histories:
    """The histories of ``random_interactions``."""
    return read_histories(random_interactions(n_users, seed), N_ITEMS)


def random_matrix(width: int = WIDTH, n_items: int = N_ITEMS) -> torch.Tensor:
    """Item vectors with a zero row for the padding."""
    drawn = 0.3 * torch.randn(n_items, width, generator=torch.Generator().manual_seed(1))
    return torch.cat([torch.zeros(1, width), drawn])


def answers(recommender: Recommender, rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Queries (rows, length, query dim) of histories, and (n_items + 1, query dim) items."""
    items = recommender.items()
    network = recommender.network
    return network(torch.tensor(rows), items, None), network.scored_items(items)


class OneARow:
    """In place of a network that reads one window a row."""

    can_pack = False


class Largest(TorchDispatchMode):
    """Within ``with``, the number of entries of the largest tensor that any operation makes."""

    n_entries = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for each in made if isinstance(made, list | tuple) else [made]:
            if isinstance(each, torch.Tensor):
                self.n_entries = max(self.n_entries, each.numel())
        return made


def _split(position: int, length: int) -> str:
    if length < 3 or position < length - 2:
        return "train"
    return "valid" if position == length - 2 else "test"
