"""A client of OpenAI-compatible /embeddings: one request that is sent until it is answered.

The key goes into one header and nowhere else: no message of ours is built from a library's own
words, which may quote headers, and a server's words pass through ``without_secret`` first.
"""

import logging
import os
import random
import threading
import time
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import numpy as np
import requests
import tenacity
import urllib3

from ace_steps.embed.api_answers import (
    Answer,
    UnusableAnswerError,
    WrongDimError,
    error_code,
    read_answer,
    reason_of,
    without_secret,
)
from ace_steps.embed.settings import ApiConnection
from ace_steps.errors import InputError

log = logging.getLogger(__name__)

FIRST_WAIT_S = 1.0  # the back-off before the second attempt, at most; doubled with each
LONGEST_WAIT_S = 60.0
LONGEST_REST_S = 900.0  # a server that wants more is left alone: what is done is kept
PIECE_BYTES = 2**16
TOO_LARGE = (400, 413, 422)  # what servers answer to a batch, or one text, beyond their limits
WRONG_KEY = (401, 403)
RETRIED = (408, 409, 425, 429)  # and everything from 500 on
NO_MONEY = "insufficient_quota"  # a 429 that no waiting ends


class RejectedError(Exception):
    """The server finds fault with the inputs; fewer of them may pass."""


class StoppedError(Exception):
    """Another request has failed for good; this one was not sent, or not again."""


class _TryAgainError(Exception):
    """A failure that may pass; ``rest_s`` is how long the server wants to be left alone."""

    def __init__(self, reason: str, rest_s: float = 0.0) -> None:
        super().__init__(reason)
        self.rest_s = rest_s


