r"""Turn the distinct item texts of one shard into vectors with a language model.

python -m ace_steps.steps.embed_items --items items.parquet --model resources/encoders/smollm2 \
    --shard 1-of-4 --device auto --vectors shards/1-of-4.parquet --settings '{"prompt": "{text}",
    "pooling": "mean", "layer": -1, "dtype": "bfloat16", "max_tokens": 512, "batch_tokens": 2048,
    "truncate_dim": null, "normalise": true, "trust_remote_code": false}'
"""

import logging
import time
from pathlib import Path

import numpy as np

from ace_steps import command
from ace_steps.embed.catalogue import embed_texts
from ace_steps.embed.models import load_encoder, model_facts
from ace_steps.embed.settings import EncoderSettings
from ace_steps.embed.texts import Shard, distinct_texts, texts_of_shard
from ace_steps.parquet import read_table, vector_writer
from ace_steps.provenance import Provenance, digests
from ace_steps.runtime import DEVICES, select_device
from ace_steps.settings import parse
from ace_steps.tables import ITEMS

log = logging.getLogger(__name__)


def run(*, items: Path, model: Path, settings: str, shard: str, vectors: Path, device: str) -> None:
    """Read the items, embed this shard's texts, write their vectors."""
    wanted, place = parse(EncoderSettings, settings, "--settings"), select_device(device)
    part = Shard.parse(shard)
    texts = texts_of_shard(distinct_texts(read_table(items, ITEMS)), part)
    encoder = load_encoder(model, wanted, place)
    begun = time.monotonic()
    matrix, tokens = embed_texts(texts, encoder, wanted)
    seconds = time.monotonic() - begun
    note = Provenance(
        step="embed_items",
        settings=wanted.as_json(),
        inputs=digests(items=items),
        facts={
            **model_facts(model),
            **{name: getattr(wanted, name) for name in ("pooling", "dtype", "max_tokens")},
            "normalised": wanted.normalise,
            "width": matrix.shape[1],
            "device": place.type,
            "shard": str(part),
            "n_texts": len(texts),
            "n_tokens": len(tokens.ids),
            "n_truncated": int(tokens.is_truncated.sum()),
        },
    )
    with vector_writer(vectors, "text_vectors", matrix.shape[1], np.float32, note) as writer:
        writer.write({"text_sha256": texts["text_sha256"].to_arrow()}, matrix)
    log.info(
        "embedded %d texts of %d tokens (%d truncated) in %.1f s, %.0f tokens/s, on %s",
        *(len(texts), len(tokens.ids), tokens.is_truncated.sum(), seconds),
        *(len(tokens.ids) / max(seconds, 1e-9), place),
    )


def main(argv: list[str] | None = None) -> int:
    """Parse the options and run the step; the exit code."""
    options = command.parser(__doc__)
    options.add_argument("--items", type=Path, required=True, help="table items")
    options.add_argument("--model", type=Path, required=True, help="folder of the model")
    options.add_argument("--settings", required=True, help="the encoder's settings as JSON")
    options.add_argument("--shard", required=True, help="which part of the texts, e.g. 2-of-4")
    options.add_argument("--vectors", type=Path, required=True, help="text_vectors to write")
    options.add_argument("--device", choices=DEVICES, required=True, help="where to compute")
    return command.execute(run, options.parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())
