r"""Estimate requests, tokens and cost of a catalog's vectors from an API; sends nothing.

python -m ace_steps.steps.estimate_requests --items items.parquet --store resources/vectors \
    --settings "$(cat encoder.json)" --estimate estimate.json
"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from ace_steps.command import log, main_of
from ace_steps.embed.api import api_store_key
from ace_steps.embed.api import estimate as estimate_texts
from ace_steps.embed.settings import RequestVectorsSettings
from ace_steps.embed.store import VectorStore
from ace_steps.embed.texts import distinct_texts
from ace_steps.io.files import write_json
from ace_steps.io.parquet import read_table
from ace_steps.io.tables import ITEMS
from ace_steps.settings import parse


def run(
    *,
    items: Annotated[Path, "table items"],
    settings: Annotated[str, "the encoder's settings as JSON"],
    store: Annotated[Path, "folder of vectors that were paid for before"],
    estimate: Annotated[Path, "JSON to write"],
) -> None:
    """Read the items, count what is not in the store, write the numbers."""
    resolved = parse(RequestVectorsSettings, settings, "--settings").plain()
    texts = distinct_texts(read_table(items, ITEMS))
    numbers = estimate_texts(texts, resolved, VectorStore(store / api_store_key(resolved)))
    write_json(estimate, asdict(numbers))
    log.info("nothing sent: %s", numbers)


main = main_of(run)

if __name__ == "__main__":
    raise SystemExit(main())
