"""A backbone with its item encoder: how it gets item vectors from what a refinement hands over.

A refinement's vectors start a trainable table, or stay frozen under layers that are trained. Which
of them is written in the vectors' provenance, ``facts["item_encoder"]``, as the arguments of one of
the kinds below.

Every item encoder is called without arguments for all (n_items + 1, dim) item vectors, row 0 the
padding's zeros, or with the (k,) rows that a step needs, ascending from row 0, for those alone.
"""

from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, TypeAdapter, ValidationError
from torch import Tensor, nn

from ace_steps.backbones.network import Network
from ace_steps.backbones.settings import BackboneSettings
from ace_steps.errors import InputError
from ace_steps.io.tables import PADDING
from ace_steps.registry import BACKBONES
from ace_steps.runtime import derive_seed
from ace_steps.settings import Count, NonNegativeCount, Positive, Settings

ACTIVATIONS = {"identity": nn.Identity, "relu": nn.ReLU, "leaky_relu": nn.LeakyReLU}
ROWS_AT_ONCE = 2**14  # items under frozen layers, where no gradient is needed
Parts = Annotated[list[Count], Field(min_length=1)]


class TableKind(Settings):
    """The vectors start a table that is trained in full."""

    kind: Literal["table"]


class DrawnTableKind(Settings):
    """A table of the vectors' shape, drawn from N(0, std^2) anew for each seed, trained in full."""

    kind: Literal["drawn_table"]
    std: Positive


class MlpKind(Settings):
    """Frozen matrices of equal dims under one shared network of two layers; its outputs' sum."""

    kind: Literal["mlp"]
    parts: Parts
    hidden: Count
    width: Count
    activation: Literal[tuple(ACTIVATIONS)]


class PartlyTrainableKind(Settings):
    """Frozen vectors plus a trained table on their last columns, drawn from N(0, std^2)."""

    kind: Literal["partly_trainable"]
    parts: Parts
    width: Count
    trainable_last: NonNegativeCount
    std: Positive


KINDS = TypeAdapter(
    Annotated[
        TableKind | DrawnTableKind | MlpKind | PartlyTrainableKind, Field(discriminator="kind")
    ]
)


class TrainableTable(nn.Module):
    """A table of item vectors, trained in full."""

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.table = nn.Parameter(matrix)

    def forward(self, rows: Tensor | None = None) -> Tensor:
        """(n_items + 1 or k, dim); row 0 gets no gradient."""
        return self.table if rows is None else F.embedding(rows, self.table)


class FrozenMlp(nn.Module):
    """Frozen matrices through one trained two-layer network, summed."""

    def __init__(self, matrix: Tensor, kind: MlpKind, generator: torch.Generator) -> None:
        super().__init__()
        self.register_buffer("frozen", matrix[PADDING + 1 :], persistent=False)
        self.part = kind.parts[0]
        self.to_hidden = nn.Linear(self.part, kind.hidden)
        self.activation = ACTIVATIONS[kind.activation]()
        self.to_width = nn.Linear(kind.hidden, kind.width)
        for layer in (self.to_hidden, self.to_width):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            nn.init.zeros_(layer.bias)

    def forward(self, rows: Tensor | None = None) -> Tensor:
        """(n_items + 1 or k, dim); row 0 is zero."""
        frozen = self.frozen if rows is None else self.frozen[rows[1:] - (PADDING + 1)]
        # With gradients the layers' inner states are kept anyway; without, only of some rows.
        n_pieces = 1 if torch.is_grad_enabled() else -(-len(frozen) // ROWS_AT_ONCE)
        vectors = [self._summed(piece) for piece in frozen.tensor_split(max(1, n_pieces))]
        return F.pad(torch.cat(vectors), (0, 0, 1, 0))

    def _summed(self, rows: Tensor) -> Tensor:
        """(items, dim): every matrix's part of the rows through the layers, summed."""
        return torch.stack([self._mapped(part) for part in rows.split(self.part, dim=1)]).sum(dim=0)

    def _mapped(self, part: Tensor) -> Tensor:
        """(items, dim) of one matrix; without an activation the layers are multiplied first."""
        if not isinstance(self.activation, nn.Identity):
            return self.to_width(self.activation(self.to_hidden(part)))
        weight = self.to_width.weight @ self.to_hidden.weight
        return F.linear(part, weight, self.to_width(self.to_hidden.bias))


class PartlyTrainableTable(nn.Module):
    """Frozen vectors, plus trained ones on their last columns."""

    def __init__(
        self, matrix: Tensor, kind: PartlyTrainableKind, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.register_buffer("frozen", matrix, persistent=False)
        self.trained = nn.Parameter(_drawn((len(matrix), kind.trainable_last), kind.std, generator))

    def forward(self, rows: Tensor | None = None) -> Tensor:
        """(n_items + 1 or k, dim); row 0 is zero."""
        frozen, trained = self.frozen, self.trained
        if rows is not None:
            frozen, trained = frozen[rows], F.embedding(rows, trained)
        return frozen + F.pad(trained, (frozen.shape[1] - trained.shape[1], 0))


def _drawn(shape: tuple[int, int], std: float, generator: torch.Generator) -> Tensor:
    """Entries from N(0, std^2) below a zero row for the padding."""
    drawn = torch.empty(shape).normal_(0, std, generator=generator)
    drawn[PADDING] = 0
    return drawn


def build_item_encoder(
    matrix: Tensor, description: dict, dim: int, generator: torch.Generator
) -> nn.Module:
    """The module whose call gives every item's vector.

    Args:
        matrix: (n_items + 1, d) float32, row 0 (padding) zero.
        description: What ``facts["item_encoder"]`` of the vectors says.
        dim: The backbone's.
        generator: Source of the weights that are drawn.

    Raises:
        InputError: an unknown kind, a description that does not fit the matrix, or another dim.
    """
    try:
        kind = KINDS.validate_python(description)
    except ValidationError as refusal:
        reason = refusal.errors(include_url=False)[0]
        place = ".".join(["item_encoder", *map(str, reason["loc"])])
        raise InputError(f"item vectors: {place}: {reason['msg']}.") from None
    columns, out_dim = getattr(kind, "parts", None), getattr(kind, "width", matrix.shape[1])
    if columns and (sum(columns) != matrix.shape[1] or len(set(columns)) > 1):
        raise InputError(
            f"item vectors: expected parts of equal dims, {matrix.shape[1]} in all, got {columns}."
        )
    if out_dim != dim:
        raise InputError(f"item vectors: expected the backbone's dim {dim}, got {out_dim}.")
    if kind.kind == "table":
        return TrainableTable(matrix.clone())
    if kind.kind == "drawn_table":
        return TrainableTable(_drawn(matrix.shape, kind.std, generator))
    module = FrozenMlp if kind.kind == "mlp" else PartlyTrainableTable
    return module(matrix, kind, generator)


class Recommender(nn.Module):
    """An item encoder and a sequence network; the score of an item is an inner product."""

    def __init__(self, items: nn.Module, network: Network) -> None:
        super().__init__()
        self.items, self.network = items, network


def build_recommender(
    matrix: Tensor, description: dict[str, Any], settings: BackboneSettings, seed: int
) -> Recommender:
    """A fresh recommender on the CPU; the same seed draws the same weights.

    ``matrix`` and ``description`` as in ``build_item_encoder``.

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
