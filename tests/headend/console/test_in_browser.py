"""Real pages in Debian's Chromium: nothing overflows, complains, comes from elsewhere or hinders anybody.

The application is the real one over a filled installation; the pages are those of each role's menu.
"""

import os
import shutil
import threading
from base64 import b32decode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from werkzeug.serving import make_server

from headend.app import create_app, open_headend
from headend.console import second_factor
from headend.installation import Installation
from shared.clock import to_ms
from shared.system_clock import SystemClock
from tests import filled
from tests.headend.console.conftest import PASSWORD, PEOPLE

playwright = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")
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
BESIDE = {
    "alice": ["/console/password", "/console/nowhere"],
    "bob": ["/console/password"],
    "charlie": ["/console/password", "/console/orders"],
    "dana": ["/console/password", "/console/audit/about?account=nl-0005"],
}
"""Pages that no menu names."""
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
PICTURES = os.environ.get("CONSOLE_PICTURES", "")
"""A folder to which to write what was seen, for a person to look at."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    headend = open_headend(Installation(filled.make(tmp_path_factory.mktemp("filled"))))
    server = make_server("127.0.0.1", 0, create_app(headend), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
    headend.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    chromium = shutil.which("chromium")
    if chromium is None and not os.environ.get("CI"):
        pytest.skip("no chromium here")
    assert chromium, "no chromium"
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=SWITCHES)
        yield opened
        opened.close()


class Watched:
    """One browser window: what it complained of, whom it asked, and what of its pages hinders somebody."""

    def __init__(self, browser: object, address: str, **options: object) -> None:
        self.address = address
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        self.faults: list[tuple[str, ...]] = []
        self.page.on("console", lambda message: self._complain(message.text))
        self.page.on("pageerror", lambda error: self._complain(str(error)))
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))

    def _complain(self, text: str) -> None:
        # A refused page is told as such by the browser; that it is refused is what was asked for.
        if "the server responded with a status of 40" not in text:
            self.complaints.append(text)

    def sign_in(self, name: str) -> None:
        self.page.goto(f"{self.address}/console/")
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("heading", name="Overview", level=1).wait_for()

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
            wide = self.page.evaluate("document.documentElement.scrollWidth")
            if wide > size["width"]:
                self.faults.append((name, f"{wide} wide at {size['width']}"))
            self._picture(f"{name}-{size['width']}")
        self.page.set_viewport_size(sizes[0])
        for found in axe.Axe().run(self.page).response["violations"]:
            where = [node["html"][:120] for node in found["nodes"][:3]]
            self.faults.append((name, found["id"], *where))

    def _picture(self, name: str) -> None:
        if PICTURES:
            self.page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)

    def close(self) -> None:
        """End, and say what was wrong."""
        self.context.close()
        assert self.faults == []
        assert self.complaints == []
        assert self.hosts == {urlsplit(self.address).netloc}


def called(path: str) -> str:
    return urlsplit(path).path.removeprefix("/console/").replace("/", "-") or "overview"


# --- every page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PEOPLE)
def test_every_page_of_every_role_fits_is_quiet_and_hinders_nobody(
    browser: object, address: str, name: str, scheme: str
) -> None:
    seen = Watched(browser, address, color_scheme=scheme)
    sizes = [WIDE, NARROW] if scheme == "light" else [NARROW, WIDE]
    seen.sign_in(name)
    paths = seen.menu()
    assert "/console/" in paths
    assert len(paths) > 2
    for path in paths + BESIDE[name]:
        seen.look(path, sizes, f"{name}-{called(path)}-{scheme}")
        assert seen.page.get_by_text("Simulated installation.").is_visible()
    seen.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_door_fits_is_quiet_and_hinders_nobody(browser: object, address: str, scheme: str) -> None:
    seen = Watched(browser, address, color_scheme=scheme)
    seen.look("/console/sign-in", [WIDE, NARROW], f"sign-in-{scheme}")
    seen.page.get_by_label("Name").fill("nobody")
    seen.page.get_by_label("Password").fill("wrong")
    seen.page.get_by_role("button", name="Sign in").click()
    seen.page.get_by_role("alert").wait_for()
    seen.check(f"sign-in-refused-{scheme}", [NARROW])
    seen.close()


@pytest.mark.parametrize("code", ["nl", "fr"])
def test_the_other_languages_fit_too(browser: object, address: str, code: str) -> None:
    seen = Watched(browser, address)
    seen.sign_in("charlie")
    seen.page.locator(f".languages button[lang={code}]").click()
    assert seen.page.locator("html").get_attribute("lang") == code
    for path in seen.menu():
        seen.look(path, [NARROW, WIDE], f"charlie-{called(path)}-{code}")
    seen.close()


# --- by keyboard alone


def tab_to(page: object, selector: str, most: int = 80) -> None:
    """Press the tab key until that element has the focus, which has to be seen."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("which => document.activeElement.matches(which)", selector):
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
            return
    pytest.fail(f"the tab key never came to {selector}")


