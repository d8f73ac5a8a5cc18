r"""Turn the distinct item texts of one shard into vectors with an OpenAI-compatible API.

python -m ace_steps.steps.request_vectors --items items.parquet --shard 1-of-1 --dry-run \
    --vectors shards/1-of-1.parquet --settings '{"api": {"base_url": "https://api.openai.com/v1",
    "model": "text-embedding-3-small", "key_variable": "OPENAI_API_KEY", "dim": 1536,
    "price": 0.02}}'
"""

import shutil
from pathlib import Path
from typing import Annotated

import numpy as np

from ace_steps.command import log, main_of
from ace_steps.embed.api import api_store_key, counter_for, estimate, request_texts
from ace_steps.embed.entries import describe, origins_of_api, trace
from ace_steps.embed.settings import RequestVectorsSettings
from ace_steps.embed.store import VectorStore, finished
from ace_steps.embed.texts import Shard, distinct_texts, texts_of_shard
from ace_steps.io.parquet import read_table
from ace_steps.io.provenance import Provenance, digests
from ace_steps.io.tables import ITEMS
from ace_steps.io.vectors import vector_writer
from ace_steps.settings import parse


def run(
    *,
    items: Annotated[Path, "table items"],
    settings: Annotated[str, "the encoder's settings as JSON"],
    shard: Annotated[str, "which part of the texts, e.g. 2-of-4"],
    vectors: Annotated[Path, "text_vectors to write"],
    store: Annotated[Path | None, "folder of vectors that were paid for before"] = None,
    dry_run: Annotated[bool, "send nothing, print the cost"] = False,
) -> None:
    """Read the items, ask for this shard's vectors, write them; or say what that would take."""
    given, part = parse(RequestVectorsSettings, settings, "--settings"), Shard.parse(shard)
    resolved, origins = given.plain(), trace(origins_of_api(given), given.taken_from)
    log.info("%s", describe(resolved, origins))
    texts = texts_of_shard(distinct_texts(read_table(items, ITEMS)), part)
    pieces = vectors.with_name(f".{vectors.name}.pieces")  # of a broken run
    known = VectorStore((store or pieces) / api_store_key(resolved))
    if dry_run:
        log.info("nothing sent: %s", estimate(texts, resolved, known))
        return
    embedded = finished(request_texts(texts, resolved, known), texts, resolved)
    facts = {**resolved.facts(), **embedded.counts(), "shard": str(part), "device": "api"}
    facts |= {"tokens_counted_by": counter_for(resolved.api).name, "taken_from": origins}
    note = Provenance("request_vectors", resolved.as_json(), digests(items=items), facts)
    with vector_writer(
        vectors, "text_vectors", embedded.matrix.shape[1], np.float32, note
    ) as writer:
        writer.write({"text_sha256": texts["text_sha256"].to_arrow()}, embedded.matrix)
    if store:
        known.gather()
    shutil.rmtree(pieces, ignore_errors=True)
    log.info("%s by %s", embedded, resolved.api.model)


main = main_of(run)

if __name__ == "__main__":
    raise SystemExit(main())
