"""Texts and settings for the step request_vectors, and what its tests look for."""

import re

import numpy as np

from ace_steps.io.vectors import read_vectors
from tests.embed.fault_server import WIDTH, vector_of

TEXTS = [f"item number {number:02d}" for number in range(20)]
CONNECTION = {
    "model": "toy",
    "key_variable": "ACE_TEST_KEY",
    "dim": WIDTH,
    "send_dimensions": False,
    "encoding_format": "base64",
    "max_inputs": 4,
    "max_request_tokens": 1000,
    "concurrency": 1,
    "timeout_s": 20,
    "attempts": 3,
    "tokenizer": None,
    "chars_per_token": 4,
    "price": 0.5,
}
SETTINGS = {"prompt": "{text}", "max_tokens": 100, "truncate_dim": None, "normalize": False}


def last_line(log):
    return log.strip().splitlines()[-1]


def expected(texts):
    return np.stack([vector_of(text) for text in texts])


def found_in(path, items):
    """The shard's vectors in the order of the items' texts."""
    from ace_steps.io.files import sha256_text

    found = read_vectors(path, "text_sha256")
    places = {key: row for row, key in enumerate(found.ids)}
    return found.matrix[[places[sha256_text(text)] for text in items]]


def estimate_of(log):
    found = re.search(
        r"nothing sent: (\d+) texts, (\d+) of them in the store; the rest: (\d+) requests, "
        r"(\d+) tokens \((.+)\), (\d+) truncated, (.+)",
        last_line(log),
    )
    texts, known, requests, tokens = map(int, found.groups()[:4])
    return {"new": texts - known, "requests": requests, "tokens": tokens, "cost": found[7]}
