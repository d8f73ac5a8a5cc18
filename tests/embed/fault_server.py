"""A server on loopback that speaks OpenAI's /embeddings and does wrong on request."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

KEY = "sk-very-secret/0123456789+abc"
DIM = 8
PATIENCE_S = 60.0
FOREVER_S = 3600.0  # longer than any test; the thread that sleeps holds nobody up


def vector_of(text: str, dim: int = DIM) -> np.ndarray:
    """The vector that the server gives a text: the same each time, never zero."""
    digest = hashlib.sha256(text.encode()).digest() * (4 * dim // 32 + 1)
    return np.frombuffer(digest, np.uint8)[:dim].astype(np.float32) / 256 + 0.5


@dataclass
class Call:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    payload: dict
    at: float

    @property
    def texts(self) -> list[str]:
        return self.payload["input"]


@dataclass
class Reply:
    """What is sent back; ``body`` None means the right vectors."""

    status: int = 200
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0  # before anything is sent
    lose: int = 0  # last bytes that are not sent, and how long the connection then stays open
    open_s: float = 0.0


@dataclass
class FaultServer:
    """The calls that came, and what decides the reply to each."""

    url: str = ""
    calls: list[Call] = field(default_factory=list)
    reply: Callable[[int, Call], Reply | None] = lambda number, call: None
    n_at_once: int = 0
    most_at_once: int = 0
    came: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, n_calls: int) -> None:
        """Return when so many calls have come, whatever the machine has to do besides."""
        with self.came:
            assert self.came.wait_for(lambda: len(self.calls) >= n_calls, PATIENCE_S)

    def texts_sent(self) -> list[str]:
        return [text for call in self.calls for text in call.texts]


def rows_of(call: Call, dim: int | None = None) -> list[dict]:
    """The right ``data`` of an answer, in the order of the texts."""
    vectors = [vector_of(text, dim or call.payload.get("dimensions", DIM)) for text in call.texts]
    if call.payload["encoding_format"] == "base64":
        coded = [base64.b64encode(vector.tobytes()).decode() for vector in vectors]
    else:
        coded = [vector.tolist() for vector in vectors]
    return [{"index": index, "embedding": each} for index, each in enumerate(coded)]


def body_of(rows: list[dict], n_tokens: int = 0) -> bytes:
    """An answer of these vectors, the last first."""
    return json.dumps({"data": rows[::-1], "usage": {"total_tokens": n_tokens}}).encode()


def error(status: int, message: str, headers: dict | None = None, **more: str) -> Reply:
    """A refusal as OpenAI words it."""
    body = json.dumps({"error": {"message": message, **more}}).encode()
    return Reply(status, body, headers or {})


@contextmanager
def fault_server() -> Iterator[FaultServer]:
    """A running server; it is shut down at the end."""
    state = FaultServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            headers = {name.title(): value for name, value in self.headers.items()}
            call = Call(self.path, headers, payload, time.monotonic())
            with state.came:
                number = len(state.calls)
                state.calls.append(call)
                state.came.notify_all()
                state.n_at_once += 1
                state.most_at_once = max(state.most_at_once, state.n_at_once)
            reply = state.reply(number, call) or Reply()
            time.sleep(reply.seconds)
            with state.came:
                state.n_at_once -= 1
            body = reply.body
            if body is None:
                body = body_of(rows_of(call), sum(map(len, call.texts)))
            try:
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) - reply.lose])
                time.sleep(reply.open_s)
            except (BrokenPipeError, ConnectionResetError):
                pass
            self.close_connection = bool(reply.lose)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
