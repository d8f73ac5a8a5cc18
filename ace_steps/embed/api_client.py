"""A client of OpenAI-compatible /embeddings: one request that is sent until it is answered.

The ``openai`` package sends; what is tried again, and when, is decided here. Its own retries wait
at insufficient_quota, cut a Retry-After short and know nothing of other requests. The key goes into
one header and nowhere else: what a server or a library says passes through ``without_secret``.
"""

import base64
import json
import logging
import os
import threading
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import numpy as np
import tenacity
from pydantic import BaseModel

from ace_steps.embed.settings import ApiConnection
from ace_steps.errors import InputError

if TYPE_CHECKING:
    import openai

log = logging.getLogger(__name__)

FIRST_WAIT_S = 1.0  # the back-off before the second attempt, at most; doubled with each
LONGEST_WAIT_S = 60.0
LONGEST_REST_S = 900.0  # a server that asks for more is left alone: what was answered is kept
LONGEST_REASON = 200  # characters of a server's own words in one of our lines
SENT = ("accept", "content-type", "user-agent")  # headers beside the key
TOO_LARGE = (400, 413, 422)  # what servers answer to a batch, or one text, beyond their limits
WRONG_KEY = (401, 403)
RETRIED = (408, 409, 425, 429)  # and everything from 500 on
NO_MONEY = "insufficient_quota"  # a 429 that no waiting ends


class RejectedError(Exception):
    """The server refuses the inputs; fewer of them may pass."""


class StoppedError(Exception):
    """The client was stopped; this request was not sent, or not again."""


class TryAgainError(Exception):
    """A failure that may pass."""


class ApiClient:
    """Sends texts and gets vectors; several threads may use one client at once.

    Raises:
        InputError: the variable that the settings name holds no key.
    """

    def __init__(self, connection: ApiConnection) -> None:
        import openai  # half a second

        self._connection = connection
        self._url = f"{connection.base_url}/embeddings"
        self._key = _read_key(connection)
        self._client = openai.OpenAI(
            base_url=connection.base_url,
            api_key=self._key or "none",
            max_retries=0,
            timeout=connection.timeout_s,
            http_client=openai.DefaultHttpxClient(follow_redirects=False),
        )
        # The package takes headers from OPENAI_* variables too; only these of its own are sent.
        names = [name for name in self._client.default_headers if name.lower() not in SENT]
        self._headers = dict.fromkeys(names, openai.Omit())
        self._headers["Authorization"] = f"Bearer {self._key}" if self._key else openai.Omit()
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._rest_until = 0.0  # by time.monotonic(); no request is sent before
        self.n_requests, self.n_tokens = 0, 0  # answered, and as the server counted them

    def embed(self, texts: list[str]) -> np.ndarray:
        """Vectors (texts, dim) float32 of one request.

        Raises:
            RejectedError: the server refuses these inputs.
            StoppedError: ``stop`` was called.
            InputError: anything else that asking again does not help, or did not.
        """
        api = self._connection
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TryAgainError),
            stop=tenacity.stop_after_attempt(api.attempts),
            wait=tenacity.wait_random_exponential(FIRST_WAIT_S, LONGEST_WAIT_S),
            sleep=self._stopped.wait,
            before_sleep=self._log_attempt,
            reraise=True,
        )
        try:
            vectors, n_tokens = retrying(self._attempt, texts)
        except TryAgainError as failure:
            raise self._error(f"{failure}, after {api.attempts} attempts") from None
        if vectors.shape[1] != api.dim:
            raise self._error(f"expected vectors of dim = {api.dim}, got {vectors.shape[1]}")
        with self._lock:
            self.n_requests += 1
            self.n_tokens += n_tokens
        return vectors

    def stop(self) -> None:
        """Send nothing more; whoever waits for another attempt gives up."""
        self._stopped.set()

    def _attempt(self, texts: list[str]) -> tuple[np.ndarray, int]:
        """Send one request once, after the rest that the server may have asked for."""
        import httpx2
        import openai

        if self._stopped.wait(max(self._rest_until - time.monotonic(), 0)):
            raise StoppedError
        api = self._connection
        deadline, body = time.monotonic() + api.timeout_s, bytearray()
        request = self._client.embeddings.with_streaming_response.create(
            model=api.model,
            input=texts,
            encoding_format=api.encoding_format,
            dimensions=api.dim if api.send_dimensions else openai.omit,
            extra_headers=self._headers,
        )
        try:
            with request as response:
                for piece in response.iter_bytes():  # as it comes: the deadline is of the whole
                    body += piece
                    if time.monotonic() > deadline:
                        raise TryAgainError(f"no whole answer within {api.timeout_s:g} s")
        except openai.APIStatusError as refusal:
            raise self._refusal(refusal) from None
        except (openai.APITimeoutError, httpx2.TimeoutException):
            raise TryAgainError(f"no answer within {api.timeout_s:g} s") from None
        except (openai.APIConnectionError, httpx2.HTTPError) as failure:
            words = without_secret(str(failure.__cause__ or failure), self._key)
            raise TryAgainError(f"the connection failed ({words})") from None
        return read_answer(bytes(body), len(texts))

    def _refusal(self, refusal: "openai.APIStatusError") -> Exception:
        """What an answer other than 200 means; where the server asks for a rest, all requests do.

        OpenAI's errors have a ``message`` and a ``code``, those of other servers one of them or a
        text of their own.
        """
        status, words = refusal.status_code, refusal.body
        if isinstance(words, dict):
            words = words.get("message") or words
        words = without_secret(" ".join(str(words or "").split()), self._key).rstrip(". ")
        reason = f"HTTP {status} ({words}) for model '{self._connection.model}'"
        if status in TOO_LARGE:
            return RejectedError(reason)
        if status in WRONG_KEY:
            name = self._connection.key_variable
            key = f"the key in {name}" if name else "a request without a key (key_variable: null)"
            return self._error(f"{key} is refused, {reason}")
        is_passing = status in RETRIED or status >= 500
        if not is_passing or NO_MONEY in (refusal.code, refusal.type):
            return self._error(reason)
        rest_s = _rest_s(refusal.response.headers.get("Retry-After", ""))
        if rest_s:
            reason += f"; it asks for a rest of {rest_s:.0f} s"
        if rest_s > LONGEST_REST_S:
            return self._error(reason)
        with self._lock:
            self._rest_until = max(self._rest_until, time.monotonic() + rest_s)
        return TryAgainError(reason)

    def _log_attempt(self, state: tenacity.RetryCallState) -> None:
        counts = state.attempt_number, self._connection.attempts
        log.info("%s: %s; attempt %d of %d", self._url, state.outcome.exception(), *counts)

    def _error(self, what: str) -> InputError:
        return InputError(f"{self._url}: {what}; what was answered is kept, run again to go on.")


