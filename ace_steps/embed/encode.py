"""Texts to vectors with a model that runs here: bucket after bucket, batch after batch."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TypeVar

import numpy as np
import polars as pl
import torch
from torch import Tensor

from ace_steps.embed.fused import Cores, Prefix, encode_prefix, states_of
from ace_steps.embed.models import Encoder
from ace_steps.embed.settings import EncoderSettings
from ace_steps.embed.store import Batch, Embedded, VectorStore, embed_new, finished
from ace_steps.embed.tokens import Tokens, token_budget_batches, tokenize
from ace_steps.errors import InputError

log = logging.getLogger(__name__)

Piece = TypeVar("Piece")
Computed = np.ndarray | Tensor  # vectors, or what a GPU may still be computing


@dataclass
class Budget:
    """Tokens of one batch with padding, at most: fewer once a batch did not fit into memory."""

    tokens: int


def embed_texts(
    texts: pl.DataFrame, encoder: Encoder, settings: EncoderSettings, store: VectorStore
) -> Embedded:
    """One vector per text, out of the store or the model.

    The texts of a bucket share batches with each other alone: their vectors do not depend on which
    other buckets are embedded here. ``texts * dim * 4`` bytes, twice while they are scaled.

    Args:
        texts: As ``distinct_texts`` gives them.
        encoder: The loaded model.
        settings: Resolved.
        store: Vectors made in this way before; every new batch is added to it.

    Raises:
        InputError: a text has no token, or its vector is zero or not finite.
    """
    lengths, is_truncated = np.zeros(len(texts), np.int64), np.zeros(len(texts), bool)

    def batches(is_known: np.ndarray) -> Iterator[Batch]:
        n_texts = texts["bucket"].rle().struct.field("len").to_list()
        spans = [slice(*span) for span in pairwise(accumulate(n_texts, initial=0))]
        buckets = (_checked_tokens(texts[span], encoder, settings) for span in spans)
        budget = Budget(settings.batch_tokens)
        for span, tokens in zip(spans, prefetched(buckets), strict=True):
            lengths[span], is_truncated[span] = tokens.lengths, tokens.is_truncated
            if not is_known[span].all():
                for rows, vectors in encode(encoder, tokens, settings, is_known[span], budget):
                    yield span.start + rows, vectors

    embedded = embed_new(
        texts, lengths, is_truncated, dim=encoder.dim, store=store, batches=batches
    )
    return finished(embedded, texts, settings)


def prefetched(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """The pieces in their order; a thread makes the next one while the last is in use."""
    with ThreadPoolExecutor(1, "ahead") as thread:
        coming = thread.submit(next, pieces, None)
        while (piece := coming.result()) is not None:
            coming = thread.submit(next, pieces, None)
            yield piece


def encode(
    encoder: Encoder,
    tokens: Tokens,
    settings: EncoderSettings,
    is_known: np.ndarray,
    budget: Budget | None = None,
) -> Iterator[Batch]:
    """Pooled vectors of the texts not known yet, as (rows, vectors) of batch after batch.

    The batches are those of all texts, less the known ones: a job that goes on after a kill does
    the same batches as one that never stopped, and ends with the same bytes. When a batch does not
    fit into memory, the token budget is halved for it and all that follow. A GPU computes a batch
    while the next one is prepared.

    Args:
        encoder: The loaded model.
        tokens: Every text has at least one token.
        settings: Pooling, layer and budget.
        is_known: (texts,) bool, True for a text to leave out.
        budget: What an earlier call has left of the settings' budget, and this one may lower.

    Yields:
        Rows (batch,) int64, and vectors (batch, dim) float32, neither checked nor finished.

    Raises:
        InputError: one text alone does not fit into memory.
    """
    budget = budget or Budget(settings.batch_tokens)
    batches = _computed(encoder, tokens, settings, is_known, budget)
    return _fetched_late(batches) if encoder.device.type == "cuda" else batches


def mean(states: Tensor, mask: Tensor) -> Tensor:
    """Mean over the real tokens."""
    return _weighted(states, mask.float())


def weighted_mean(states: Tensor, mask: Tensor) -> Tensor:
    """Mean over the real tokens, the first weighing 1, the second 2, and so on.

    A decoder's later states have read more of the text (SGPT, Muennighoff 2022, arXiv:2202.08904).
    """
    return _weighted(states, mask.cumsum(dim=1) * mask.float())


def last(states: Tensor, mask: Tensor) -> Tensor:
    """State of the last real token, the only one of a decoder that has read the whole text."""
    positions = torch.arange(mask.shape[1], device=mask.device)
    return _at(states, (positions * mask).argmax(dim=1))


def first(states: Tensor, mask: Tensor) -> Tensor:
    """State of the first real token, an encoder's [CLS]."""
    return _at(states, mask.int().argmax(dim=1))


# From states (batch, tokens, dim) of any float dtype and a mask (batch, tokens), True for a real
# token and False for padding on either side, to (batch, dim) float32. Each row has a real token.
POOLINGS = {"mean": mean, "weighted_mean": weighted_mean, "last": last, "first": first}


