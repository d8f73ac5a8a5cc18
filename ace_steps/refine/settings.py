"""Keys that refinements share; a method's own settings class stands in its file."""

from typing import Annotated, ClassVar

from pydantic import Field

from ace_steps.settings import Count, Grid, Positive, Settings

Gamma = Annotated[
    Grid[Positive],
    Field(description="Standard deviation over all entries of the refined vectors."),
]
FrozenGamma = Annotated[
    Grid[Positive] | None,
    Field(
        description="Standard deviation over all entries of the frozen vectors; null leaves them "
        "as the method makes them."
    ),
]
Center = Annotated[bool, Field(description="Subtract the mean item vector before anything else.")]


class RefinementSettings(Settings):
    """Base of every refinement's settings.

    Attributes:
        uses_encoder: False for a method whose vectors know nothing of the encoder's; it runs with
            the first encoder and stands for the others.
        is_bound_by_rank: Whether a refined vector has at most as many dimensions as the encoder's.
    """

    uses_encoder: ClassVar[bool] = True
    is_bound_by_rank: ClassVar[bool] = True

    method: str
    dim: Count = Field(
        128,
        description="Dimensions of a refined vector, the backbone's; at most the vectors' rank.",
    )

    def refusal_of(self, encoder_dim: int) -> str | None:
        """Why vectors of an encoder cannot be refined so, where that is known from their dim."""
        if self.is_bound_by_rank and self.dim > encoder_dim:
            return (
                f"dim: expected at most the encoder's {encoder_dim}, got {self.dim}; set dim at "
                "the top"
            )
        return None
