r"""Turn the distinct item texts of one shard into vectors with a language model.

python -m ace_steps.steps.embed_items --items items.parquet --model resources/encoders/smollm2 \
    --shard 1-of-4 --device auto --vectors shards/1-of-4.parquet \
    --settings '{"pooling": "mean", "max_tokens": 512}'
"""

import shutil
from pathlib import Path
from typing import Annotated, Literal

import numpy as np

from ace_steps.command import log, main_of
from ace_steps.embed.encode import embed_texts
from ace_steps.embed.entries import describe, fill_in, trace
from ace_steps.embed.models import load_encoder, model_facts, settings_on
from ace_steps.embed.settings import EmbedItemsSettings
from ace_steps.embed.store import VectorStore, store_key
from ace_steps.embed.texts import Shard, distinct_texts, texts_of_shard
from ace_steps.io.parquet import read_table
from ace_steps.io.provenance import Provenance, digests
from ace_steps.io.tables import ITEMS
from ace_steps.io.vectors import vector_writer
from ace_steps.runtime import DEVICES, select_device
from ace_steps.settings import parse


def run(
    *,
    items: Annotated[Path, "table items"],
    model: Annotated[Path, "folder of the model"],
    settings: Annotated[str, "the encoder's settings, JSON; the rest is the model's own"],
    shard: Annotated[str, "which part of the texts, e.g. 2-of-4"],
    vectors: Annotated[Path, "text_vectors to write"],
    store: Annotated[Path | None, "folder of vectors made before"] = None,
    device: Annotated[Literal[*DEVICES], "where to compute"],
) -> None:
    """Read the items, embed this shard's texts, write their vectors."""
    given, target = parse(EmbedItemsSettings, settings, "--settings"), select_device(device)
    resolved, found_in = fill_in(given.plain(), None, model)
    origins = trace(found_in, given.taken_from)
    log.info("%s", describe(resolved, origins))
    effective = settings_on(target, resolved)
    texts = texts_of_shard(distinct_texts(read_table(items, ITEMS)), Shard.parse(shard))
    encoder, facts = load_encoder(model, effective, target), model_facts(model)
    pieces = vectors.with_name(f".{vectors.name}.pieces")  # of a broken run
    key = store_key(facts["model_sha256"], effective, target.type)
    known = VectorStore((store or pieces) / key)
    embedded = embed_texts(texts, encoder, effective, known)
    facts |= {"shard": shard, "device": target.type, **effective.facts(), **embedded.counts()}
    facts |= {"taken_from": origins}
    note = Provenance("embed_items", resolved.as_json(), digests(items=items), facts)
    with vector_writer(
        vectors, "text_vectors", embedded.matrix.shape[1], np.float32, note
    ) as writer:
        writer.write({"text_sha256": texts["text_sha256"].to_arrow()}, embedded.matrix)
    if store:
        known.gather()
    shutil.rmtree(pieces, ignore_errors=True)
    log.info("%s on %s", embedded, target)


main = main_of(run)

if __name__ == "__main__":
    raise SystemExit(main())
