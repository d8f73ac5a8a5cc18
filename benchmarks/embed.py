"""Speed of embedding against plain loops and sentence-transformers, on one model and its texts.

python benchmarks/embed.py --model resources/encoders/all-minilm-l6-v2/model \
    --items results/preprocess/ml-100k/items.parquet --texts 1000 --rounds 3

Every way reads the same texts and gives unit vectors; tokenising is part of its time, loading the
model is not. `tokens/s` counts real tokens, without padding; of several rounds, in turns, the best
counts; tokens/CPU-s is what other work on the machine does not stretch. `of peak` is the share of
this machine's own bfloat16 matrix products (2048 x 2048), measured in the same run.
sentence-transformers is no dependency of this project: its rows are left out where it is not
installed, and for GGUF files, which it does not read.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from ace_steps.embed.encode import encode
from ace_steps.embed.models import DTYPES, Encoder, load_encoder
from ace_steps.embed.pooling import finish
from ace_steps.embed.settings import EncoderSettings
from ace_steps.embed.tokens import tokenise
from ace_steps.parquet import read_table
from ace_steps.runtime import select_device
from ace_steps.tables import ITEMS

PEAK_SIZE, PEAK_ROUNDS = 2048, 10
MAX_TOKENS = 256
REFERENCE_BATCHES = (16, 32, 64)
FIXED_BATCH = 64


@dataclass
class Way:
    """One way of embedding: its name, the call, and what was measured."""

    name: str
    embed: Callable[[list[str]], np.ndarray]
    seconds: float = float("inf")
    cpu_seconds: float = float("inf")
    vectors: np.ndarray | None = None

    def measure(self, texts: list[str]) -> None:
        """Embed once more; the best time counts."""
        begun, cpu_begun = time.perf_counter(), time.process_time()
        self.vectors = self.embed(texts)
        self.seconds = min(self.seconds, time.perf_counter() - begun)
        self.cpu_seconds = min(self.cpu_seconds, time.process_time() - cpu_begun)


def settings_of(dtype: str, batch_tokens: int) -> EncoderSettings:
    return EncoderSettings(
        prompt="{text}",
        pooling="mean",
        layer=-1,
        dtype=dtype,
        max_tokens=MAX_TOKENS,
        batch_tokens=batch_tokens,
        truncate_dim=None,
        normalise=True,
        trust_remote_code=False,
    )


def ours(encoder: Encoder, settings: EncoderSettings) -> Way:
    def embed(texts: list[str]) -> np.ndarray:
        tokens = tokenise(encoder.tokenizer, texts, prompt="{text}", max_tokens=MAX_TOKENS)
        pooled = np.empty((len(texts), encoder.width), np.float32)
        for rows, vectors in encode(encoder, tokens, settings, np.zeros(len(texts), bool)):
            pooled[rows] = vectors
        return finish(torch.from_numpy(pooled), truncate_dim=None, normalise=True).numpy()

    return Way(f"ours, {settings.dtype}, {settings.batch_tokens} tokens a batch", embed)


def plain_loop(encoder: Encoder) -> Way:
    """What a first script does: batches of texts as they come, padded, with a mask."""
    if encoder.tokenizer.pad_token is None:
        encoder.tokenizer.pad_token = encoder.tokenizer.eos_token
    limits = {"padding": True, "truncation": True, "max_length": MAX_TOKENS}

    @torch.inference_mode()
    def embed(texts: list[str]) -> np.ndarray:
        pieces = []
        for start in range(0, len(texts), FIXED_BATCH):
            chunk = texts[start : start + FIXED_BATCH]
            batch = encoder.tokenizer(chunk, return_tensors="pt", **limits).to(encoder.device)
            mask = batch["attention_mask"].unsqueeze(-1)
            states = encoder.model(**batch).last_hidden_state
            pieces.append(functional.normalize((states * mask).sum(1) / mask.sum(1), dim=1).cpu())
        return torch.cat(pieces).numpy()

    return Way(f"plain loop, float32, {FIXED_BATCH} texts a batch", embed)


def references(folder: Path, dtype: str, device: torch.device) -> list[Way]:
    """sentence-transformers' encode at several batch sizes, where it is installed."""
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        return []
    if any(folder.glob("*.gguf")):
        return []
    how = {"dtype": DTYPES[dtype]}
    model = SentenceTransformer(str(folder), device=str(device), model_kwargs=how)  # mean pooling
    model.max_seq_length = MAX_TOKENS

    def way(batch_size: int) -> Way:
        def embed(texts: list[str]) -> np.ndarray:
            found = model.encode(texts, batch_size=batch_size, show_progress_bar=False)
            rows = torch.from_numpy(np.asarray(found, np.float32))
            return functional.normalize(rows, dim=1).numpy()

        return Way(f"sentence-transformers, {dtype}, {batch_size} texts a batch", embed)

    return [way(batch_size) for batch_size in REFERENCE_BATCHES]


def peak_flops(device: torch.device) -> float:
    """Operations a second of a large bfloat16 matrix product."""
    left = torch.randn(PEAK_SIZE, PEAK_SIZE, device=device).bfloat16()
    best = float("inf")
    for _ in range(PEAK_ROUNDS):
        begun = time.perf_counter()
        (left @ left)[0, 0].item()  # waits for the device
        best = min(best, time.perf_counter() - begun)
    return 2 * PEAK_SIZE**3 / best


def flops_per_token(encoder: Encoder) -> int:
    """Two for each weight of a matrix that every token passes; attention itself left out."""
    tables = {id(encoder.model.get_input_embeddings().weight)}
    weights = [w for w in encoder.model.parameters() if w.dim() == 2 and id(w) not in tables]
    return 2 * sum(w.numel() for w in weights)


def ways_of(options: argparse.Namespace, device: torch.device) -> tuple[list[Way], Encoder]:
    found, encoder = [], None
    for dtype in ("float32", "bfloat16"):
        encoder = load_encoder(options.model, settings_of(dtype, 1), device)
        found += [plain_loop(encoder)] if dtype == "float32" else []
        found += [ours(encoder, settings_of(dtype, budget)) for budget in options.batch_tokens]
        found += references(options.model, dtype, device)
    return found, encoder


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--model", type=Path, required=True)
    options.add_argument("--items", type=Path, required=True)
    options.add_argument("--texts", type=int, default=500)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--batch-tokens", type=int, nargs="+", default=[1024])
    options.add_argument("--device", default="auto")
    options = options.parse_args()
    device = select_device(options.device)
    texts = read_table(options.items, ITEMS)["text"].unique(maintain_order=True)
    texts = texts.sample(min(options.texts, len(texts)), seed=0, shuffle=True).to_list()
    ways, encoder = ways_of(options, device)
    n_tokens = len(tokenise(encoder.tokenizer, texts, prompt="{text}", max_tokens=MAX_TOKENS).ids)
    for _ in range(options.rounds):
        for way in ways:
            way.measure(texts)
    peak = peak_flops(device)
    print(f"{len(texts)} texts of {n_tokens} tokens on {device}, peak {peak / 1e9:.0f} GFLOP/s")
    for way in ways:
        rate = n_tokens / way.seconds
        share = rate * flops_per_token(encoder) / peak
        cosine = (way.vectors * ways[0].vectors).sum(axis=1).min()
        print(
            f"{way.name:50} {rate:7.0f} tokens/s {len(texts) / way.seconds:5.0f} items/s "
            f"{n_tokens / way.cpu_seconds:6.0f} tokens/CPU-s {share:4.0%} of peak, "
            f"least cosine to the first row {cosine:.6f}"
        )


if __name__ == "__main__":
    main()