class _Row(BaseModel):
    index: int
    embedding: str | list[float]

    def vector(self) -> np.ndarray:
        if isinstance(self.embedding, str):
            return np.frombuffer(base64.b64decode(self.embedding, validate=True), "<f4")
        with np.errstate(over="ignore"):  # becomes infinity, which is refused
            return np.array(self.embedding, np.float32)


class _Answer(BaseModel):
    data: list[_Row]
    usage: dict | None = None


def read_answer(body: bytes, n_inputs: int) -> tuple[np.ndarray, int]:
    """Vectors (inputs, dim) float32 in the order of the inputs, and tokens as the server counted.

    Args:
        body: JSON as OpenAI's /embeddings gives it; vectors as numbers or as base64 of
            little-endian float32.
        n_inputs: How many there must be.

    Raises:
        TryAgainError: not JSON, not whole, not one finite vector for each input.
    """
    try:
        answer = _Answer.model_validate_json(body)
        rows = sorted(answer.data, key=lambda row: row.index)
        vectors = np.stack([row.vector() for row in rows])
    except ValueError:  # pydantic's too
        raise TryAgainError(f"expected JSON of vectors, got {len(body)} other bytes") from None
    if [row.index for row in rows] != list(range(n_inputs)):
        raise TryAgainError(f"expected {n_inputs} vectors, got {len(rows)}, or one twice")
    if not np.isfinite(vectors).all():
        raise TryAgainError("a vector that holds NaN or infinity")
    n_tokens = (answer.usage or {}).get("total_tokens")
    return vectors, n_tokens if isinstance(n_tokens, int) else 0


def without_secret(text: str, secret: str | None) -> str:
    """A text in which nothing of the secret is left, then cut to a line's length.

    In this order: a secret that was cut in half first would not be found.
    """
    forms = {secret, quote(secret, safe=""), json.dumps(secret)[1:-1]} if secret else set()
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "***")
    return text[:LONGEST_REASON]


def _read_key(connection: ApiConnection) -> str | None:
    """The key, or None where the settings name none."""
    name = connection.key_variable
    if name is None:
        return None
    key = os.environ.get(name, "").strip()
    if not key or not (key.isascii() and key.isprintable()) or " " in key:
        raise InputError(
            f"the environment variable {name}: expected the key of {connection.base_url}, got "
            f"{'what can be no key' if key else 'nothing'}."
        )
    host = urlsplit(connection.base_url)
    if host.scheme == "http" and host.hostname not in ("localhost", "127.0.0.1", "::1"):
        log.warning("%s is not https: the key travels unencrypted", connection.base_url)
    return key


def _rest_s(header: str) -> float:
    """Seconds that a Retry-After header asks for, as a number or a date; 0 if it is neither."""
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return 0.0
