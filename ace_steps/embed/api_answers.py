"""What an OpenAI-compatible server answers: vectors that can be used, or the reason why not."""

import base64
import binascii
import json
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np

MALFORMED = (  # what a body raises that is no JSON of ours
    *(ValueError, TypeError, KeyError, AttributeError),
    *(OverflowError, RecursionError),  # a number of hundreds of digits, brackets in brackets
)
LONGEST_REASON = 200  # characters of a server's own words in one of our lines


class UnusableAnswerError(Exception):
    """An answer that is no vectors for the inputs; the same request may do better."""


class WrongDimError(Exception):
    """Whole vectors of another dim: another model, which asking again does not change."""


@dataclass(frozen=True)
class Answer:
    """Vectors of one request.

    Attributes:
        vectors: (inputs, dim) float32, in the order of the inputs.
        n_tokens: Tokens that the server counted; None where it does not say.
    """

    vectors: np.ndarray
    n_tokens: int | None


def read_answer(body: bytes, n_inputs: int, dim: int) -> Answer:
    """The vectors of an answer.

    Args:
        body: JSON as OpenAI's /embeddings gives it; vectors as numbers or as base64 of
            little-endian float32.
        n_inputs: How many there must be.
        dim: Entries each must have.

    Raises:
        UnusableAnswerError: not JSON, not whole, not one finite vector for each input.
        WrongDimError: a vector of another dim.
    """
    try:
        found = json.loads(body)
        rows = found["data"]
        order = [row["index"] for row in rows]
        vectors = [_vector(row["embedding"]) for row in rows]
        counted = (found.get("usage") or {}).get("total_tokens")
    except MALFORMED as fault:
        what = "JSON without vectors" if isinstance(fault, KeyError) else "no whole JSON of vectors"
        raise UnusableAnswerError(f"{what}, {len(body)} bytes") from None
    if len(rows) != n_inputs or sorted(map(str, order)) != sorted(map(str, range(n_inputs))):
        raise UnusableAnswerError(f"{len(rows)} vectors for {n_inputs} texts")
    other = next((len(vector) for vector in vectors if len(vector) != dim), None)
    if other is not None:
        raise WrongDimError(f"a vector of {other} entries, but dim = {dim}")
    matrix = np.empty((n_inputs, dim), np.float32)
    matrix[np.array(order, int)] = np.stack(vectors)
    if not np.isfinite(matrix).all():
        raise UnusableAnswerError("a vector that holds NaN or infinity")
    return Answer(matrix, counted if isinstance(counted, int) else None)


def reason_of(body: bytes) -> str:
    """A server's own words for a refusal, whole; empty where there are none."""
    text = body.decode("utf-8", errors="replace")
    try:
        found = json.loads(text)
        for key in ("error", "message", "detail"):
            found = found.get(key, found) if isinstance(found, dict) else found
        return " ".join((found if isinstance(found, str) else json.dumps(found)).split())
    except MALFORMED:
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


def _vector(found: str | list) -> np.ndarray:
    """One vector, (entries,) float32.

    Raises:
        ValueError: not base64 of whole numbers of four bytes, or not numbers.
        TypeError: neither a text nor a list.
    """
    if isinstance(found, str):
        try:
            return np.frombuffer(base64.b64decode(found, validate=True), "<f4")
        except binascii.Error as fault:
            raise ValueError(str(fault)) from None
    if not isinstance(found, list):
        raise TypeError(f"{type(found).__name__} is no vector")
    with np.errstate(over="ignore"):  # becomes infinity, which is refused
        vector = np.array(found, np.float32)
    if vector.ndim != 1:
        raise ValueError("a vector of vectors")
    return vector
