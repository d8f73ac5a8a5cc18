"""Fetching: checked, resumed, retried, and refused in one line. No network beyond this machine."""

import hashlib
import io
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import tenacity

from ace_steps.errors import InputError
from ace_steps.io import fetch
from ace_steps.io.fetch import Source, deliver, obtain, read_registry
from ace_steps.settings import Settings, parse

CONTENT = bytes(range(256)) * 40
DIGEST = hashlib.sha256(CONTENT).hexdigest()
ADVICE = "Get it from the homepage."


class Server:
    """A file server that can break off, fail and refuse; it keeps the requests' Range headers."""

    def __init__(self):
        self.breaks, self.failures, self.tag, self.content = 0, [], '"one"', CONTENT
        self.ranges = []

    def answer(self, request):
        start = self._start(request)
        self.ranges.append(request.headers.get("Range"))
        if self.failures:
            request.send_error(self.failures.pop(0))
            return
        body = self.content[start:]
        request.send_response(206 if start else 200)
        request.send_header("ETag", self.tag)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if self.breaks:
            self.breaks -= 1
            body = body[: len(body) // 2]
        request.wfile.write(body)

    def _start(self, request):
        wanted = request.headers.get("Range", "")
        if not wanted or request.headers.get("If-Range") != self.tag:
            return 0
        return int(wanted.removeprefix("bytes=").removesuffix("-"))


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(tenacity.nap.time, "sleep", lambda seconds: None)
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            state.answer(self)

        def log_message(self, *parts):
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    state.url = f"http://127.0.0.1:{listening.server_port}/data.bin"
    yield state
    listening.shutdown()
    thread.join()
    listening.server_close()


def wheel_bytes(name="toybox", version="1.0"):
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/data.txt": "hello\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as opened:
        for path, text in files.items():
            opened.writestr(path, text)
    return packed.getvalue()


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that pip takes for the package index."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


def test_a_file_comes_out_of_a_wheel_and_the_wheel_is_kept(tmp_path, index):
    content = wheel_bytes()
    placed = index / "toybox-1.0-py3-none-any.whl"
    placed.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    source = Source(wheel="toybox==1.0", sha256=digest, member="toybox/data.txt")
    deliver(source, tmp_path / "out/data.txt", tmp_path / "downloads", advice=ADVICE)
    assert (tmp_path / "out/data.txt").read_text() == "hello\n"
    placed.unlink()  # the second time nothing is downloaded
    deliver(source, tmp_path / "out/again.txt", tmp_path / "downloads", advice=ADVICE)
    assert (tmp_path / "out/again.txt").read_text() == "hello\n"


def test_a_wheel_with_another_digest_is_refused_and_not_kept(tmp_path, index):
    (index / "toybox-1.0-py3-none-any.whl").write_bytes(wheel_bytes())
    source = Source(wheel="toybox==1.0", sha256="0" * 64, member="toybox/data.txt")
    with pytest.raises(InputError, match=r"toybox==1\.0: wrong checksum, found .* wanted 0000"):
        deliver(source, tmp_path / "out", tmp_path / "downloads", advice=ADVICE)
    assert not (tmp_path / "out").exists()
    assert not list((tmp_path / "downloads").glob("*.whl"))


def test_without_an_index_the_line_says_where_to_put_the_wheel(tmp_path, index):
    source = Source(wheel="toybox==1.0", sha256="0" * 64)
    with pytest.raises(InputError, match=r"put the wheel at .*downloads/toybox-1\.0\.whl") as found:
        obtain(source, tmp_path / "downloads", advice=ADVICE)
    assert "\n" not in str(found.value)


def test_a_url_is_fetched_once_and_checked(tmp_path, server):
    source = Source(url=server.url, sha256=DIGEST)
    assert obtain(source, tmp_path, advice=ADVICE).read_bytes() == CONTENT
    assert obtain(source, tmp_path, advice=ADVICE).read_bytes() == CONTENT
    assert server.ranges == [None]


def test_a_broken_download_goes_on_where_it_stopped(tmp_path, server):
    server.breaks = 1
    source = Source(url=server.url, sha256=DIGEST)
    assert obtain(source, tmp_path, advice=ADVICE).read_bytes() == CONTENT
    assert server.ranges[0] is None
    assert server.ranges[1].startswith("bytes=")


def test_a_download_starts_over_when_the_file_has_changed_meanwhile(tmp_path, server):
    server.breaks = fetch.ATTEMPTS
    source = Source(url=server.url, sha256=None)
    with pytest.raises(InputError, match="could not be downloaded"):
        obtain(source, tmp_path, advice=ADVICE)
    server.breaks, server.tag, server.content = 0, '"two"', b"new"
    assert obtain(source, tmp_path, advice=ADVICE).read_bytes() == b"new"


def test_a_busy_server_is_asked_again(tmp_path, server):
    server.failures = [503, 429]
    source = Source(url=server.url, sha256=DIGEST)
    assert obtain(source, tmp_path, advice=ADVICE).read_bytes() == CONTENT
    assert len(server.ranges) == 3


def test_a_missing_page_is_refused_at_once(tmp_path, server):
    server.failures = [404]
    with pytest.raises(InputError, match=r"404 .* or put the file at .*data\.bin"):
        obtain(Source(url=server.url), tmp_path, advice=ADVICE)
    assert len(server.ranges) == 1


def test_a_url_with_another_digest_is_refused_and_not_kept(tmp_path, server):
    server.content = b"something else"
    found = hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(InputError, match=f"found sha256 {found}, wanted {DIGEST}"):
        obtain(Source(url=server.url, sha256=DIGEST), tmp_path, advice=ADVICE)
    assert not (tmp_path / "data.bin").exists()
    assert not (tmp_path / ".data.bin.part").exists()


def test_no_network_ends_with_the_place_for_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(tenacity.nap.time, "sleep", lambda seconds: None)
    with pytest.raises(InputError, match=r"no connection.* put the file at .*x\.zip"):
        obtain(Source(url="http://127.0.0.1:9/x.zip"), tmp_path, advice=ADVICE)


def test_a_file_that_wants_a_click_is_asked_for_and_then_checked(tmp_path):
    source = Source(by_hand="set.tar", sha256=DIGEST)
    with pytest.raises(InputError, match=r"set\.tar: no such file, and only a person .* homepage"):
        obtain(source, tmp_path, advice=ADVICE)
    (tmp_path / "set.tar").write_bytes(b"wrong")
    with pytest.raises(InputError, match=r"set\.tar: wrong checksum"):
        obtain(source, tmp_path, advice=ADVICE)
    (tmp_path / "set.tar").write_bytes(CONTENT)
    assert obtain(source, tmp_path, advice=ADVICE).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "exactly one of wheel, url and by_hand"),
        ('{"url": "u", "by_hand": "b"}', "exactly one of wheel, url and by_hand"),
        ('{"wheel": "a==1"}', "a wheel needs name==version and its sha256"),
        ('{"urll": "u"}', "did you mean 'url'"),
    ],
)
def test_a_source_that_is_not_one_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse(Source, text, "entry")


class Entry(Settings):
    size: int


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: {size: [}", "not readable as YAML"),
        ("- a", "holds list, but a mapping is wanted"),
        ("a: {size: big}", "entry 'a': size: expected an integer"),
        ("a: {sise: 1}", "entry 'a': sise: unknown key; did you mean 'size'"),
    ],
)
def test_a_registry_that_cannot_be_used_is_refused(tmp_path, text, message):
    path = tmp_path / "registry.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_registry(path, Entry)


def test_a_missing_registry_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"none\.yaml: no such file"):
        read_registry(tmp_path / "none.yaml", Entry)
