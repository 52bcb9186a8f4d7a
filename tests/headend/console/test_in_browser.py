"""Real pages in Debian's Chromium: nothing overflows, complains, or is fetched from elsewhere."""

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from werkzeug.serving import make_server

from tests.headend.console.conftest import PASSWORD, MakeStage

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.browser

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
PAGES = {
    "alice": ["/", "/orders", "/invoices", "/password"],
    "bob": ["/", "/popularity"],
    "charlie": ["/", "/people", "/audit"],
    "dana": ["/", "/popularity", "/audit"],
}
WIDTHS = (1280, 390)
PICTURES = os.environ.get("CONSOLE_PICTURES", "")
"""A folder to which to write what was seen, for a person to look at."""


@pytest.fixture
def address(make_stage: MakeStage) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, make_stage(simulated=True).app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


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


def sign_in(page: object, address: str, name: str) -> None:
    page.goto(f"{address}/console/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Overview", level=1).wait_for()


def take_picture(page: object, name: str) -> None:
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_every_page_fits_is_quiet_and_asks_nobody_else(
    browser: object, address: str, name: str, scheme: str
) -> None:
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    complaints, hosts = [], set()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.goto(f"{address}/console/")
    take_picture(page, f"sign-in-{scheme}")
    sign_in(page, address, name)
    for path in PAGES[name]:
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            page.goto(f"{address}/console{path}")
            take_picture(page, f"{name}{path.replace('/', '-')}-{width}-{scheme}")
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{path} is {wide} wide at {width}"
            assert page.evaluate("document.querySelectorAll('h1').length") == 1
            assert page.get_by_text("Simulated installation.").is_visible()
    assert complaints == []
    assert hosts == {urlsplit(address).netloc}
    context.close()


def test_the_keyboard_reaches_the_page_first_and_sees_where_it_is(browser: object, address: str) -> None:
    page = browser.new_page()
    sign_in(page, address, "alice")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the page"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.close()


def test_a_password_is_changed_and_somebody_signs_out(browser: object, address: str) -> None:
    page = browser.new_page()
    sign_in(page, address, "bob")
    page.get_by_role("link", name="Password").click()
    page.get_by_label("Old password").fill(PASSWORD)
    page.get_by_label("New password", exact=True).fill("another long secret")
    page.get_by_label("New password again").fill("another long secret")
    page.get_by_role("button", name="Change password").click()
    page.get_by_role("heading", name="Overview", level=1).wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in", level=1).wait_for()
    page.close()
