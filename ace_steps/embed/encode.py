"""Token ids to vectors: batch after batch, the longest texts first."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from ace_steps.embed.cores import Cores
from ace_steps.embed.models import Encoder
from ace_steps.embed.packed import packing, sent
from ace_steps.embed.pooling import POOLINGS
from ace_steps.embed.prefix import Prefix, read_prefix, states_of
from ace_steps.embed.settings import EncoderSettings
from ace_steps.embed.tokens import Tokens, token_budget_batches
from ace_steps.errors import InputError

log = logging.getLogger(__name__)

Computed = np.ndarray | torch.Tensor  # vectors, or what a GPU may still be computing


@dataclass
class Budget:
    """Tokens of one batch with padding, at most: fewer once a batch did not fit into memory."""

    tokens: int


def encode(
    encoder: Encoder,
    tokens: Tokens,
    settings: EncoderSettings,
    is_known: np.ndarray,
    budget: Budget | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pooled vectors of the texts not known yet, as (rows, vectors) of batch after batch.

    The batches are those of all texts, less the known ones: a job that goes on after a kill does
    the same batches as one that never stopped, and ends with the same bytes. When a batch does not
    fit into memory, the token budget is halved for it and all that follow. What all texts begin
    with is read once where that saves time. A GPU computes a batch while the next one is prepared.

    Args:
        encoder: The loaded model.
        tokens: Every text has at least one token.
        settings: Pooling, layer and budget.
        is_known: (texts,) bool, True for a text to leave out.
        budget: What an earlier call has left of the settings' budget, and this one may lower.

    Yields:
        rows: (batch,) int64 indices of the texts.
        vectors: (batch, dim) float32 as pooled: neither checked nor finished.

    Raises:
        InputError: one text alone does not fit into memory.
    """
    budget = budget or Budget(settings.batch_tokens)
    batches = _computed(encoder, tokens, settings, is_known, budget)
    return _fetched_late(batches) if encoder.device.type == "cuda" else batches


def _fetched_late(
    batches: Iterator[tuple[np.ndarray, Computed]],
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each batch, fetched from its device once the next one has been sent there."""
    held = None
    for rows, vectors in batches:
        if held is not None:
            yield held[0], held[1].cpu().numpy()
        held = rows, vectors
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
    whole = token_budget_batches(tokens.lengths, budget.tokens)
    batches = (rows[~is_known[rows]] for rows in whole)
    waiting = [rows for rows in batches if len(rows)][::-1]  # taken from the end
    prefix = read_prefix(encoder, tokens, settings.layer)
    with Cores(torch.get_num_threads() if encoder.is_fused else 1) as cores:
        while waiting:
            rows = waiting.pop()
            lengths = tokens.lengths[rows]
            try:
                vectors = cores.compute(
                    lambda share: _vectors(encoder, tokens, share, settings, prefix),
                    rows,
                    int(lengths.max()) * len(rows),
                )
            except RuntimeError as refusal:  # torch.OutOfMemoryError is one
                budget.tokens = _smaller_budget(refusal, budget.tokens, lengths)
                waiting = _smaller_batches(tokens.lengths, [rows, *waiting[::-1]], budget.tokens)
                continue
            yield rows, vectors


def _smaller_batches(lengths: np.ndarray, batches: list[np.ndarray], budget: int) -> list:
    """What is left in batches of a smaller budget, the next one last."""
    left = np.concatenate(batches)
    return [left[batch] for batch in token_budget_batches(lengths[left], budget)][::-1]


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
    mask = sent(is_real, encoder.device)
    if encoder.is_packed:
        states = _states_of_packed(encoder, settings.layer, padded, is_real)
    elif prefix is None:
        # No mask where none is needed: attention then takes its fast path and builds no matrix.
        is_needed = not encoder.is_causal and not is_real.all()
        given = mask.long() if is_needed else None
        ids = sent(padded, encoder.device)
        states = states_of(encoder, settings.layer, input_ids=ids, attention_mask=given)
    else:
        states = prefix.continued(encoder, settings.layer, sent(padded, encoder.device))
    pooled = POOLINGS[settings.pooling](states, mask)
    return pooled if pooled.is_cuda else pooled.numpy()


def _states_of_packed(
    encoder: Encoder, layer: int, padded: np.ndarray, is_real: np.ndarray
) -> torch.Tensor:
    """(texts, longest, dim); past a text's end stands its last state again."""
    lengths = is_real.sum(axis=1)
    ids = sent(padded[is_real][None], encoder.device)
    states = states_of(encoder, layer, input_ids=ids, **packing(lengths, encoder.device))[0]
    places = np.minimum(np.arange(padded.shape[1]), lengths[:, None] - 1)
    return states[sent((np.cumsum(lengths) - lengths)[:, None] + places, encoder.device)]


def _smaller_budget(refusal: RuntimeError, budget: int, lengths: np.ndarray) -> int:
    """Half the tokens of the batch that did not fit; any other failure goes on its way."""
    is_memory = isinstance(refusal, torch.OutOfMemoryError) or "allocate memory" in str(refusal)
    if not is_memory:
        raise refusal
    if len(lengths) == 1:
        raise InputError(
            f"a text of {lengths[0]} tokens alone does not fit into memory; "
            "a smaller max_tokens or a larger device is wanted."
        ) from None
    smaller = min(budget, int(lengths.max()) * len(lengths)) // 2
    log.warning("out of memory with batch_tokens = %d, going on with %d", budget, smaller)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return smaller
