"""Item texts to the inputs of an API: inside the prompt, cut, counted, packed into requests."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl

from ace_steps.embed.settings import TEXT, ApiEncoderSettings
from ace_steps.errors import InputError
from ace_steps.io.files import sha256_file


@dataclass(frozen=True)
class Inputs:
    """What is sent of each text.

    Attributes:
        texts: (n,) inside the prompt, cut where they are too long.
        lengths: (n,) int64, their tokens by the counter.
        is_truncated: (n,) bool, True for a text that lost its end.
        counted_by: How the tokens were counted, in a few words.
    """

    texts: pl.Series
    lengths: np.ndarray
    is_truncated: np.ndarray
    counted_by: str


class Counter(Protocol):
    """Counts tokens, and cuts texts that have too many."""

    name: str

    def count(self, texts: pl.Series) -> np.ndarray:
        """Tokens of each text, (n,) int64."""

    def cut(self, text: str, before: str, after: str, most: int) -> str:
        """As much of the beginning of ``text`` as fits ``most`` tokens between the two."""


class Characters:
    """So many characters stand for one token: an estimate that needs no tokenizer."""

    def __init__(self, chars_per_token: float) -> None:
        self._rate = chars_per_token
        self.name = f"{chars_per_token:g} characters a token"

    def count(self, texts: pl.Series) -> np.ndarray:
        """Tokens of each text, rounded up."""
        return np.ceil(texts.str.len_chars().to_numpy() / self._rate).astype(np.int64)

    def cut(self, text: str, before: str, after: str, most: int) -> str:
        """See ``Counter``."""
        room = math.floor(most * self._rate) - len(before) - len(after)
        return text[: max(room, 0)]


class Tokenizer:
    """The model's own tokenizer, out of its ``tokenizer.json``."""

    def __init__(self, path: Path) -> None:
        from tokenizers import Tokenizer as Fast

        file = path / "tokenizer.json" if path.is_dir() else path
        try:
            self._tokenizer = Fast.from_file(str(file))
        except Exception as refusal:  # the library raises no class of its own
            raise InputError(f"{file}: no usable tokenizer.json ({refusal}).") from None
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.name = f"tokenizer {sha256_file(file)[:16]}"

    def count(self, texts: pl.Series) -> np.ndarray:
        """Tokens of each text."""
        encoded = self._tokenizer.encode_batch_fast(texts.to_list())
        return np.fromiter(map(len, encoded), np.int64, len(texts))

    def cut(self, text: str, before: str, after: str, most: int) -> str:
        """See ``Counter``; cuts again while two halves of a word count more than one whole."""
        while text:
            encoded = self._tokenizer.encode(before + text + after)
            surplus = len(encoded) - most
            if surplus <= 0:
                break
            end = len(before) + len(text)
            starts = [a for a, b in encoded.offsets if len(before) <= a < min(b, end)]
            text = text[: starts[-surplus] - len(before)] if len(starts) > surplus else ""
        return text


def counter_for(settings: ApiEncoderSettings) -> Counter:
    """The counter that the settings name.

    Raises:
        InputError: the tokenizer cannot be read.
    """
    if settings.api.tokenizer:
        return Tokenizer(Path(settings.api.tokenizer))
    return Characters(settings.api.chars_per_token)


def inputs_of(texts: pl.DataFrame, settings: ApiEncoderSettings, counter: Counter) -> Inputs:
    """What is sent of each text.

    Raises:
        InputError: nothing of a text is left to send, or it was blank; its item is named.
    """
    before, after = settings.prompt.split(TEXT)
    filled = pl.lit(before) + pl.col("text") + pl.lit(after)
    sent = texts.select(filled.alias("sent"))["sent"]
    lengths = counter.count(sent)
    too_long = lengths > settings.max_tokens
    rows = np.flatnonzero(too_long)
    if len(rows):
        cut = [
            before + counter.cut(text, before, after, settings.max_tokens) + after
            for text in texts["text"].gather(rows)
        ]
        sent = sent.scatter(rows, cut)
        lengths[rows] = counter.count(sent.gather(rows))
    _check_not_blank(texts, sent)
    _check_room(texts, lengths, before + after, settings)
    return Inputs(sent, lengths, too_long, counter.name)


def requests_of(lengths: np.ndarray, *, max_inputs: int, max_tokens: int) -> list[np.ndarray]:
    """Rows in requests under both caps, in order; a row beyond the cap is a request of its own.

    Args:
        lengths: (n,) tokens of each row.
        max_inputs: Most rows of one request.
        max_tokens: Most tokens of one request.
    """
    ends, requests, start = np.cumsum(lengths), [], 0
    while start < len(lengths):
        before = ends[start - 1] if start else 0
        stop = int(np.searchsorted(ends, before + max_tokens, side="right"))
        stop = max(min(stop, start + max_inputs), start + 1)
        requests.append(np.arange(start, stop))
        start = stop
    return requests


def _check_not_blank(texts: pl.DataFrame, sent: pl.Series) -> None:
    """Servers refuse an empty input, and with it the whole request."""
    blank = np.flatnonzero(sent.str.strip_chars().str.len_bytes().to_numpy() == 0)
    if len(blank):
        raise InputError(
            f"item '{texts['item_id'][int(blank[0])]}': its text "
            f"{texts['text'][int(blank[0])][:60]!r} is blank, as are {len(blank) - 1} others; "
            "a prompt or another item text is wanted."
        )


def _check_room(
    texts: pl.DataFrame, lengths: np.ndarray, around: str, settings: ApiEncoderSettings
) -> None:
    over = np.flatnonzero(lengths > settings.max_tokens)
    if len(over):
        raise InputError(
            f"max_tokens = {settings.max_tokens} leaves no room for the text of item "
            f"'{texts['item_id'][int(over[0])]}' beside a prompt of {len(around)} characters."
        )
