"""A client of OpenAI-compatible /embeddings: one request that is sent until it is answered.

The ``openai`` package sends; what is tried again, and when, is decided here. Its own retries wait
at insufficient_quota, cut a Retry-After short and know nothing of other requests. The key goes into
one header and nowhere else: no message is built from a library's own words, which may quote
headers, and a server's words pass through ``without_secret`` first.
"""

import base64
import json
import logging
import os
import random
import ssl
import threading
import time
from email.utils import parsedate_to_datetime
from urllib.parse import quote, urlsplit

import numpy as np
import tenacity

from ace_steps.embed.settings import ApiConnection
from ace_steps.errors import InputError

log = logging.getLogger(__name__)

FIRST_WAIT_S = 1.0  # the back-off before the second attempt, at most; doubled with each
LONGEST_WAIT_S = 60.0
LONGEST_REST_S = 900.0  # a server that wants more is left alone: what was answered is kept
LONGEST_REASON = 200  # characters of a server's own words in one of our lines
SENT = ("accept", "content-type", "user-agent")  # headers beside the key
TOO_LARGE = (400, 413, 422)  # what servers answer to a batch, or one text, beyond their limits
WRONG_KEY = (401, 403)
RETRIED = (408, 409, 425, 429)  # and everything from 500 on
NO_MONEY = "insufficient_quota"  # a 429 that no waiting ends
MALFORMED = (  # what a body raises that is no JSON of vectors
    *(ValueError, TypeError, KeyError, AttributeError),
    *(OverflowError, RecursionError),  # a number of hundreds of digits, brackets in brackets
)


class RejectedError(Exception):
    """The server finds fault with the inputs; fewer of them may pass."""


class StoppedError(Exception):
    """Another request has failed for good; this one was not sent, or not again."""


class TryAgainError(Exception):
    """A failure that may pass; ``rest_s`` is how long the server wants to be left alone."""

    def __init__(self, reason: str, rest_s: float = 0.0) -> None:
        super().__init__(reason)
        self.rest_s = rest_s


class WrongDimError(Exception):
    """Whole vectors of another dim: another model, which asking again does not change."""


class ApiClient:
    """Sends texts and gets vectors; several threads may use one client at once.

    Raises:
        InputError: the variable that the settings name holds no key.
    """

    def __init__(self, connection: ApiConnection) -> None:
        import openai  # half a second

        self._connection = connection
        self._url = f"{connection.base_url}/embeddings"
        self._key = _key(connection)
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
        self._quiet_until = 0.0  # by time.monotonic(); a rest that the server asked for
        self.n_requests, self.n_tokens = 0, 0  # answered, and as the server counted them

    def embed(self, texts: list[str]) -> np.ndarray:
        """Vectors (texts, dim) float32 of one request.

        Raises:
            RejectedError: the server refuses these inputs.
            StoppedError: ``stop`` was called.
            InputError: anything else that asking again does not help, or did not.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TryAgainError),
            stop=tenacity.stop_after_attempt(self._connection.attempts),
            wait=_wait,
            sleep=self._stopped.wait,
            before_sleep=self._log_attempt,
            reraise=True,
        )
        try:
            vectors, n_tokens = retrying(self._attempt, texts)
        except TryAgainError as failure:
            raise self._error(
                f"{failure}, after {self._connection.attempts} attempts; "
                "what was answered is kept, run again to go on"
            ) from None
        with self._lock:
            self.n_requests += 1
            self.n_tokens += n_tokens
        return vectors

    def stop(self) -> None:
        """Send nothing more; whoever waits for another attempt gives up."""
        self._stopped.set()

    def _attempt(self, texts: list[str]) -> tuple[np.ndarray, int]:
        """Send one request once, after the rest that the server may have asked for."""
        with self._lock:
            rest_s = self._quiet_until - time.monotonic()
        if self._stopped.wait(max(rest_s, 0)):
            raise StoppedError
        status, headers, body = self._post(texts)
        if status == 200:
            try:
                return read_answer(body, len(texts), self._connection.dim)
            except WrongDimError as fault:
                raise self._error(f"{fault}; what was answered is kept") from None
        words = without_secret(reason_of(body), self._key).rstrip(". ")
        reason = f"HTTP {status} ({words})" if words else f"HTTP {status}"
        if status in TOO_LARGE:
            raise RejectedError(reason)
        if status in WRONG_KEY:
            name = self._connection.key_variable
            key = f"the key in {name}" if name else "a request without a key (key_variable: null)"
            raise self._error(f"{key} is refused, {reason}")
        if (status in RETRIED and error_code(body) != NO_MONEY) or status >= 500:
            self._rest(reason, _rest_s(headers.get("Retry-After")))
        if 300 <= status < 400:
            raise self._error(f"{reason}, a redirection, which a key does not follow")
        raise self._error(f"{reason} for model '{self._connection.model}'")

    def _rest(self, reason: str, rest_s: float) -> None:
        """Have every request wait as long as the server asks for, and this one tried again."""
        if rest_s > LONGEST_REST_S:
            raise self._error(
                f"{reason}; it asks for a rest of {rest_s:.0f} s; what was answered is kept, "
                "run again then"
            )
        with self._lock:
            self._quiet_until = max(self._quiet_until, time.monotonic() + rest_s)
        raise TryAgainError(reason, rest_s)

    def _post(self, texts: list[str]) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body; the whole exchange within ``timeout_s``."""
        import httpx2
        import openai

        api = self._connection
        deadline = time.monotonic() + api.timeout_s
        request = self._client.embeddings.with_streaming_response.create(
            model=api.model,
            input=texts,
            encoding_format=api.encoding_format,
            dimensions=api.dim if api.send_dimensions else openai.omit,
            extra_headers=self._headers,
        )
        try:
            with request as response:
                body = bytearray()
                for piece in response.iter_bytes():  # as it comes: the deadline is of the whole
                    body += piece
                    if time.monotonic() > deadline:
                        raise TryAgainError(f"no whole answer within {api.timeout_s:g} s")
                return response.status_code, response.headers, bytes(body)
        except openai.APIStatusError as refusal:
            return refusal.status_code, refusal.response.headers, refusal.response.content
        except (openai.APIConnectionError, httpx2.HTTPError) as failure:
            causes = _causes(failure)
            if any(isinstance(cause, ssl.SSLError) for cause in causes):
                raise self._error("its certificate is not trusted, or it speaks no TLS") from None
            is_slow = any(isinstance(cause, httpx2.TimeoutException) for cause in causes)
            what = f"no answer within {api.timeout_s:g} s" if is_slow else "no connection"
            raise TryAgainError(f"{what} ({type(causes[-1]).__name__})") from None

    def _log_attempt(self, state: tenacity.RetryCallState) -> None:
        log.info(
            "%s: %s; attempt %d of %d, the next in %.1f s",
            *(self._url, state.outcome.exception(), state.attempt_number),
            *(self._connection.attempts, state.next_action.sleep),
        )

    def _error(self, what: str) -> InputError:
        return InputError(f"{self._url}: {what}.")


