"""Debian's Chromium, driven by Playwright: people who read at the portal, with a phone or at a desk.

It trusts the authority that a test names, as a newcomer would after one look at certs/ca.pem, and nobody's warning is
clicked away. What each person's browser asked for, and what it complained of, is kept, so that a test can say that
nothing was loaded from elsewhere and that no policy was broken.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    import playwright.sync_api as driver

HEIGHT = 800
PHONE, DESK = 360, 1280  # Pixels; what the pages are judged at.
SECONDS = 20.0  # Until what a person waits for on a page must be there.
SERIOUS = ("serious", "critical")
PICTURES = "GATEWAY_PICTURES"  # The folder in which pictures are kept; without it they lie in the test's own.


@dataclass
class Person:
    """One browser profile: cookies of its own. `page` is its only window."""

    page: driver.Page
    pictures: Path
    width: int
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def go(self, url: str) -> int:
        """The status of the page behind that address, once it has loaded."""
        answer = self.page.goto(url)
        assert answer is not None, url
        return answer.status

    def press(self, name: str | re.Pattern[str], *, role: Any = "button") -> None:
        """Press what has that role and name, and wait for the page that comes of it."""
        found = self.page.get_by_role(role, name=name).first
        with self.page.expect_navigation():
            found.click()

    def download(self, name: str | re.Pattern[str]) -> tuple[str, bytes]:
        """The name and the octets of the file behind a link."""
        with self.page.expect_download() as waited:
            self.page.get_by_role("link", name=name).first.click()
        return waited.value.suggested_filename, Path(waited.value.path()).read_bytes()

    @property
    def text(self) -> str:
        """What a reader sees of the page, outside of frames."""
        return self.page.locator("body").inner_text()

    @property
    def letter(self) -> str:
        """What a reader sees of the message: the text of the sandboxed frame."""
        return self.page.frame_locator("iframe").locator("body").inner_text()

    def picture(self, name: str) -> Path:
        """A picture of the whole page, `name` and the width in its own name."""
        self.pictures.mkdir(parents=True, exist_ok=True)
        file = self.pictures / f"{name}-{self.width}.png"
        self.page.screenshot(path=file, full_page=True)
        return file

    def overflows(self) -> int:
        """By how many pixels the page is wider than its window: what makes a phone scroll sideways."""
        found: int = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return max(0, found)

    def barriers(self) -> list[str]:
        """What axe finds serious or worse, a line for each rule and element. Needs a person with scripts."""
        self.page.evaluate(axe())
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations'], iframes: false})")
        return [
            f"{one['id']} ({one['impact']}): {node['html'][:200]}"
            for one in found["violations"]
            if one["impact"] in SERIOUS
            for node in one["nodes"]
        ]

    def tabs(self, most: int = 60) -> list[str]:
        """The names of what the tab key reaches, in order, until it comes round; what has no outline is told so."""
        self.page.evaluate("document.activeElement && document.activeElement.blur()")
        found: list[str] = []
        for _ in range(most):
            self.page.keyboard.press("Tab")
            name = self.page.evaluate(_FOCUSED)
            if name is None or name in found:
                break
            found.append(name)
        return found

    def hosts(self) -> set[str]:
        """Whom this browser asked for anything."""
        return {urlsplit(one).netloc for one in self.asked if not one.startswith(("data:", "about:", "blob:"))}


class Browser:
    """Runs from `start` to `stop`; also a context manager. `ca`: PEM of whom it trusts, beside whom it ships with."""

    def __init__(self, folder: Path, ca: Path | None = None) -> None:
        self.folder, self.ca = folder, ca
        self._playwright: driver.Playwright | None = None
        self._browser: driver.Browser | None = None

    def start(self) -> Browser:
        program = shutil.which("chromium")
        if program is None:
            pytest.skip("Chromium is not installed (Debian package chromium)")
        playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
        home = self.folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        if self.ca is not None:
            trust(home, self.ca)
        self._playwright = playwright.sync_playwright().start()
        # As root Chromium has no sandbox of its own, and a container's /dev/shm is small.
        options = ["--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking"]
        self._browser = self._playwright.chromium.launch(
            executable_path=program,
            args=[*options, *(["--no-sandbox"] if os.geteuid() == 0 else [])],
            env={**os.environ, "HOME": str(home)},
            timeout=60_000,
        )
        return self

    def stop(self) -> None:
        if self._browser is not None:
            self._browser.close()
        if self._playwright is not None:
            self._playwright.stop()
        self._browser = self._playwright = None

    def __enter__(self) -> Browser:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def person(self, width: int = DESK, *, script: bool = False, language: str = "en", dark: bool = False) -> Person:
        """Somebody with a browser of his own, without scripts unless they are asked for."""
        assert self._browser is not None
        context = self._browser.new_context(
            viewport={"width": width, "height": HEIGHT},
            java_script_enabled=script,
            locale=language,
            color_scheme="dark" if dark else "light",
            accept_downloads=True,
        )
        context.set_default_timeout(SECONDS * 1000)
        kept = os.environ.get(PICTURES)
        one = Person(context.new_page(), Path(kept) if kept else self.folder / "pictures", width)
        # Nobody is asked who is not here, and whoever would have been is kept in `asked`.
        context.route(lambda url: urlsplit(url).hostname not in ("127.0.0.1", "localhost"), lambda one: one.abort())
        context.on("request", lambda request: one.asked.append(request.url))
        one.page.on(
            "console", lambda said: one.complaints.append(said.text) if said.type in ("error", "warning") else None
        )
        one.page.on("pageerror", lambda error: one.complaints.append(str(error)))
        return one


def trust(home: Path, ca: Path) -> None:
    """Put an authority where Chromium on Linux looks for those of its user (an NSS database)."""
    program = shutil.which("certutil")
    if program is None:
        pytest.skip("certutil is not installed (Debian package libnss3-tools)")
    place = home / ".pki" / "nssdb"
    place.mkdir(parents=True, exist_ok=True)
    where = ("-d", f"sql:{place}")
    _run([program, "-N", *where, "--empty-password"])
    _run([program, "-A", *where, "-t", "C,,", "-n", "development", "-i", str(ca)])


def axe() -> str:
    """The source of axe-core, as its package on the Python index carries it."""
    package = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    return (Path(package.__file__).parent / "axe.min.js").read_text("utf-8")


def png(width: int, height: int) -> bytes:
    """A picture: one colour that turns into another."""

    def chunk(kind: bytes, octets: bytes) -> bytes:
        return len(octets).to_bytes(4) + kind + octets + zlib.crc32(kind + octets).to_bytes(4)

    rows = b"".join(
        b"\0" + b"".join(bytes((30, 90 + 100 * x // width, 120)) for x in range(width)) for _ in range(height)
    )
    head = width.to_bytes(4) + height.to_bytes(4) + bytes((8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=60)


_FOCUSED = """() => {
    const one = document.activeElement;
    if (!one || one === document.body) return null;
    const style = getComputedStyle(one);
    const seen = style.outlineStyle !== 'none' || style.boxShadow !== 'none' || one.tagName === 'IFRAME';
    const name = one.getAttribute('aria-label') || one.innerText || one.name || one.title || one.id || one.tagName;
    return name.trim() + (seen ? '' : ' (no outline)');
}"""
