"""The choice of one grid point, by validation alone."""

import polars as pl

from ace_steps.config.grid import Cell, Run
from ace_steps.evaluation.metrics import mean_metric
from ace_steps.io.tables import SELECTION


def validation_score(ranks: pl.DataFrame, metric: str, cutoff: int) -> float:
    """The mean of metric@cutoff over the validation rows of the table ``ranks`` of one run."""
    valid = ranks.filter(pl.col("split") == "valid")
    return mean_metric(valid["rank"].to_numpy(), metric, cutoff)


def selection_table(
    cell: Cell, scores: dict[Run, float], *, metric: str, cutoff: int
) -> pl.DataFrame:
    """The table ``selection`` of one cell: its grid points, and the best of them chosen.

    Args:
        cell: What the choice is made in.
        scores: The validation score of each grid point's run, in the order of the configuration;
            of equal scores the first is chosen.
        metric: What the scores are.
        cutoff: K of metric@K, in items.

    Raises:
        ValueError: there is no grid point to choose from.
    """
    chosen = max(scores, key=scores.get)  # the first of the best
    shared = {**cell._asdict(), "metric": metric, "cutoff": cutoff}
    rows = [
        {**shared, **run._asdict(), "value": value, "is_chosen": run == chosen}
        for run, value in scores.items()
    ]
    return pl.DataFrame(rows).select(SELECTION.schema.names)


def chosen_run(selection: pl.DataFrame) -> Run:
    """The chosen grid point of one cell's table ``selection``, on the seed it was chosen on."""
    (row,) = selection.filter("is_chosen").select(Run._fields).rows()
    return Run(*row)
