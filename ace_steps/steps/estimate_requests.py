r"""Estimate requests, tokens and cost of a catalogue's vectors from an API; sends nothing.

python -m ace_steps.steps.estimate_requests --items items.parquet --store resources/vectors \
    --settings "$(cat encoder.json)" --estimate estimate.json
"""

import logging
from dataclasses import asdict
from pathlib import Path

from ace_steps import command
from ace_steps.embed.api_catalogue import estimate as estimate_texts
from ace_steps.embed.settings import RequestVectorsSettings
from ace_steps.embed.store import VectorStore, api_store_key
from ace_steps.embed.texts import distinct_texts
from ace_steps.io.files import write_json
from ace_steps.io.parquet import read_table
from ace_steps.io.tables import ITEMS
from ace_steps.settings import parse

log = logging.getLogger(__name__)


def run(*, items: Path, settings: str, store: Path, estimate: Path) -> None:
    """Read the items, count what is not in the store, write the numbers."""
    wanted = parse(RequestVectorsSettings, settings, "--settings").plain()
    texts = distinct_texts(read_table(items, ITEMS))
    found = estimate_texts(texts, wanted, VectorStore(store / api_store_key(wanted)))
    write_json(estimate, asdict(found))
    log.info("nothing sent: %s", found)


def main(argv: list[str] | None = None) -> int:
    """Parse the options and run the step; the exit code."""
    options = command.parser(__doc__)
    options.add_argument("--items", type=Path, required=True, help="table items")
    options.add_argument("--settings", required=True, help="the encoder's settings as JSON")
    options.add_argument(
        "--store", type=Path, required=True, help="folder of vectors that were paid for before"
    )
    options.add_argument("--estimate", type=Path, required=True, help="JSON to write")
    return command.execute(run, options.parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())
