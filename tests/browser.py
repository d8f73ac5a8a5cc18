"""A headless Chromium for tests: the DevTools protocol over a pipe, no driver and no port."""

import fcntl
import itertools
import json
import os
import select
import shutil
import signal
import time
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = (
    "--headless",
    "--remote-debugging-pipe",
    "--no-sandbox",  # a test's own page only; needed where tests run as root
    "--disable-gpu",
    "--disable-dev-shm-usage",  # /dev/shm is small in containers
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
)
TIMEOUT_S = 60.0
DESKTOP, PHONE = (1280, 900), (360, 740)


def find_chromium() -> str | None:
    """The path of an installed Chromium or Chrome: $CHROMIUM, or the first of the usual names."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One browser with one page; ``with Browser(path, profile) as browser``.

    Attributes:
        events: What the page reported since it was opened, as the protocol gives it.
    """

    def __init__(self, executable: str, profile: Path) -> None:
        """``profile``: an empty folder for the browser's own files."""
        reads, self._to = _pipe()
        self._from, writes = _pipe()
        command = [executable, *OPTIONS, f"--user-data-dir={profile}", "about:blank"]
        files = [
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_DUP2, reads, 3),  # where Chromium reads commands
            (os.POSIX_SPAWN_DUP2, writes, 4),  # where it writes replies
        ]
        environment = {**os.environ, "HOME": str(profile)}
        self._pid = os.posix_spawn(
            executable, command, environment, file_actions=files, setpgroup=0
        )
        os.close(reads)
        os.close(writes)
        self._numbers, self._rest, self._session = itertools.count(1), b"", None
        self.events: list[dict] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._to)
        os.killpg(self._pid, signal.SIGKILL)  # a group of our own: the browser and its helpers
        os.waitpid(self._pid, 0)
        os.close(self._from)

    def call(self, method: str, **parameters: object) -> dict:
        """The result of one command of the protocol.

        Raises:
            RuntimeError: the browser refused it.
            TimeoutError: no reply within a minute.
        """
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (reply := self._next()).get("id") != number:
            self.events.append(reply)
        if "error" in reply:
            raise RuntimeError(f"{method}: {reply['error']['message']}")
        return reply["result"]

    def open(self, path: Path, size: tuple[int, int] = DESKTOP, scheme: str = "light") -> None:
        """Load a file in a window of a size in CSS pixels, with a color scheme."""
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)
        self.events.clear()
        self.call("Page.navigate", url=path.resolve().as_uri())
        while "Page.loadEventFired" not in (event.get("method") for event in self.events):
            self.events.append(self._next())

    def run(self, expression: str) -> object:
        """The value of a JavaScript expression in the page, as JSON can hold it."""
        reply = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in reply:
            raise RuntimeError(f"{expression}: {reply['exceptionDetails']}")
        return reply["result"].get("value")

    def press(self, key: str) -> None:
        """One key, as a person presses it: Tab, Enter or Space."""
        codes = {"Tab": 9, "Enter": 13, "Space": 32}
        text = {"Enter": "\r", "Space": " "}.get(key, "")
        name = " " if key == "Space" else key
        common = {"key": name, "code": key, "windowsVirtualKeyCode": codes[key]}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def _next(self) -> dict:
        """The next message, a reply or an event."""
        end = time.monotonic() + TIMEOUT_S
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._from], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise TimeoutError(f"Chromium did not answer within {TIMEOUT_S:g} s")
            chunk = os.read(self._from, 1 << 20)
            if not chunk:
                raise RuntimeError("Chromium ended before it answered")
            self._rest += chunk
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)


def complaints(browser: Browser) -> list[dict]:
    """What the page's console holds of errors and warnings."""
    matches = []
    for event in browser.events:
        details = event.get("params", {})
        is_thrown = event.get("method") == "Runtime.exceptionThrown"
        is_called = details.get("type") in ("error", "warning", "assert")
        is_logged = details.get("entry", {}).get("level") in ("error", "warning")
        matches += [event] if is_thrown or is_called or is_logged else []
    return matches


def _pipe() -> tuple[int, int]:
    """A pipe whose ends are numbered from 10, clear of what the browser's are called."""
    ends = os.pipe()
    moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return moved[0], moved[1]