def read_answer(body: bytes, n_inputs: int, dim: int) -> tuple[np.ndarray, int]:
    """Vectors (inputs, dim) float32 in the order of the inputs, and tokens as the server counted.

    Args:
        body: JSON as OpenAI's /embeddings gives it; vectors as numbers or as base64 of
            little-endian float32.
        n_inputs: How many there must be.
        dim: Entries each must have.

    Raises:
        TryAgainError: not JSON, not whole, not one finite vector for each input.
        WrongDimError: a vector of another dim.
    """
    try:
        content = json.loads(body)
        rows = content["data"]
        order = [row["index"] for row in rows]
        vectors = [_vector(row["embedding"]) for row in rows]
        n_tokens = (content.get("usage") or {}).get("total_tokens")
    except MALFORMED:
        raise TryAgainError(f"expected JSON of vectors, got {len(body)} other bytes") from None
    if len(rows) != n_inputs or sorted(map(str, order)) != sorted(map(str, range(n_inputs))):
        raise TryAgainError(f"expected {n_inputs} vectors, got {len(rows)}, or one twice")
    for vector in vectors:
        if len(vector) != dim:
            raise WrongDimError(f"expected vectors of dim = {dim}, got {len(vector)} entries")
    matrix = np.empty((n_inputs, dim), np.float32)
    matrix[np.array(order, int)] = np.stack(vectors)
    if not np.isfinite(matrix).all():
        raise TryAgainError("a vector that holds NaN or infinity")
    return matrix, n_tokens if isinstance(n_tokens, int) else 0


def _vector(coded: str | list) -> np.ndarray:
    """One vector, (entries,) float32; raises ValueError or TypeError where it is none."""
    if isinstance(coded, str):
        return np.frombuffer(base64.b64decode(coded, validate=True), "<f4")
    with np.errstate(over="ignore"):  # becomes infinity, which is refused
        vector = np.array(coded, np.float32)
    if vector.ndim != 1:
        raise ValueError("no list of numbers")
    return vector


def reason_of(body: bytes) -> str:
    """A server's own words for a refusal, whole; empty where there are none."""
    text = body.decode("utf-8", errors="replace")
    try:
        content = json.loads(text)
        for key in ("error", "message", "detail"):
            content = content.get(key, content) if isinstance(content, dict) else content
        text = content if isinstance(content, str) else json.dumps(content)
    except MALFORMED:
        pass
    return " ".join(text.split())


def error_code(body: bytes) -> str:
    """The ``code`` or ``type`` of an OpenAI error; empty where there is none."""
    try:
        error = json.loads(body)["error"]
        return str(error.get("code") or error.get("type") or "")
    except MALFORMED:
        return ""


def without_secret(text: str, secret: str | None) -> str:
    """A text in which nothing of the secret is left, then cut to a line's length.

    In this order: a secret that was cut in half first would not be found.
    """
    forms = {secret, quote(secret, safe=""), json.dumps(secret)[1:-1]} if secret else set()
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "***")
    return text[:LONGEST_REASON]


def _key(connection: ApiConnection) -> str | None:
    """The key, or None where the settings name none."""
    name = connection.key_variable
    if name is None:
        return None
    key = os.environ.get(name, "").strip()
    if not key:
        raise InputError(
            f"the environment variable {name}, which should hold the key of "
            f"{connection.base_url}, is not set."
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise InputError(f"the environment variable {name} holds what can be no key.")
    host = urlsplit(connection.base_url)
    if host.scheme == "http" and host.hostname not in ("localhost", "127.0.0.1", "::1"):
        log.warning("%s is not https: the key travels unencrypted", connection.base_url)
    return key


def _causes(failure: BaseException) -> list[BaseException]:
    """A failure, what caused it, what caused that, and so on; openai and httpx wrap several."""
    causes = [failure]
    while cause := causes[-1].__cause__ or causes[-1].__context__:
        causes.append(cause)
    return causes


def _wait(state: tenacity.RetryCallState) -> float:
    """Seconds to the next attempt: what the server asks for, and a random back-off on top."""
    highest = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (state.attempt_number - 1))
    return state.outcome.exception().rest_s + random.uniform(0, highest)


def _rest_s(header: str | None) -> float:
    """Seconds that a Retry-After header asks for; 0 where there is none, or none to be read."""
    try:
        seconds = float(header or 0)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - time.time()
        except (ValueError, TypeError):
            return 0.0
    return max(0.0, seconds) if seconds == seconds else 0.0
