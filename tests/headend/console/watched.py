"""The console in Debian's Chromium, watched: what a page complains of, whom it asks, whom it hinders."""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from werkzeug.serving import WSGIRequestHandler, make_server

from headend.app import create_app, open_headend
from headend.installation import Installation
from tests.filled import PASSWORD

SWITCHES = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
PICTURES = os.environ.get("CONSOLE_PICTURES", "")
"""A folder to which to write what was seen, for a person to look at."""


class _Silent(WSGIRequestHandler):
    """A request that is not told on the terminal."""

    def log(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The real application over an installation, on loopback; gives its address."""
    headend = open_headend(Installation(folder))
    server = make_server("127.0.0.1", 0, create_app(headend), threaded=True, request_handler=_Silent)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        headend.close()


@contextmanager
def chromium() -> Iterator[object]:
    """A browser; without Chromium the test is skipped, but not where everything is checked."""
    playwright = pytest.importorskip("playwright.sync_api")
    found = shutil.which("chromium")
    if found is None and not os.environ.get("CI"):
        pytest.skip("no chromium here")
    assert found, "no chromium"
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=found, args=SWITCHES)
        yield opened
        opened.close()


class Watched:
    """One browser window: what it complained of, whom it asked, and what of its pages hinders somebody."""

    def __init__(self, browser: object, address: str, **options: object) -> None:
        self.address = address
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(30_000)
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        self.faults: list[tuple[str, ...]] = []
        self.page.on("console", lambda message: self._complain(message.text))
        self.page.on("pageerror", lambda error: self._complain(str(error)))
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))

    def _complain(self, text: str) -> None:
        # A refused page is told as such by the browser; that it is refused is what was asked for.
        if "the server responded with a status of 4" not in text:
            self.complaints.append(text)

    def sign_in(self, name: str) -> None:
        self.page.goto(f"{self.address}/console/")
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.follow(self.page.get_by_role("button", name="Sign in"))
        assert self.page.get_by_role("heading", name="Overview", level=1).is_visible()

    @contextmanager
    def arriving(self) -> Iterator[None]:
        """What is done in it leads to a page, which is there whole on leaving.

        A click by itself waits for no page (Playwright, "Navigations"): what is asked right after it
        is asked of the page before, or of one that has no element yet.
        """
        with self.page.expect_event("load"):
            yield

    def follow(self, found: object) -> None:
        """Click something that leads to a page, and wait for that page."""
        with self.arriving():
            found.click()

    def menu(self) -> list[str]:
        """The addresses in the menu, and the overview."""
        return self.page.locator(".menu a").evaluate_all("all => all.map(one => one.getAttribute('href'))")

    def look(self, path: str, sizes: list[dict[str, int]], name: str) -> None:
        """Open a page, and look at it at each size."""
        self.page.set_viewport_size(sizes[0])
        self.page.goto(f"{self.address}{path}")
        self.check(name, sizes)

    def check(self, name: str, sizes: list[dict[str, int]]) -> None:
        """Look at the page that is open at each size; at the first one axe does too."""
        headings = self.page.locator("h1").count()
        if headings != 1:
            self.faults.append((name, f"{headings} h1"))
        for size in sizes:
            self.page.set_viewport_size(size)
            self.fits(name, size)
            self._picture(f"{name}-{size['width']}")
        self.page.set_viewport_size(sizes[0])
        for found in Axe().run(self.page).response["violations"]:
            where = [node["html"][:120] for node in found["nodes"][:3]]
            self.faults.append((name, found["id"], *where))

    def fits(self, name: str, size: dict[str, int]) -> None:
        """Whether the page that is open moves sideways at the size that it has now."""
        wide = self.page.evaluate("document.documentElement.scrollWidth")
        if wide > size["width"]:
            self.faults.append((name, f"{wide} wide at {size['width']}"))

    def _picture(self, name: str) -> None:
        if PICTURES:
            self.page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)

    def close(self) -> None:
        """End, and say what was wrong."""
        self.context.close()
        assert self.faults == [], self.faults
        assert self.complaints == [], self.complaints
        assert self.hosts == {urlsplit(self.address).netloc}, self.hosts