def _weighted(states: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean over the tokens, multiplied and summed in float32; (batch, dim)."""
    sums = torch.bmm(weights.unsqueeze(1), states.float()).squeeze(1)
    return sums / weights.sum(dim=1, keepdim=True)


def _at(states: Tensor, positions: Tensor) -> Tensor:
    """The state at one position of each row, (batch, dim) float32."""
    rows = torch.arange(len(states), device=states.device)
    return states[rows, positions].float()


def _checked_tokens(texts: pl.DataFrame, encoder: Encoder, settings: EncoderSettings) -> Tokens:
    """Token ids of every text, at least one each, all of which the model knows."""
    tokens = tokenize(
        encoder.tokenizer,
        texts["text"].to_list(),
        prompt=settings.prompt,
        max_tokens=settings.max_tokens,
        append_eos=settings.append_eos,
    )
    blank = np.flatnonzero(tokens.lengths == 0)
    if len(blank):
        item, text = texts[["item_id", "text"]].row(int(blank[0]))
        raise InputError(
            f"item '{item}': its text {text!r} has no token, nor have {len(blank) - 1} others; "
            "set a prompt or another item text."
        )
    highest = int(tokens.ids.max(initial=0))
    if highest >= encoder.n_ids:
        raise InputError(
            f"the tokenizer gives the id {highest}, but the model knows {encoder.n_ids} ids; "
            "they do not belong together."
        )
    return tokens


def _fetched_late(batches: Iterator[tuple[np.ndarray, Computed]]) -> Iterator[Batch]:
    """Each batch, fetched from its device once the next one has been sent there."""
    held = None
    for batch in batches:
        if held is not None:
            yield held[0], held[1].cpu().numpy()
        held = batch
    if held is not None:
        yield held[0], held[1].cpu().numpy()


def _computed(
    encoder: Encoder,
    tokens: Tokens,
    settings: EncoderSettings,
    is_known: np.ndarray,
    budget: Budget,
) -> Iterator[tuple[np.ndarray, Computed]]:
    """The batches of ``encode``; on a GPU a batch is sent, not waited for."""
    lengths = tokens.lengths
    batches = (rows[~is_known[rows]] for rows in token_budget_batches(lengths, budget.tokens))
    waiting = [rows for rows in batches if len(rows)][::-1]  # taken from the end
    is_decoder = encoder.is_fused and encoder.is_causal
    prefix = encode_prefix(encoder.model, tokens, settings.layer) if is_decoder else None
    with Cores(torch.get_num_threads() if encoder.is_fused else 1) as cores:
        while waiting:
            rows = waiting.pop()
            try:
                vectors = cores.compute(
                    lambda share: _vectors(encoder, tokens, share, settings, prefix),
                    rows,
                    int(lengths[rows].max()) * len(rows),
                )
            except RuntimeError as refusal:  # torch.OutOfMemoryError is one
                budget.tokens = _smaller_budget(refusal, budget.tokens, lengths[rows])
                left = np.concatenate([rows, *waiting[::-1]])
                smaller = token_budget_batches(lengths[left], budget.tokens)
                waiting = [left[batch] for batch in smaller][::-1]
                continue
            yield rows, vectors


@torch.inference_mode()
def _vectors(
    encoder: Encoder,
    tokens: Tokens,
    rows: np.ndarray,
    settings: EncoderSettings,
    prefix: Prefix | None,
) -> Computed:
    """(texts, dim) float32 of one batch, or of one core's share of it."""
    padded, is_real = tokens.padded(rows, encoder.pad)
    ids, mask = _sent(padded, encoder.device), _sent(is_real, encoder.device)
    if prefix is not None:
        states = prefix.continued(encoder.model, settings.layer, ids)
    else:
        # No mask where none is needed: attention then takes its fast path and builds no matrix.
        needs_mask = not encoder.is_causal and not is_real.all()
        attention_mask = mask.long() if needs_mask else None
        states = states_of(
            encoder.model, settings.layer, input_ids=ids, attention_mask=attention_mask
        )
    pooled = POOLINGS[settings.pooling](states, mask)
    return pooled if pooled.is_cuda else pooled.numpy()


def _sent(part: np.ndarray, device: torch.device) -> Tensor:
    """A tensor on the device; its way to a GPU starts in pinned memory and is not waited for."""
    tensor = torch.from_numpy(part)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def _smaller_budget(refusal: RuntimeError, budget: int, lengths: np.ndarray) -> int:
    """Half the tokens of the batch that did not fit; any other failure is raised again."""
    is_memory = isinstance(refusal, torch.OutOfMemoryError) or "allocate memory" in str(refusal)
    if not is_memory:
        raise refusal
    if len(lengths) == 1:
        raise InputError(
            f"a text of {lengths[0]} tokens alone does not fit into memory; "
            "set a smaller max_tokens or take a larger device."
        ) from None
    smaller = min(budget, int(lengths.max()) * len(lengths)) // 2
    log.warning("out of memory with batch_tokens = %d, going on with %d", budget, smaller)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return smaller
