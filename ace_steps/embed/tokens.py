"""Texts to token ids, and token ids to batches of about equal work."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from ace_steps.embed.settings import TEXT
from ace_steps.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

CHUNK_TEXTS = 4096  # Python lists of one chunk at a time; arrays of all


@dataclass(frozen=True)
class Tokens:
    """Token ids of many texts, end to end.

    Attributes:
        ids: (tokens,) int32.
        offsets: (texts + 1,) int64; text i has ``ids[offsets[i]:offsets[i + 1]]``.
        is_truncated: (texts,) bool.
    """

    ids: np.ndarray
    offsets: np.ndarray
    is_truncated: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each text, (texts,) int64."""
        return np.diff(self.offsets)

    def padded(self, rows: np.ndarray, pad: int) -> tuple[np.ndarray, np.ndarray]:
        """Ids (rows, longest) int64, padded on the right with ``pad``; mask, True where real."""
        lengths = self.lengths[rows]
        positions = np.arange(lengths.max())
        mask = positions < lengths[:, None]
        ids = np.full(mask.shape, pad, dtype=np.int64)
        ids[mask] = self.ids[(self.offsets[rows][:, None] + positions)[mask]]
        return ids, mask


def tokenize(
    tokenizer: "PreTrainedTokenizerFast",
    texts: Sequence[str],
    *,
    prompt: str,
    max_tokens: int,
    append_eos: bool = False,
) -> Tokens:
    """Token ids of every text inside the prompt, with the model's own special tokens.

    A text that is too long loses its end, never the prompt or the special tokens around it.

    Args:
        tokenizer: A fast tokenizer: it knows the characters of each token.
        texts: One without any token gets an empty row.
        prompt: Has ``{text}`` where the text goes.
        max_tokens: Largest length of a row.
        append_eos: Whether the end token ends each row, also where the tokenizer does not add it.

    Raises:
        InputError: the prompt alone fills ``max_tokens``, or the tokenizer has no end token.
    """
    end = _end(tokenizer) if append_eos else []
    room = max_tokens - len(end)
    pieces, lengths, truncated = [np.empty(0, np.int32)], [], []
    for start in range(0, len(texts), CHUNK_TEXTS):
        chunk = texts[start : start + CHUNK_TEXTS]
        filled = [prompt.replace(TEXT, text) for text in chunk]
        rows = tokenizer(filled, return_attention_mask=False, verbose=False)["input_ids"]
        too_long = np.fromiter(map(len, rows), np.int64, len(rows)) > room
        for row in np.flatnonzero(too_long):
            rows[row] = _shortened(tokenizer, chunk[row], prompt, room)
        rows = [row + end for row in rows] if end else rows
        pieces.append(np.fromiter(chain.from_iterable(rows), np.int32))
        lengths.append(np.fromiter(map(len, rows), np.int64, len(rows)))
        truncated.append(too_long)
    offsets = np.cumsum(np.concatenate([np.zeros(1, np.int64), *lengths]))
    is_truncated = np.concatenate([np.empty(0, bool), *truncated])
    return Tokens(np.concatenate(pieces), offsets, is_truncated)


def token_budget_batches(lengths: np.ndarray, batch_tokens: int) -> list[np.ndarray]:
    """Rows in batches of at most ``batch_tokens`` tokens with padding, the longest rows first.

    Neighbors in length share a batch, so that little of it is padding; the first batch is the
    largest, so that a budget beyond the memory shows at once. A row longer than the budget is a
    batch of its own; equal lengths keep their order.

    Args:
        lengths: (n,) int, tokens of each row, all > 0.
        batch_tokens: Rows times longest row of one batch, at most.
    """
    order = np.argsort(-lengths, kind="stable")
    batches, start = [], 0
    while start < len(order):
        n_rows = max(1, batch_tokens // int(lengths[order[start]]))
        batches.append(order[start : start + n_rows])
        start += n_rows
    return batches


def _end(tokenizer: "PreTrainedTokenizerFast") -> list[int]:
    """The end token where it has to be appended; empty where the tokenizer adds it by itself."""
    token = tokenizer.eos_token_id
    if token is None:
        raise InputError(
            "append_eos: true, but the tokenizer has no eos_token; give append_eos: false, or the "
            "end token as part of prompt."
        )
    return [] if tokenizer("a", verbose=False)["input_ids"][-1:] == [token] else [token]


def _shortened(
    tokenizer: "PreTrainedTokenizerFast", text: str, prompt: str, room: int
) -> list[int]:
    """Token ids of the prompt around as much of the text's beginning as fits."""
    before, after = prompt.split(TEXT)
    while True:
        encoded = tokenizer(before + text + after, return_offsets_mapping=True, verbose=False)
        ids, spans = encoded["input_ids"], encoded["offset_mapping"]
        if len(ids) <= room:
            return ids
        starts = starts_of(spans, before, text)
        if len(starts) <= len(ids) - room:
            raise InputError(
                f"max_tokens leaves no room for a text: the prompt takes "
                f"{len(spans) - len(starts)} of {room} tokens; give more, or a shorter prompt."
            )
        text = text[: starts[room - len(ids)]]


def starts_of(spans: Sequence[tuple[int, int]], before: str, text: str) -> list[int]:
    """Where in ``text`` its own tokens start; ``spans`` are characters of ``before + text``."""
    first, end = len(before), len(before) + len(text)
    return [start - first for start, stop in spans if first <= start < min(stop, end)]
