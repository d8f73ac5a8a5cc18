"""The texts of a shard to a matrix of vectors, through an API: several requests at once."""

import logging
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from ace_steps.embed.api import ApiClient, RejectedError, StoppedError
from ace_steps.embed.api_texts import Inputs, counter_for, inputs_of, requests_of
from ace_steps.embed.embedded import Embedded, Sizes, embed_new
from ace_steps.embed.settings import ApiEncoderSettings
from ace_steps.embed.store import VectorStore
from ace_steps.embed.texts import check_vectors
from ace_steps.errors import InputError

log = logging.getLogger(__name__)

Batch = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Estimate:
    """What the new texts of a catalogue take, before anything is sent.

    Attributes:
        n_texts: Distinct texts.
        n_known: Of these, in the store.
        n_truncated: New texts that lose their end.
        n_requests: Requests for the rest.
        n_tokens: Their tokens.
        counted_by: How these were counted.
        cost_usd: Their price in US dollars; None where none is known.
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


def estimate(
    texts: pl.DataFrame, settings: ApiEncoderSettings, store: VectorStore | None
) -> Estimate:
    """What the texts would take; nothing is sent, and no key is needed.

    Args:
        texts: As ``distinct_texts`` gives them.
        settings: The API and what it reads.
        store: Vectors made in this way before; None where there are none.
    """
    api, is_known = settings.api, np.zeros(len(texts), bool)
    if store:
        is_known = store.load(texts["text_sha256"], np.empty((len(texts), api.dim), np.float32))
    inputs = inputs_of(texts.filter(pl.Series(~is_known)), settings, counter_for(settings))
    n_tokens = int(inputs.lengths.sum())
    return Estimate(
        n_texts=len(texts),
        n_known=int(is_known.sum()),
        n_truncated=int(inputs.is_truncated.sum()),
        n_requests=len(_requests(inputs.lengths, settings)),
        n_tokens=n_tokens,
        counted_by=inputs.counted_by,
        cost_usd=None if api.price is None else n_tokens * api.price / 1e6,
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
    inputs = inputs_of(texts, settings, counter_for(settings))
    found = embed_new(
        texts,
        Sizes(inputs.lengths, inputs.is_truncated),
        dim=settings.api.dim,
        store=store,
        batches=lambda is_known: _answers(texts, inputs, settings, np.flatnonzero(~is_known)),
    )
    return found, inputs.counted_by


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
    waiting = [rows[request] for request in _requests(inputs.lengths[rows], settings)][::-1]
    with ThreadPoolExecutor(settings.api.concurrency) as pool:
        sent: set[Future] = set()
        try:
            while sent or (waiting and not failure):
                while waiting and not failure and len(sent) < settings.api.concurrency:
                    sent.add(pool.submit(_ask, client, texts, inputs.texts, waiting.pop()))
                done, sent = wait(sent, return_when=FIRST_COMPLETED)
                for outcome in (future.result() for future in done):
                    yield from outcome.answered
                    failure = failure or outcome.failure
                if failure:
                    client.stop()
        finally:
            client.stop()
    log.info(
        "%d requests answered; the server counted %d tokens", client.n_requests, client.n_tokens
    )
    if failure:
        raise failure


@dataclass
class _Outcome:
    """What became of one request: its parts that were answered, and why the rest was not."""

    answered: list[Batch] = field(default_factory=list)
    failure: Exception | None = None


def _ask(client: ApiClient, texts: pl.DataFrame, sent: pl.Series, rows: np.ndarray) -> _Outcome:
    """Send one request; in halves, and halves of these, where the server finds it too large.

    A defect of ours is an outcome too: raised here, it would cost what others are answered.
    """
    outcome, waiting = _Outcome(), [rows]
    while waiting:
        part = waiting.pop()
        try:
            vectors = client.embed(sent.gather(part).to_list())
            check_vectors(vectors, part, texts)
            outcome.answered.append((part, vectors))
        except RejectedError as refusal:
            if len(part) == 1:
                row, asked_for = int(part[0]), client.asked_for()
                item_id, text = texts["item_id"][row], sent[row]
                outcome.failure = _rejected(item_id, text, asked_for=asked_for, refusal=refusal)
                break
            half = len(part) // 2
            log.info("%d texts in one request: %s; sending halves", len(part), refusal)
            waiting += [part[half:], part[:half]]
        except StoppedError:
            break
        except Exception as failure:  # raised once the others have answered
            outcome.failure = failure
            break
    return outcome


def _rejected(item_id: str, text: str, *, asked_for: str, refusal: RejectedError) -> InputError:
    """Servers say 400 to a wrong model as to a long text; their own line tells which it is."""
    return InputError(
        f"item '{item_id}': the server refuses its text of {len(text)} characters alone, "
        f"{refusal}. Either it refuses {asked_for}, whatever the text, or this text, and a smaller "
        "max_tokens may help. What is done is kept."
    )


def _requests(lengths: np.ndarray, settings: ApiEncoderSettings) -> list[np.ndarray]:
    caps = {"max_inputs": settings.api.max_inputs, "max_tokens": settings.api.max_request_tokens}
    return requests_of(lengths, **caps)