class ApiClient:
    """Sends texts and gets vectors; several threads may use one client at once."""

    def __init__(self, connection: ApiConnection) -> None:
        """Take the key from the environment.

        Raises:
            InputError: the variable that the settings name holds no key.
        """
        self._connection = connection
        self._url = f"{connection.base_url}/embeddings"
        self._key = _key(connection)
        self._local = threading.local()
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
            retry=tenacity.retry_if_exception_type(_TryAgainError),
            stop=tenacity.stop_after_attempt(self._connection.attempts),
            wait=_wait,
            sleep=self._stopped.wait,
            before_sleep=self._say,
            reraise=True,
        )
        try:
            answer = retrying(self._ask, texts)
        except _TryAgainError as failure:
            raise self._refusal(
                f"{failure}, after {self._connection.attempts} attempts; "
                "what is done is kept, run again to go on"
            ) from None
        with self._lock:
            self.n_requests += 1
            self.n_tokens += answer.n_tokens or 0
        return answer.vectors

    def asked_for(self) -> str:
        """What every request asks for beside its texts, in words."""
        wanted = self._connection
        dim = f" with dimensions = {wanted.dim}" if wanted.send_dimensions else ""
        return f"model '{wanted.model}'{dim}"

    def stop(self) -> None:
        """Send nothing more; whoever waits for another attempt gives up."""
        self._stopped.set()

    def _ask(self, texts: list[str]) -> Answer:
        """Send one request once."""
        self._rest()
        status, headers, body = self._post(texts)
        if status == requests.codes.ok:
            return self._read(body, len(texts))
        reason = self._reason(body)
        if status in TOO_LARGE:
            raise RejectedError(f"HTTP {status}{reason}")
        if status in WRONG_KEY:
            raise self._refusal(f"HTTP {status}, {self._whose_key()} is refused{reason}")
        if (status in RETRIED and error_code(body) != NO_MONEY) or status >= 500:
            rest_s = _rest_s(headers.get("Retry-After"))
            if rest_s > LONGEST_REST_S:
                raise self._refusal(
                    f"HTTP {status}, and wants to be left alone for {rest_s:.0f} s; "
                    "what is done is kept, run again then"
                )
            with self._lock:
                self._quiet_until = max(self._quiet_until, time.monotonic() + rest_s)
            raise _TryAgainError(f"HTTP {status}{reason}", rest_s)
        if 300 <= status < 400:
            raise self._refusal(f"HTTP {status}, a redirection, which a key does not follow")
        raise self._refusal(f"HTTP {status} for model '{self._connection.model}'{reason}")

    def _post(self, texts: list[str]) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body; the whole exchange within ``timeout_s``."""
        most_s = self._connection.timeout_s
        until = time.monotonic() + most_s
        try:
            with self._session().post(
                self._url,
                json=self._payload(texts),
                timeout=most_s,
                allow_redirects=False,
                stream=True,
            ) as answer:
                body = bytearray()
                # read1 returns what has come: a server that dribbles meets the deadline too.
                while piece := answer.raw.read1(PIECE_BYTES, decode_content=True):
                    body += piece
                    if time.monotonic() > until:
                        raise _TryAgainError(f"no whole answer within {most_s:g} s")
                return answer.status_code, answer.headers, bytes(body)
        except requests.exceptions.SSLError:
            raise self._refusal("its certificate is not trusted, or it speaks no TLS") from None
        except (OSError, urllib3.exceptions.HTTPError) as failure:
            is_slow = "Timeout" in type(failure).__name__
            what = f"no answer within {most_s:g} s" if is_slow else "no connection, or it broke"
            raise _TryAgainError(f"{what} ({type(failure).__name__})") from None

    def _payload(self, texts: list[str]) -> dict:
        wanted = self._connection
        payload = {
            "model": wanted.model,
            "input": texts,
            "encoding_format": wanted.encoding_format,
        }
        return payload | ({"dimensions": wanted.dim} if wanted.send_dimensions else {})

    def _read(self, body: bytes, n_inputs: int) -> Answer:
        try:
            return read_answer(body, n_inputs, self._connection.dim)
        except UnusableAnswerError as fault:
            raise _TryAgainError(f"an answer that cannot be used: {fault}") from None
        except WrongDimError as fault:
            raise self._refusal(f"{fault}; what is done is kept") from None

    def _session(self) -> requests.Session:
        """This thread's own: a session is not safe to share."""
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            # As an auth object, so that a .netrc of the machine cannot put another one in place.
            self._local.session.auth = self._sign
        return self._local.session

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request

    def _rest(self) -> None:
        """Wait while the server wants no request from anyone; give up if ``stop`` was called."""
        with self._lock:
            seconds = self._quiet_until - time.monotonic()
        if self._stopped.wait(max(seconds, 0)):
            raise StoppedError

    def _say(self, state: tenacity.RetryCallState) -> None:
        log.info(
            "%s: %s; attempt %d of %d, the next in %.1f s",
            *(self._url, state.outcome.exception(), state.attempt_number),
            *(self._connection.attempts, state.next_action.sleep),
        )

    def _refusal(self, what: str) -> InputError:
        return InputError(f"{self._url}: {what}.")

    def _reason(self, body: bytes) -> str:
        reason = without_secret(reason_of(body), self._key).rstrip(". ")
        return f" ({reason})" if reason else ""

    def _whose_key(self) -> str:
        name = self._connection.key_variable
        return f"the key in {name}" if name else "a request without a key (key_variable is null)"


def _key(connection: ApiConnection) -> str | None:
    """The key, or None where the settings want none."""
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


def _wait(state: tenacity.RetryCallState) -> float:
    """Seconds to the next attempt: what the server asks for, and a random back-off on top."""
    highest = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (state.attempt_number - 1))
    return state.outcome.exception().rest_s + random.uniform(0, highest)


def _rest_s(header: str | None) -> float:
    """Seconds that a Retry-After header asks for; 0 where there is none, or none to be read."""
    if not header:
        return 0.0
    try:
        return max(0.0, float(header)) if float(header) == float(header) else 0.0
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except (ValueError, TypeError):
        return 0.0
