"""The pages of popularity and of privacy in Debian's Chromium: they fit, are quiet, and have no barriers."""

import logging
import os
import shutil
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask import Flask
from werkzeug.serving import make_server

from benchmarks.console.releases import fill
from headend.console import passwords
from headend.console.frame import Settings
from headend.console.side import make_console
from shared.register import profile
from tests.headend.analytics.builders import WEEK, ZONE, make_town
from tests.headend.analytics.test_pages import PATHS

playwright = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")
pytestmark = pytest.mark.browser

SWITCHES = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
PASSWORD = "correct horse battery"
FRAME = {"region", "landmark-unique"}
"""What the console's own frame answers for."""


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    # Weak and quick: this password guards nothing.
    monkeypatch.setattr(passwords, "METHOD", "scrypt:1024:8:1")
    passwords.decoy.cache_clear()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    town = make_town(tmp_path, profile=profile("regional"))
    fill(town.side.store, WEEK, 9, "regional")
    town.clock.advance_to(WEEK.plus(8).closes(ZONE) + timedelta(hours=1))
    console = make_console(tmp_path / "console.db", Settings(town.clock, town.clock, True, False, ZONE))  # noqa: FBT003 (two switches)
    console.operators.add_operator("dana", "privacy-officer", PASSWORD, must_change=False)
    app = Flask("test")
    app.register_blueprint(console.side.blueprints[0])
    console.offer([town.side.side, console.side], list)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
    console.side.close()
    town.side.close()
    passwords.decoy.cache_clear()


@pytest.fixture
def browser() -> Iterator[object]:
    chromium = shutil.which("chromium")
    if chromium is None and not os.environ.get("CI"):
        pytest.skip("no chromium here")
    assert chromium, "no chromium"
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=SWITCHES)
        yield opened
        opened.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_is_quiet_and_has_no_barrier(browser: object, address: str, scheme: str) -> None:
    page = browser.new_context(color_scheme=scheme).new_page()
    complaints, hosts = [], set()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.goto(f"{address}/console/")
    page.get_by_label("Name").fill("dana")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Overview", level=1).wait_for()
    for path in PATHS:
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            page.goto(f"{address}/console/{path}")
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{path} is {wide} wide at {width}"
        found = [one["id"] for one in axe.Axe().run(page).response["violations"] if one["id"] not in FRAME]
        assert found == [], path
    assert complaints == []
    assert hosts == {urlsplit(address).netloc}


def test_the_most_popular_genre_is_one_click_away_and_a_region_two(browser: object, address: str) -> None:
    page = browser.new_page()
    page.goto(f"{address}/console/")
    page.get_by_label("Name").fill("dana")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Most popular genre").click()
    assert page.get_by_text("The most popular genre is film or drama").is_visible()
    page.get_by_role("link", name="By region").click()
    page.locator("select[name=genre]").select_option("news")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("heading", name="News", level=2).wait_for()
    assert page.get_by_role("img", name="news by region, reporting boxes").is_visible()
    page.close()
