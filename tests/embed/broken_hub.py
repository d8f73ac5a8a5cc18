"""A hub of models on loopback that cannot be used: behind a proxy that refuses, or it breaks."""

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REPO, REVISION, N_BYTES = "own/model", "0" * 40, 1000
RESET = struct.pack("ii", 1, 0)  # on close the connection is reset, not ended


class _RefusingProxy(BaseHTTPRequestHandler):
    def do_CONNECT(self):
        self.send_error(403, "Forbidden")

    def log_message(self, *_):
        pass


class _BreakingHub(BaseHTTPRequestHandler):
    """Lists one file, says how long it is, and resets the connection in the middle of it."""

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("ETag", '"1234"')
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("Content-Length", str(N_BYTES))
        self.end_headers()

    def do_GET(self):
        if "/tree/" in self.path:
            self._list()
            return
        self.do_HEAD()
        self.wfile.write(b"x" * (N_BYTES // 2))
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.connection.close()

    def _list(self):
        file = {"type": "file", "path": "model.safetensors", "size": N_BYTES, "oid": "1234"}
        body = json.dumps([file]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def refusing_proxy() -> Iterator[dict[str, str]]:
    """The environment of a process that reaches a hub only through a proxy that says 403."""
    with _running(_RefusingProxy) as url:
        yield {"HF_ENDPOINT": "https://hub.invalid", "HTTPS_PROXY": url, "https_proxy": url}


@contextmanager
def breaking_hub() -> Iterator[dict[str, str]]:
    """The environment of a process whose hub breaks in the middle of a file."""
    with _running(_BreakingHub) as url:
        yield {"HF_ENDPOINT": url, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


@contextmanager
def _running(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.handle_error = lambda *_: None  # a connection that was reset on purpose
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
