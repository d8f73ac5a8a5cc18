"""The ways of embedding that benchmarks/embed.py times against each other."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedModel

from ace_steps.embed.encode import encode
from ace_steps.embed.models import DTYPES, Encoder
from ace_steps.embed.settings import EncoderSettings
from ace_steps.embed.tokens import tokenize

MAX_TOKENS = 256
REFERENCE_BATCHES = (16, 32, 64, 128)
PLAIN, OURS, UNFUSED = "plain loop", "ours", "transformers' layers"
REFERENCE = "sentence-transformers"
FIXED_BATCH = 64


@dataclass
class Way:
    """One way of embedding: whose it is, dtype and batches, the call, and what was measured."""

    kind: str
    dtype: str
    batches: str
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
        normalize=True,
        trust_remote_code=False,
    )


def by_tokens(kind: str, encoder: Encoder, settings: EncoderSettings) -> Way:
    """Token-budget batches of sorted texts, as embed_items does them."""

    def embed(texts: list[str]) -> np.ndarray:
        tokens = tokenize(encoder.tokenizer, texts, prompt="{text}", max_tokens=MAX_TOKENS)
        pooled = np.empty((len(texts), encoder.dim), np.float32)
        for rows, vectors in encode(encoder, tokens, settings, np.zeros(len(texts), bool)):
            pooled[rows] = vectors
        return functional.normalize(torch.from_numpy(pooled), dim=1).numpy()

    return Way(kind, settings.dtype, f"{settings.batch_tokens} tokens", embed)


def plain_loop(encoder: Encoder, dtype: str) -> Way:
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
            states = encoder.model(**batch).last_hidden_state.float()
            pieces.append(functional.normalize((states * mask).sum(1) / mask.sum(1), dim=1).cpu())
        return torch.cat(pieces).numpy()

    return Way(PLAIN, dtype, f"{FIXED_BATCH} texts", embed)


def references(
    folder: Path, dtype: str, device: torch.device, instead: PreTrainedModel | None = None
) -> list[Way]:
    """sentence-transformers' encode at several batch sizes, where it is installed.

    ``instead`` takes the place of the model that was loaded.
    """
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        return []
    if any(folder.glob("*.gguf")):
        return []
    how = {"dtype": DTYPES[dtype]}
    model = SentenceTransformer(str(folder), device=str(device), model_kwargs=how)  # mean pooling
    model.max_seq_length = MAX_TOKENS
    if instead is not None:
        model[0].model = instead

    def way(batch_size: int) -> Way:
        def embed(texts: list[str]) -> np.ndarray:
            vectors = model.encode(texts, batch_size=batch_size, show_progress_bar=False)
            rows = torch.from_numpy(np.asarray(vectors, np.float32))
            return functional.normalize(rows, dim=1).numpy()

        return Way(REFERENCE, dtype, f"{batch_size} texts", embed)

    return [way(batch_size) for batch_size in REFERENCE_BATCHES]
