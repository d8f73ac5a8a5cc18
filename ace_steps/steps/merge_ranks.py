r"""Join the shards' ranks to the ranks of a run.

python -m ace_steps.steps.merge_ranks --shards shards/1-of-2.parquet shards/2-of-2.parquet \
    --ranks ranks.parquet
"""

import logging
from pathlib import Path

from ace_steps import command
from ace_steps.evaluation.ranks import join_ranks
from ace_steps.io import parquet
from ace_steps.io.tables import RANKS

log = logging.getLogger(__name__)


def run(*, shards: list[Path], ranks: Path) -> None:
    """Check that the shards belong together, write their rows as one table."""
    table, note = join_ranks(shards)
    parquet.write_table(table, RANKS, ranks, note)
    log.info("joined %d ranks from %d shards", len(table), len(shards))


def main(argv: list[str] | None = None) -> int:
    """Parse the options and run the step; the exit code."""
    options = command.parser(__doc__)
    options.add_argument(
        "--shards", type=Path, nargs="+", required=True, help="ranks of every shard of the users"
    )
    options.add_argument("--ranks", type=Path, required=True, help="table ranks to write")
    return command.execute(run, options.parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())
