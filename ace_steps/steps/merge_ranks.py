r"""Join the shards' ranks to the ranks of a run.

python -m ace_steps.steps.merge_ranks --shards shards/1-of-2.parquet shards/2-of-2.parquet \
    --ranks ranks.parquet
"""

from pathlib import Path
from typing import Annotated

from ace_steps.command import log, main_of
from ace_steps.evaluation.ranks import join_ranks
from ace_steps.io import parquet
from ace_steps.io.tables import RANKS


def run(
    *,
    shards: Annotated[list[Path], "ranks of every shard of the users"],
    ranks: Annotated[Path, "table ranks to write"],
) -> None:
    """Check that the shards belong together, write their rows as one table."""
    table, note = join_ranks(shards)
    parquet.write_table(table, RANKS, ranks, note)
    log.info("joined %d ranks from %d shards", len(table), len(shards))


main = main_of(run)

if __name__ == "__main__":
    raise SystemExit(main())
