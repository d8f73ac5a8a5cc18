"""Settings of an API encoder for the fault server, whose url is its ``base_url``."""

from tests.embed.fault_server import DIM

CONNECTION = {
    "model": "toy",
    "key_variable": "ACE_TEST_KEY",
    "dim": DIM,
    "max_inputs": 4,
    "concurrency": 1,
    "timeout_s": 20,
    "attempts": 3,
    "price": 0.5,
}
SETTINGS = {"prompt": "{text}", "max_tokens": 100, "normalize": False}
