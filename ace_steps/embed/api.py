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
from ace_steps.embed.settings import TEXT, ApiConnection, ApiEncoderSettings
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
    parts |= {"send_dimensions": api.send_dimensions, "counter": counter_for(api).name}
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
    api = settings.api
    is_known = store.load(texts["text_sha256"], np.empty((len(texts), api.dim), np.float32))
    inputs = inputs_of(texts.filter(pl.Series(~is_known)), settings)
    n_tokens = inputs["n_tokens"].sum()
    return Estimate(
        n_texts=len(texts),
        n_known=int(is_known.sum()),
        n_truncated=inputs["is_truncated"].sum(),
        n_requests=len(requests_of(inputs["n_tokens"].to_numpy(), api)),
        n_tokens=n_tokens,
        counted_by=counter_for(api).name,
        cost_usd=None if api.price is None else n_tokens * api.price / 1e6,
    )


def request_texts(
    texts: pl.DataFrame, settings: ApiEncoderSettings, store: VectorStore
) -> Embedded:
    """One vector per text as the API gives it, out of the store or new.

    Raises:
        InputError: no key, a text that cannot be sent, or a server that does not answer as it
            should; whatever was answered before is in the store.
    """
    inputs = inputs_of(texts, settings)
    return embed_new(
        texts,
        inputs["n_tokens"].to_numpy(),
        inputs["is_truncated"].to_numpy(),
        dim=settings.api.dim,
        store=store,
        batches=lambda is_known: _answers(inputs, settings.api, np.flatnonzero(~is_known)),
    )


class Characters:
    """Counts and cuts by characters, so many a token: an estimate that needs no tokenizer."""

    def __init__(self, chars_per_token: float) -> None:
        self._rate = chars_per_token
        self.name = f"{chars_per_token:g} characters a token"

    def count(self, texts: pl.Series) -> np.ndarray:
        """Tokens of each text, rounded up."""
        return np.ceil(texts.str.len_chars().to_numpy() / self._rate).astype(np.int64)

    def cut(self, text: str, before: str, after: str, max_tokens: int) -> str:
        """As much of the beginning of ``text`` as fits ``max_tokens`` between the two."""
        room = math.floor(max_tokens * self._rate) - len(before) - len(after)
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

    def cut(self, text: str, before: str, after: str, max_tokens: int) -> str:
        """As ``Characters.cut``; again while two halves of a word count more than one whole."""
        while text:
            encoded = self._tokenizer.encode(before + text + after)
            surplus = len(encoded) - max_tokens
            if surplus <= 0:
                break
            starts = starts_of(encoded.offsets, before, text)
            text = text[: starts[-surplus]] if len(starts) > surplus else ""
        return text


def counter_for(api: ApiConnection) -> Characters | Tokenizer:
    """The counter that the settings name; InputError where its tokenizer cannot be read."""
    return Tokenizer(Path(api.tokenizer)) if api.tokenizer else Characters(api.chars_per_token)


def inputs_of(texts: pl.DataFrame, settings: ApiEncoderSettings) -> pl.DataFrame:
    """The texts and what is sent of each.

    Returns:
        The columns of ``texts``; input, the text inside the prompt, cut where it is too long;
        n_tokens; and is_truncated, True where a text lost its end.

    Raises:
        InputError: nothing of a text is left to send, or it was blank; its item is named.
    """
    counter, max_tokens = counter_for(settings.api), settings.max_tokens
    before, after = settings.prompt.split(TEXT)
    inputs = before + texts["text"] + after
    n_tokens = counter.count(inputs)
    is_truncated = n_tokens > max_tokens
    rows = np.flatnonzero(is_truncated)
    if len(rows):
        cut = [counter.cut(text, before, after, max_tokens) for text in texts["text"].gather(rows)]
        inputs = inputs.scatter(rows, [before + text + after for text in cut])
        n_tokens[rows] = counter.count(inputs.gather(rows))
    is_blank = (inputs.str.strip_chars() == "").to_numpy()
    if is_blank.any():  # which servers refuse, and with it the whole request
        row = int(is_blank.argmax())
        raise InputError(
            f"item '{texts['item_id'][row]}': its text {texts['text'][row][:60]!r} is blank, as "
            f"are {is_blank.sum() - 1} others; set a prompt or another item text."
        )
    if (n_tokens > max_tokens).any():
        raise InputError(
            f"max_tokens = {max_tokens} leaves no room for the text of item "
            f"'{texts['item_id'][int(np.argmax(n_tokens > max_tokens))]}' beside the prompt."
        )
    columns = {"input": inputs, "n_tokens": n_tokens, "is_truncated": is_truncated}
    return texts.with_columns(pl.Series(name, values) for name, values in columns.items())


def requests_of(lengths: np.ndarray, api: ApiConnection) -> list[np.ndarray]:
    """Rows (n,) in requests under both caps, in order; a row beyond the cap is a request alone."""
    ends, requests, start = np.cumsum(lengths), [], 0
    while start < len(lengths):
        before = ends[start - 1] if start else 0
        stop = int(np.searchsorted(ends, before + api.max_request_tokens, side="right"))
        stop = max(min(stop, start + api.max_inputs), start + 1)
        requests.append(np.arange(start, stop))
        start = stop
    return requests


def _answers(inputs: pl.DataFrame, api: ApiConnection, rows: np.ndarray) -> Iterator[Batch]:
    """(rows, vectors) of some rows of ``inputs_of``, in the order in which they come.

    A request that the server finds too large is sent again in halves. After the first failure
    nothing more is sent, but what is on its way is waited for and given: it is paid for.
    """
    if not len(rows):
        return
    client, failure = ApiClient(api), None
    n_tokens = inputs["n_tokens"].to_numpy()[rows]
    waiting = [rows[request] for request in requests_of(n_tokens, api)][::-1]
    sent: dict[Future, np.ndarray] = {}
    with ThreadPoolExecutor(api.concurrency) as pool:
        try:
            while sent or (waiting and not failure):
                while waiting and not failure and len(sent) < api.concurrency:
                    request = waiting.pop()
                    sent[pool.submit(_send, client, inputs, request)] = request
                for future in wait(sent, return_when=FIRST_COMPLETED).done:
                    request, fault = sent.pop(future), future.exception()
                    if fault is None:
                        yield request, future.result()
                    elif isinstance(fault, RejectedError):
                        log.info("%d texts in one request: %s; in halves", len(request), fault)
                        waiting += np.array_split(request, 2)[::-1]
                    elif not isinstance(fault, StoppedError):
                        failure = failure or fault
                        client.stop()
        finally:
            client.stop()
    log.info(
        "%d requests answered; the server counted %d tokens", client.n_requests, client.n_tokens
    )
    if failure:
        raise failure


def _send(client: ApiClient, inputs: pl.DataFrame, rows: np.ndarray) -> np.ndarray:
    """Vectors of one request, all of them usable."""
    try:
        vectors = client.embed(inputs["input"].gather(rows).to_list())
    except RejectedError as refusal:
        if len(rows) > 1:
            raise
        # Servers say 400 to a wrong model as to a long text; their own words tell which it is.
        raise InputError(
            f"item '{inputs['item_id'][int(rows[0])]}': the server refuses its text alone, "
            f"{refusal}; where it is the text that it refuses, a smaller max_tokens may help. "
            "What was answered is kept."
        ) from None
    check_vectors(vectors, rows, inputs)
    return vectors
