"""How a backbone gets its item vectors from what a refinement hands over.

A refinement's vectors start a trainable table, or stay frozen under layers that are trained. Which
of them is written in the vectors' provenance, ``facts["item_encoder"]``.

Every module is called without arguments for all (n_items + 1, dim) item vectors, row 0 the
padding's zeros, or with the (k,) rows that a step needs, ascending from row 0, for those alone.
"""

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, ValidationError
from torch import Tensor, nn

from ace_steps.errors import InputError
from ace_steps.io.tables import PADDING
from ace_steps.settings import Count, Positive, Settings
from ace_steps.validation import unknown

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
    """Frozen matrices under one shared network of two layers; the outputs are summed."""

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
    trainable_last: Annotated[int, Field(ge=0)]
    std: Positive


class TrainableTable(nn.Module):
    """A table of item vectors, trained in full."""

    def __init__(self, matrix: Tensor, kind: TableKind, generator: torch.Generator) -> None:
        super().__init__()
        self.table = nn.Parameter(matrix.clone())
        self.width = matrix.shape[1]

    def forward(self, rows: Tensor | None = None) -> Tensor:
        """(n_items + 1 or k, dim); row 0 is zero and gets no gradient."""
        return self.table if rows is None else F.embedding(rows, self.table)


class DrawnTable(TrainableTable):
    """A table drawn with the run's seed; of the vectors it takes the shape alone."""

    def __init__(self, matrix: Tensor, kind: DrawnTableKind, generator: torch.Generator) -> None:
        drawn = torch.empty_like(matrix).normal_(0, kind.std, generator=generator)
        drawn[PADDING] = 0
        super().__init__(drawn, kind, generator)


class FrozenMlp(nn.Module):
    """Frozen matrices through one trained two-layer network, summed."""

    def __init__(self, matrix: Tensor, kind: MlpKind, generator: torch.Generator) -> None:
        super().__init__()
        if len(set(kind.parts)) > 1:
            raise InputError(f"item vectors: parts of different widths {kind.parts} share no MLP.")
        self.register_buffer("frozen", matrix[PADDING + 1 :], persistent=False)
        self.part, self.width = kind.parts[0], kind.width
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
        self.width = kind.width
        if not kind.trainable_last <= kind.width:
            raise InputError(
                f"item vectors: {kind.trainable_last} trainable columns of {kind.width}."
            )
        self.register_buffer("frozen", matrix, persistent=False)
        trained = torch.empty(len(matrix), kind.trainable_last)
        nn.init.normal_(trained, std=kind.std, generator=generator)
        trained[PADDING] = 0
        self.trained = nn.Parameter(trained)

    def forward(self, rows: Tensor | None = None) -> Tensor:
        """(n_items + 1 or k, dim); row 0 is zero."""
        frozen, trained = self.frozen, self.trained
        if rows is not None:
            frozen, trained = frozen[rows], F.embedding(rows, trained)
        return frozen + F.pad(trained, (self.width - trained.shape[1], 0))


ITEM_ENCODERS = {
    "table": (TrainableTable, TableKind),
    "drawn_table": (DrawnTable, DrawnTableKind),
    "mlp": (FrozenMlp, MlpKind),
    "partly_trainable": (PartlyTrainableTable, PartlyTrainableKind),
}


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
    name = str(description.get("kind"))
    if name not in ITEM_ENCODERS:
        raise InputError(f"item vectors: {unknown('item encoder', name, set(ITEM_ENCODERS))}")
    module, model = ITEM_ENCODERS[name]
    try:
        kind = model.model_validate(description)
    except ValidationError as refusal:
        reason = refusal.errors(include_url=False)[0]
        place = ".".join(str(part) for part in reason["loc"])
        raise InputError(
            f"item vectors: item encoder '{name}': {place}: {reason['msg']}."
        ) from None
    n_columns = sum(getattr(kind, "parts", [matrix.shape[1]]))
    if n_columns != matrix.shape[1]:
        raise InputError(
            f"item vectors: expected dim {n_columns}, their parts' sum, got {matrix.shape[1]}."
        )
    encoder = module(matrix, kind, generator)
    if encoder.width != dim:
        raise InputError(f"item vectors: expected the backbone's dim {dim}, got {encoder.width}.")
    return encoder
