"""Random init: the plain backbone's table."""

from collections.abc import Callable
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from ace_steps.refine.methods import FactoredVectors, PreparedRefinement, RefinementSettings
from ace_steps.settings import Grid, Positive, Seed


class RandomSettings(RefinementSettings):
    """Random init: a table drawn from N(0, std^2), anew for each seed; the plain backbone."""

    uses_encoder: ClassVar[bool] = False
    is_bound_by_rank: ClassVar[bool] = False

    method: Literal["random"] = "random"
    std: Grid[Positive] = Field(0.02, description="Standard deviation of the entries.")
    seed: Seed = Field(
        0,
        description="Seed of the example whose geometry is reported; a training draws its table "
        "with its run's own seed.",
    )


def random(settings: RandomSettings, vectors: FactoredVectors) -> PreparedRefinement:
    """N(0, std^2), whatever the item vectors are: an example, whose geometry is reported."""

    def start() -> Callable[[np.ndarray], np.ndarray]:
        generator = np.random.default_rng(settings.seed)
        return lambda rows: settings.std * generator.standard_normal((len(rows), settings.dim))

    return PreparedRefinement(
        start=start,
        dim=settings.dim,
        spectrum=vectors.raw.singular_values,
        gain=None,
        item_encoder={"kind": "drawn_table", "std": settings.std},
        facts={"scale": settings.std},
    )
