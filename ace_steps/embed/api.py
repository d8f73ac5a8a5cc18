"""The texts of a shard to vectors through an API: cut, counted, and sent in several requests."""

import logging
import math
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from ace_steps.embed.api_client import ApiClient, RejectedError, StoppedError
from ace_steps.embed.settings import TEXT, ApiEncoderSettings
from ace_steps.embed.store import Batch, Embedded, VectorStore, embed_new, folder_name
from ace_steps.embed.texts import check_vectors
from ace_steps.embed.tokens import starts_of
from ace_steps.errors import InputError
from ace_steps.io.files import sha256_file

log = logging.getLogger(__name__)

API_FORMAT = 1  # raised when an API is sent something else for the same text and settings


def api_store_key(settings: ApiEncoderSettings) -> str:
    """A folder name for everything an API's vector depends on but its text.

    No digest of our code is in it: an edit that changes nothing of what is sent would have every
    text paid for again.
    """
    api = settings.api
    # "width" is what the key's name was when the first vectors were paid for.
    parts = {"base_url": api.base_url, "model": api.model, "width": api.dim}
    parts |= {"send_dimensions": api.send_dimensions, "counter": counter_for(settings).name}
    parts |= {"prompt": settings.prompt, "max_tokens": settings.max_tokens, "api": API_FORMAT}
    return folder_name(parts)


@dataclass(frozen=True)
class Estimate:
    """What the new texts of a catalog take, before anything is sent.

    ``n_texts`` are distinct, ``n_known`` of them in the store; the other numbers are of the rest.
    """

    n_texts: int
    n_known: int
    n_truncated: int
    n_requests: int
    n_tokens: int
    counted_by: str
    cost_usd: float | None

    def __str__(self) -> str:
        cost = "no price given" if self.cost_usd is None else f"{self.cost_usd:.4f} US dollars"
        return (
            f"{self.n_texts} texts, {self.n_known} of them in the store; the rest: "
            f"{self.n_requests} requests, {self.n_tokens} tokens ({self.counted_by}), "
            f"{self.n_truncated} truncated, {cost}"
        )


def estimate(texts: pl.DataFrame, settings: ApiEncoderSettings, store: VectorStore) -> Estimate:
    """What the texts would take; nothing is sent, and no key is needed.

    Args:
        texts: As ``distinct_texts`` gives them.
        settings: The API and what it encodes.
        store: Vectors made in this way before.
    """
    price = settings.api.price
    is_known = store.load(
        texts["text_sha256"], np.empty((len(texts), settings.api.dim), np.float32)
    )
    inputs = inputs_of(texts.filter(pl.Series(~is_known)), settings)
    n_tokens = int(inputs.lengths.sum())
    return Estimate(
        n_texts=len(texts),
        n_known=int(is_known.sum()),
        n_truncated=int(inputs.is_truncated.sum()),
        n_requests=len(requests_of(inputs.lengths, settings)),
        n_tokens=n_tokens,
        counted_by=inputs.counted_by,
        cost_usd=None if price is None else n_tokens * price / 1e6,
    )


def request_texts(
    texts: pl.DataFrame, settings: ApiEncoderSettings, store: VectorStore
) -> tuple[Embedded, str]:
    """One vector per text as the API gives it, out of the store or new.

    Returns:
        The vectors, and how tokens were counted.

    Raises:
        InputError: no key, a text that cannot be sent, or a server that does not answer as it
            should; whatever was answered before is in the store.
    """
    inputs = inputs_of(texts, settings)
    embedded = embed_new(
        texts,
        inputs.lengths,
        inputs.is_truncated,
        dim=settings.api.dim,
        store=store,
        batches=lambda is_known: _answers(texts, inputs, settings, np.flatnonzero(~is_known)),
    )
    return embedded, inputs.counted_by


@dataclass(frozen=True)
class Inputs:
    """What is sent of each of n texts: inside the prompt, cut where it is too long.

    ``lengths`` (n,) int64 are tokens, ``is_truncated`` (n,) is True where a text lost its end.
    """

    texts: pl.Series
    lengths: np.ndarray
    is_truncated: np.ndarray
    counted_by: str


class Characters:
    """Counts and cuts by characters, so many a token: an estimate that needs no tokenizer."""

    def __init__(self, chars_per_token: float) -> None:
        self._rate = chars_per_token
        self.name = f"{chars_per_token:g} characters a token"

    def count(self, texts: pl.Series) -> np.ndarray:
        """Tokens of each text, rounded up."""
        return np.ceil(texts.str.len_chars().to_numpy() / self._rate).astype(np.int64)

    def cut(self, text: str, before: str, after: str, most: int) -> str:
        """As much of the beginning of ``text`` as fits ``most`` tokens between the two."""
        room = math.floor(most * self._rate) - len(before) - len(after)
        return text[: max(room, 0)]


class Tokenizer:
    """Counts and cuts with the model's own tokenizer, out of its ``tokenizer.json``."""

    def __init__(self, path: Path) -> None:
        import tokenizers

        file = path / "tokenizer.json" if path.is_dir() else path
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(file))
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
        """As ``Characters.cut``; again while two halves of a word count more than one whole."""
        while text:
            encoded = self._tokenizer.encode(before + text + after)
            surplus = len(encoded) - most
            if surplus <= 0:
                break
            starts = starts_of(encoded.offsets, before, text)
            text = text[: starts[-surplus]] if len(starts) > surplus else ""
        return text


