"""A backbone with its item encoder."""

import torch
from torch import Tensor, nn

from ace_steps.backbones.item_encoders import build_item_encoder
from ace_steps.backbones.network import Network
from ace_steps.backbones.settings import BackboneSettings
from ace_steps.registry import BACKBONES
from ace_steps.runtime import derive_seed


class Recommender(nn.Module):
    """An item encoder and a sequence network; the score of an item is an inner product.

    Attributes:
        items: Called without arguments, the (n_items + 1, dim) item vectors, row 0 zero; with
            rows, those alone.
        network: Called with histories and item vectors, the queries.
    """

    def __init__(self, items: nn.Module, network: Network) -> None:
        super().__init__()
        self.items, self.network = items, network


def build_recommender(
    matrix: Tensor, description: dict, settings: BackboneSettings, seed: int
) -> Recommender:
    """A fresh recommender, on the CPU.

    Args:
        matrix: (n_items + 1, d) float32 vectors of the refinement, row 0 (padding) zero.
        description: How the vectors are used; see ``build_item_encoder``.
        settings: The backbone's settings.
        seed: The run's seed; the same seed draws the same weights.

    Raises:
        InputError: the vectors do not fit their description or the backbone.
    """
    network_class = BACKBONES[settings.model].implementation()
    with torch.random.fork_rng(devices=[]):  # torch's layers draw weights before we draw ours
        generator = torch.Generator().manual_seed(derive_seed(seed, "init/items"))
        items = build_item_encoder(matrix, description, settings.dim, generator)
        generator = torch.Generator().manual_seed(derive_seed(seed, "init/network"))
        network = network_class(settings, len(matrix) - 1, generator)
    return Recommender(items, network)
