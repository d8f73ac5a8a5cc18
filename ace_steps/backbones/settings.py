"""Settings that every backbone shares; a model's own settings class stands in its file."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ace_steps.registry import BACKBONES
from ace_steps.settings import (
    Count,
    Grid,
    NonNegative,
    NonNegativeCount,
    Positive,
    Settings,
    parse_named,
)

Dropout = Annotated[float, Field(ge=0, lt=1)]
Metric = Literal["recall", "ndcg", "mrr"]
Cutoff = Literal[1, 5, 10, 20, 50]


class TrainingSettings(Settings):
    """How a backbone is trained, alike for all of them."""

    train_targets: Literal["all", "last"] = Field(
        "all",
        description="all: every train event after a user's first is a target, in one pass over the "
        "history; last: only each user's last train event.",
    )
    window_stride: Grid[Count] | None = Field(
        None,
        description="Events between the ends of the windows that cover a history longer than "
        "max_length, 1 to max_length; null is half of max_length. Every target is trained once; "
        "beyond the first window it sees at least its latest max_length - window_stride + 1 "
        "events. 1 is prefix-by-prefix augmentation exactly, at its cost; max_length encodes no "
        "event twice.",
    )
    num_negatives: Grid[NonNegativeCount] = Field(
        0,
        description="0: softmax over the whole catalog. Otherwise the items drawn for each step, "
        "by their train counts, that the targets are compared with instead, corrected for how "
        "likely each was drawn; for catalogs too large for the whole softmax.",
    )
    batch_size: Grid[Count] = Field(
        256, description="Histories (or windows of long ones) of one step."
    )
    optimizer: Literal["adam", "adamw"] = Field(
        "adam",
        description="adam adds the weight decay to the gradient, adamw takes it off the weights.",
    )
    lr: Grid[Positive] = Field(0.001, description="Learning rate.")
    weight_decay: Grid[NonNegative] = Field(
        0.0,
        description="Pull of weight matrices and item vectors towards 0; biases and layer norms "
        "have none.",
    )
    warmup_steps: Grid[NonNegativeCount] = Field(
        0, description="Steps over which the learning rate grows linearly from 0."
    )
    lr_schedule: Grid[Literal["constant", "linear"]] = Field(
        "constant",
        description="The learning rate after the warm-up: constant, or linear down to zero at the "
        "end of `epochs`, which then says how long a training is meant to be.",
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="Arithmetic of the matrix products in training: on a GPU of all, on a CPU of "
        "those with the catalog and of an item encoder's layers, which are most of the work. "
        "bfloat16 halves their cost where the hardware has it; where it has not, float32 is "
        "computed in and the log says so. Weights, sums and the ranking stay float32.",
    )
    epochs: Count = Field(200, description="Most passes over the training targets.")
    patience: Count = Field(
        10, description="Epochs without a better validation value after which training ends."
    )
    metric: Metric = Field(
        "ndcg",
        description="Metric on the validation items that chooses the epoch and ends the training.",
    )
    cutoff: Cutoff = Field(10, description="K of that metric@K, in items.")


class RankingSettings(Settings):
    """How held-out items are ranked among all items."""

    tie_policy: Literal["expected", "optimistic", "pessimistic"] = Field(
        "expected",
        description="Share of the items with exactly the held-out item's score that count as "
        "better: none (optimistic), half (expected) or all (pessimistic).",
    )
    mask_seen: bool = Field(
        False, description="Leave the items of a user's own history out of the ranking."
    )


class BackboneSettings(Settings):
    """Base of a backbone's settings: what the shared loop and the ranking need."""

    model: str
    dim: Count = Field(
        128, description="Dimensions of an item's vector and of a query; the refinement's."
    )
    max_length: Grid[Count] = Field(
        50, description="Latest events of a history that the model encodes."
    )
    dropout: Dropout = Field(
        0.5,
        description="Share of entries put to 0 at random in training. One value, so that all "
        "refinements are compared under the same; another is another entry.",
    )
    training: TrainingSettings = Field(TrainingSettings(), description="How it is trained.")
    ranking: RankingSettings = Field(
        RankingSettings(), description="How held-out items are ranked."
    )

    @model_validator(mode="after")
    def _window_stride_within_history(self) -> "BackboneSettings":
        shortest = min(_values(self.max_length))
        for stride in _values(self.training.window_stride or 1):
            if stride > shortest:
                raise ValueError(
                    f"training.window_stride: expected at most max_length {shortest}, got {stride}"
                )
        return self

    def window_stride(self) -> int:
        """Events between the ends of the windows of a long history."""
        return self.training.window_stride or max(1, self.max_length // 2)


class TransformerSettings(BackboneSettings):
    """Base of the settings of a backbone built from attention layers."""

    num_layers: Grid[Count] = Field(2, description="Attention layers on top of each other.")
    num_heads: Grid[Count] = Field(2, description="Attention heads of a layer; divides dim.")
    inner_dim: Grid[Count] = Field(
        256, description="Dimensions inside a layer's feed-forward part."
    )
    attention_dropout: Dropout = Field(
        0.3, description="Share of attention weights put to 0 at random in training."
    )

    @model_validator(mode="after")
    def _heads_divide_dim(self) -> "TransformerSettings":
        for heads in _values(self.num_heads):
            if self.dim % heads:
                divisors = [n for n in range(1, min(self.dim, 64) + 1) if self.dim % n == 0]
                choices = ", ".join(map(str, divisors[:8]))
                raise ValueError(
                    f"num_heads: dim {self.dim} is not divisible by {heads}; choose one of "
                    f"{choices}"
                )
        return self


def parse_backbone(text: str, where: str) -> BackboneSettings:
    """The settings of one backbone, of the class that its key ``model`` chooses.

    Raises:
        InputError: not a JSON object, an unknown model, or settings that are refused.
    """
    return parse_named(BACKBONES, "model", text, where)


def _values(value: Any) -> list:
    """Every value of a key that may be a grid."""
    return value if isinstance(value, list) else [value]
