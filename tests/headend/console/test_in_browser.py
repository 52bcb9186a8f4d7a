"""Real pages in Debian's Chromium: nothing overflows, complains, comes from elsewhere or hinders anybody.

The application is the real one over a filled installation; the pages are those that a role's links lead to.
"""

from base64 import b32decode
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from headend.console import second_factor
from shared.clock import to_ms
from shared.system_clock import SystemClock
from tests import filled
from tests.crawl import LEFT_ALONE, links
from tests.headend.console.conftest import PASSWORD, PEOPLE
from tests.headend.console.watched import NARROW, WIDE, Watched, chromium, served

pytestmark = pytest.mark.browser

BESIDE = {
    "alice": ["/console/password", "/console/nowhere"],
    "bob": ["/console/password"],
    "charlie": ["/console/password", "/console/orders"],
    "dana": ["/console/password", "/console/audit/about?account=nl-0005"],
}
"""Pages that nothing leads to."""
FILES = {
    f"/console/{path}"
    for path in (
        *("exports/batch", "exports/head", "invoices/bill.pdf", "invoices/bill.xml", "proofs/order.json"),
        *("access-requests/archive.zip", "budget/ledger.csv", "consent/weeks.csv"),
        *(f"popularity/report.{form}" for form in ("html", "csv", "json")),
        *("popularity/estimates.csv", "popularity/estimates.json", "popularity/trend.csv"),
        *("popularity/release.json", "popularity/manifest.json"),
    )
}
"""What is downloaded and not looked at."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(filled.make(tmp_path_factory.mktemp("filled"))) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with chromium() as opened:
        yield opened


def called(path: str) -> str:
    return urlsplit(path).path.removeprefix("/console/").replace("/", "-") or "overview"


# --- every page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PEOPLE)
def test_every_page_of_every_role_fits_is_quiet_and_hinders_nobody(
    browser: object, address: str, name: str, scheme: str
) -> None:
    seen = Watched(browser, address, color_scheme=scheme)
    sizes = [WIDE, NARROW] if scheme == "light" else [NARROW]
    seen.sign_in(name)
    waiting = [*seen.menu(), *BESIDE[name]]
    assert "/console/" in waiting
    looked: set[str] = set()
    while waiting:
        path = waiting.pop(0)
        if path.split("?")[0] in looked:
            continue
        looked.add(path.split("?")[0])
        seen.look(path, sizes, f"{name}-{called(path)}-{scheme}")
        assert seen.page.get_by_text("Simulated installation.").is_visible()
        waiting += [
            link
            for link in links(path, seen.page.content())
            if link.split("?")[0] not in FILES and not link.startswith(LEFT_ALONE)
        ]
    assert len(looked) > 3
    seen.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_door_fits_is_quiet_and_hinders_nobody(browser: object, address: str, scheme: str) -> None:
    seen = Watched(browser, address, color_scheme=scheme)
    seen.look("/console/sign-in", [WIDE, NARROW], f"sign-in-{scheme}")
    seen.page.get_by_label("Name").fill("nobody")
    seen.page.get_by_label("Password").fill("wrong")
    seen.follow(seen.page.get_by_role("button", name="Sign in"))
    assert seen.page.get_by_role("alert").is_visible()
    seen.check(f"sign-in-refused-{scheme}", [NARROW])
    seen.close()


@pytest.mark.parametrize("code", ["nl", "fr"])
@pytest.mark.parametrize("name", PEOPLE)
def test_the_other_languages_fit_a_telephone_too(browser: object, address: str, name: str, code: str) -> None:
    seen = Watched(browser, address, viewport=NARROW)
    seen.sign_in(name)
    seen.follow(seen.page.locator(f".languages button[lang={code}]"))
    assert seen.page.locator("html").get_attribute("lang") == code
    for path in seen.menu():
        seen.page.goto(f"{address}{path}")
        seen.fits(f"{name}-{called(path)}-{code}", NARROW)
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
    page.locator("input[name=name]:focus").wait_for()
    page.keyboard.type("charlie")
    tab_to(page, "input[name=password]")
    page.keyboard.type(PASSWORD)
    with seen.arriving():
        page.keyboard.press("Enter")
    assert page.get_by_role("heading", name="Overview", level=1).is_visible()
    tab_to(page, ".menu a[href='/console/people']")
    with seen.arriving():
        page.keyboard.press("Enter")
    assert page.get_by_role("heading", name="People", level=1).is_visible()
    tab_to(page, "input[name=name]:not([type=hidden])")
    page.keyboard.type("erin")
    tab_to(page, "form.stacked select[name=role]")
    page.keyboard.press("ArrowDown")
    tab_to(page, "button.main")
    with seen.arriving():
        page.keyboard.press("Enter")
    assert page.get_by_role("heading", name="Operator added", level=1).is_visible()
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
    seen.follow(page.get_by_role("link", name="Your sign-in"))
    seen.follow(page.get_by_role("button", name="Set one up"))
    secret = b32decode(page.locator(".secret code").inner_text().replace(" ", ""))
    seen.check("second-factor-offered", [WIDE, NARROW])
    step = to_ms(SystemClock().now()) // second_factor.STEP_MS - 1
    part = page.get_by_role("region", name="Second factor")
    part.get_by_label("Password").fill(PASSWORD)
    part.get_by_label("Code from your device").fill(second_factor.code_at(secret, step))
    seen.follow(part.get_by_role("button", name="Turn on"))
    assert part.get_by_text("Turn it off").is_visible()
    seen.check("second-factor-on", [WIDE, NARROW])
    seen.follow(page.get_by_role("button", name="Sign out"))
    page.get_by_label("Name").fill("bob")
    page.get_by_label("Password").fill(PASSWORD)
    seen.follow(page.get_by_role("button", name="Sign in"))
    assert page.get_by_label("Code from your device").is_visible()
    seen.check("second-step", [WIDE, NARROW])
    page.get_by_label("Code from your device").fill(second_factor.code_at(secret, step + 1))
    seen.follow(page.get_by_role("button", name="Go on"))
    assert page.get_by_role("heading", name="Overview", level=1).is_visible()
    seen.follow(page.get_by_role("link", name="Your sign-in"))
    part.get_by_text("Turn it off").click()
    part.get_by_label("Password").fill(PASSWORD)
    part.get_by_label("Code from your device").fill(second_factor.code_at(secret, step + 2))
    seen.follow(part.get_by_role("button", name="Turn off"))
    assert page.get_by_role("button", name="Set one up").is_visible()
    seen.close()


def test_the_officer_follows_the_chain_of_the_audit(browser: object, address: str) -> None:
    seen = Watched(browser, address)
    seen.sign_in("dana")
    seen.follow(seen.page.get_by_role("link", name="Audit", exact=True).last)
    seen.follow(seen.page.get_by_role("button", name="Follow the chain"))
    assert seen.page.get_by_text("lines hold").is_visible()
    seen.check("audit-followed", [WIDE, NARROW])
    seen.close()


def test_a_password_is_changed_and_somebody_signs_out(browser: object, address: str) -> None:
    seen = Watched(browser, address)
    page = seen.page
    seen.sign_in("alice")
    seen.follow(page.get_by_role("link", name="Your sign-in"))
    page.get_by_label("Old password").fill(PASSWORD)
    page.get_by_label("New password", exact=True).fill("another long secret")
    page.get_by_label("New password again").fill("another long secret")
    seen.follow(page.get_by_role("button", name="Change password"))
    assert page.get_by_role("heading", name="Overview", level=1).is_visible()
    seen.follow(page.get_by_role("button", name="Sign out"))
    assert page.get_by_role("heading", name="Sign in", level=1).is_visible()
    seen.close()