def test_the_keyboard_alone_signs_in_opens_a_page_and_sends_a_form(browser: object, address: str) -> None:
    seen = Watched(browser, address)
    page = seen.page
    page.goto(f"{address}/console/")
    page.keyboard.type("charlie")
    tab_to(page, "input[name=password]")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Overview", level=1).wait_for()
    tab_to(page, ".menu a[href='/console/people']")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="People", level=1).wait_for()
    tab_to(page, "input[name=name]:not([type=hidden])")
    page.keyboard.type("erin")
    tab_to(page, "form.stacked select[name=role]")
    page.keyboard.press("ArrowDown")
    tab_to(page, "button.main")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Operator added", level=1).wait_for()
    seen.check("made", [WIDE, NARROW])
    seen.close()


def test_the_keyboard_reaches_the_page_first_and_sees_where_it_is(browser: object, address: str) -> None:
    seen = Watched(browser, address)
    seen.sign_in("alice")
    seen.page.keyboard.press("Tab")
    assert seen.page.evaluate("document.activeElement.textContent") == "Skip to the page"
    assert seen.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    seen.page.keyboard.press("Enter")
    assert seen.page.evaluate("document.activeElement.id") == "main"
    seen.close()


# --- end to end


def test_a_second_factor_is_set_up_asked_for_and_turned_off(browser: object, address: str) -> None:
    seen = Watched(browser, address)
    page = seen.page
    seen.sign_in("bob")
    page.get_by_role("link", name="Your sign-in").click()
    page.get_by_role("button", name="Set one up").click()
    secret = b32decode(page.locator(".secret code").inner_text().replace(" ", ""))
    seen.check("second-factor-offered", [WIDE, NARROW])
    step = to_ms(SystemClock().now()) // second_factor.STEP_MS - 1
    part = page.get_by_role("region", name="Second factor")
    part.get_by_label("Password").fill(PASSWORD)
    part.get_by_label("Code from your device").fill(second_factor.code_at(secret, step))
    part.get_by_role("button", name="Turn on").click()
    part.get_by_text("Turn it off").wait_for()
    seen.check("second-factor-on", [WIDE, NARROW])
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Name").fill("bob")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Code from your device").wait_for()
    seen.check("second-step", [WIDE, NARROW])
    page.get_by_label("Code from your device").fill(second_factor.code_at(secret, step + 1))
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("heading", name="Overview", level=1).wait_for()
    page.get_by_role("link", name="Your sign-in").click()
    part.get_by_text("Turn it off").click()
    part.get_by_label("Password").fill(PASSWORD)
    part.get_by_label("Code from your device").fill(second_factor.code_at(secret, step + 2))
    part.get_by_role("button", name="Turn off").click()
    page.get_by_role("button", name="Set one up").wait_for()
    seen.close()


def test_the_officer_follows_the_chain_of_the_audit(browser: object, address: str) -> None:
    seen = Watched(browser, address)
    seen.sign_in("dana")
    seen.page.get_by_role("link", name="Audit", exact=True).last.click()
    seen.page.get_by_role("button", name="Follow the chain").click()
    seen.page.get_by_text("lines hold").wait_for()
    seen.check("audit-followed", [WIDE, NARROW])
    seen.close()


def test_a_password_is_changed_and_somebody_signs_out(browser: object, address: str) -> None:
    seen = Watched(browser, address)
    page = seen.page
    seen.sign_in("alice")
    page.get_by_role("link", name="Your sign-in").click()
    page.get_by_label("Old password").fill(PASSWORD)
    page.get_by_label("New password", exact=True).fill("another long secret")
    page.get_by_label("New password again").fill("another long secret")
    page.get_by_role("button", name="Change password").click()
    page.get_by_role("heading", name="Overview", level=1).wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in", level=1).wait_for()
    seen.close()