def counter_for(settings: ApiEncoderSettings) -> Characters | Tokenizer:
    """The counter that the settings name; InputError where its tokenizer cannot be read."""
    if settings.api.tokenizer:
        return Tokenizer(Path(settings.api.tokenizer))
    return Characters(settings.api.chars_per_token)


def inputs_of(texts: pl.DataFrame, settings: ApiEncoderSettings) -> Inputs:
    """What is sent of each text.

    Raises:
        InputError: nothing of a text is left to send, or it was blank; its item is named.
    """
    counter, most = counter_for(settings), settings.max_tokens
    before, after = settings.prompt.split(TEXT)
    inputs = (before + texts["text"] + after).alias("input")
    lengths = counter.count(inputs)
    is_truncated = lengths > most
    rows = np.flatnonzero(is_truncated)
    if len(rows):
        long = texts["text"].gather(rows)
        cut = [before + counter.cut(text, before, after, most) + after for text in long]
        inputs = inputs.scatter(rows, cut)
        lengths[rows] = counter.count(inputs.gather(rows))
    blank = np.flatnonzero(inputs.str.strip_chars().str.len_bytes().to_numpy() == 0)
    if len(blank):  # which servers refuse, and with it the whole request
        row = int(blank[0])
        raise InputError(
            f"item '{texts['item_id'][row]}': its text {texts['text'][row][:60]!r} is blank, as "
            f"are {len(blank) - 1} others; set a prompt or another item text."
        )
    if (lengths > most).any():
        raise InputError(
            f"max_tokens = {most} leaves no room for the text of item "
            f"'{texts['item_id'][int(np.argmax(lengths > most))]}' beside a prompt of "
            f"{len(before + after)} characters."
        )
    return Inputs(inputs, lengths, is_truncated, counter.name)


def requests_of(lengths: np.ndarray, settings: ApiEncoderSettings) -> list[np.ndarray]:
    """Rows (n,) in requests under both caps, in order; a row beyond the cap is a request alone."""
    api = settings.api
    ends, requests, start = np.cumsum(lengths), [], 0
    while start < len(lengths):
        before = ends[start - 1] if start else 0
        stop = int(np.searchsorted(ends, before + api.max_request_tokens, side="right"))
        stop = max(min(stop, start + api.max_inputs), start + 1)
        requests.append(np.arange(start, stop))
        start = stop
    return requests


def _answers(
    texts: pl.DataFrame, inputs: Inputs, settings: ApiEncoderSettings, rows: np.ndarray
) -> Iterator[Batch]:
    """(rows, vectors) in the order in which they come.

    After the first failure nothing more is sent, but what is on its way is waited for and given:
    it is paid for.
    """
    if not len(rows):
        return
    client, failure = ApiClient(settings.api), None
    waiting = [rows[request] for request in requests_of(inputs.lengths[rows], settings)][::-1]
    with ThreadPoolExecutor(settings.api.concurrency) as pool:
        sent: set[Future] = set()
        try:
            while sent or (waiting and not failure):
                while waiting and not failure and len(sent) < settings.api.concurrency:
                    request = waiting.pop()
                    sent.add(pool.submit(_request, client, texts, inputs.texts, request, settings))
                finished, sent = wait(sent, return_when=FIRST_COMPLETED)
                for batches, fault in (future.result() for future in finished):
                    yield from batches
                    failure = failure or fault
                if failure:
                    client.stop()
        finally:
            client.stop()
    log.info(
        "%d requests answered; the server counted %d tokens", client.n_requests, client.n_tokens
    )
    if failure:
        raise failure


def _request(
    client: ApiClient,
    texts: pl.DataFrame,
    inputs: pl.Series,
    rows: np.ndarray,
    settings: ApiEncoderSettings,
) -> tuple[list[Batch], Exception | None]:
    """Send one request; in halves, and halves of these, where the server finds it too large.

    Returns:
        Its parts that were answered, and why the rest was not. A defect of ours is returned too:
        raised here, it would cost what others are answered.
    """
    answered, waiting = [], [rows]
    while waiting:
        part = waiting.pop()
        try:
            vectors = client.embed(inputs.gather(part).to_list())
            check_vectors(vectors, part, texts)
            answered.append((part, vectors))
        except RejectedError as refusal:
            if len(part) == 1:
                row = int(part[0])
                return answered, _rejected(texts["item_id"][row], inputs[row], settings, refusal)
            half = len(part) // 2
            log.info("%d texts in one request: %s; sending halves", len(part), refusal)
            waiting += [part[half:], part[:half]]
        except StoppedError:
            break
        except Exception as failure:  # raised once the others have answered
            return answered, failure
    return answered, None


def _rejected(
    item_id: str, text: str, settings: ApiEncoderSettings, refusal: RejectedError
) -> InputError:
    """Servers say 400 to a wrong model as to a long text; their own line tells which it is."""
    api = settings.api
    dim = f" with dimensions = {api.dim}" if api.send_dimensions else ""
    return InputError(
        f"item '{item_id}': the server refuses its text of {len(text)} characters alone, "
        f"{refusal}. Either it refuses model '{api.model}'{dim}, whatever the text, or this text, "
        "and a smaller max_tokens may help. What was answered is kept."
    )
