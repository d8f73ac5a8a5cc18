r"""Filter, order, split and number a raw log, and write its items' texts.

python -m ace_steps.steps.preprocess_dataset --dataset toy \
    --raw-interactions data/toy/toy.inter --raw-items data/toy/toy.item \
    --settings '{"reader": "recbole", "min_user_events": 3, "min_item_events": 2}' \
    --interactions interactions.parquet --users users.parquet --items items.parquet \
    --data-report data_report.parquet
"""

from pathlib import Path
from typing import Annotated

from ace_steps.command import log, main_of
from ace_steps.io.files import published_together
from ace_steps.io.parquet import write_table
from ace_steps.io.provenance import Provenance, digests
from ace_steps.io.tables import DATA_REPORT, INTERACTIONS, ITEMS, USERS
from ace_steps.preprocess.pipeline import build_dataset
from ace_steps.registry import READERS
from ace_steps.settings import parse_named


def run(
    *,
    raw_interactions: Annotated[Path, "the raw log"],
    raw_items: Annotated[Path, "the raw catalog"],
    dataset: Annotated[str, "its name"],
    settings: Annotated[str, "the dataset's settings, as JSON"],
    interactions: Annotated[Path, "table to write"],
    users: Annotated[Path, "table to write"],
    items: Annotated[Path, "table to write"],
    data_report: Annotated[Path, "table to write"],
) -> None:
    """Read both files, build the tables, write them."""
    chosen = parse_named(READERS, "reader", settings, "--settings")
    read = READERS[chosen.reader].implementation()
    built = build_dataset(read(raw_interactions, raw_items, chosen), chosen, dataset)
    note = Provenance(
        step="preprocess_dataset",
        settings=chosen.as_json(),
        inputs=digests(raw_interactions=raw_interactions, raw_items=raw_items),
        facts={"dataset": dataset},
    )
    with published_together():
        write_table(built.interactions, INTERACTIONS, interactions, note)
        write_table(built.users, USERS, users, note)
        write_table(built.items, ITEMS, items, note)
        write_table(built.data_report, DATA_REPORT, data_report, note)
    for warning in built.warnings:
        log.warning("%s: %s", dataset, warning)
    log.info(
        "%s: %d users, %d items, %d events",
        dataset,
        len(built.users),
        len(built.items),
        len(built.interactions),
    )


main = main_of(run)

if __name__ == "__main__":
    raise SystemExit(main())
