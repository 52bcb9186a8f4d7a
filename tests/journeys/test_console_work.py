"""A day's work in the console, in a browser: four questions in two clicks, and every action end to end."""

import re
from collections.abc import Iterator

import pytest

from headend.app import open_headend
from headend.billing.rows import OrderState, RequestState
from headend.installation import Installation
from tests import filled
from tests.headend.console.watched import NARROW, WIDE, Watched, chromium, served

pytestmark = [pytest.mark.browser, pytest.mark.journey]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return filled.make(tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def address(place) -> Iterator[str]:
    with served(place) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def desk(browser, address):
    """A watched window; `desk(name)` signs in and gives its page."""
    seen = Watched(browser, address)

    def sit(name):
        seen.sign_in(name)
        seen.sent = set()
        seen.page.on(
            "request",
            lambda request: request.method == "POST" and seen.sent.add(request.url.removeprefix(address)),
        )
        return seen

    yield sit
    seen.close()


@pytest.fixture(scope="module")
def books(place):
    headend = open_headend(Installation(place), ("billing",))
    yield headend.billing.store
    headend.close()


class Clicks:
    """Counts what is clicked from the overview on; typing is not a click."""

    def __init__(self, seen) -> None:
        self.seen = seen
        self.count = 0

    def click(self, found) -> None:
        self.seen.follow(found)
        self.count += 1


def text(page) -> str:
    return re.sub(r"\s+", " ", page.locator("main").inner_text())


# --- four questions


def test_which_genre_is_most_popular_and_how_sure_that_is_takes_one_click(desk):
    seen = desk("bob")
    clicks = Clicks(seen)
    clicks.click(seen.page.locator(".menu").get_by_role("link", name="Popularity"))
    told = text(seen.page)
    assert re.search(r"The most popular genre is [a-z ]+: [\d.]+%.*interval [\d.]+% to [\d.]+%", told)
    assert clicks.count == 1


def test_where_a_genre_is_viewed_most_is_a_map_two_clicks_away(desk):
    seen = desk("bob")
    clicks = Clicks(seen)
    clicks.click(seen.page.get_by_role("link", name="Most popular genre"))
    clicks.click(seen.page.get_by_role("link", name="By region"))
    assert seen.page.locator("svg.chart.map").is_visible()
    assert clicks.count == 2


def test_whether_all_of_october_has_been_billed_takes_two_clicks(desk):
    seen = desk("alice")
    clicks = Clicks(seen)
    clicks.click(seen.page.locator(".menu").get_by_role("link", name="Reconciliation"))
    seen.page.locator("select[name=month]").select_option("2026-10")
    clicks.click(seen.page.get_by_role("button", name="Answer"))
    assert seen.page.locator(".answer").is_visible()
    assert "October 2026" in text(seen.page)
    assert clicks.count <= 2


def test_what_is_kept_about_a_subscriber_until_when_and_who_has_looked_takes_one_click(desk):
    seen = desk("dana")
    clicks = Clicks(seen)
    seen.page.get_by_role("searchbox").fill("nl-0005")
    clicks.click(seen.page.get_by_role("button", name="Search"))
    told = text(seen.page)
    assert "Bills and credit notes, without titles" in told
    assert "1 Jan 2037" in told
    assert re.search(r"Who has looked at it in this console .*dana", told)
    assert clicks.count <= 2


# --- every action of billing


def do(seen, path, *steps) -> None:
    """Open a page, press button after button, each of which leads to a page, and look at what each shows."""
    seen.page.goto(f"{seen.address}/console/{path}")
    for step in steps:
        with seen.arriving():
            step(seen.page)
        seen.check(f"{path}-after", [WIDE, NARROW])


def press(name, **fields):
    """A step that fills fields by their labels and presses a button."""

    def step(page) -> None:
        for label, value in fields.items():
            page.locator("main").get_by_label(label.replace("_", " ")).first.fill(value)
        page.locator("main").get_by_role("button", name=re.compile(name)).first.click()

    return step


def bill_to_credit(books):
    look = books.read()
    return next(
        bill
        for bill in look.invoices(None, 100)
        if bill.kind == "invoice"
        and len(bill.lines) > 1
        and not look.notes_of(bill.number)
        and not list(look.disputes(None, bill.account))
    )


def test_a_bill_is_credited_after_a_preview_and_not_twice(desk, books):
    seen, bill = desk("alice"), bill_to_credit(books)
    ref = bill.lines[0].order_ref
    field = f"Credit of order {ref}"
    do(
        seen,
        f"invoice?number={bill.number}",
        press("Show the credit note", **{field: "1.50", "Reason, for the audit": "broke off"}),
    )
    assert "€1.50" in text(seen.page)
    assert books.read().notes_of(bill.number) == []
    form = seen.page.locator("form[action$='invoice/credit']")
    sent = form.locator("input").evaluate_all("all => all.map(one => [one.name, one.value])")
    seen.follow(seen.page.get_by_role("button", name=re.compile("Raise the credit note")))
    (note,) = books.read().notes_of(bill.number)
    assert note.gross == 150
    again = seen.context.request.post(
        f"{seen.address}/console/invoice/credit", form=dict(sent), max_redirects=0
    )
    assert 400 <= again.status < 500
    assert len(books.read().notes_of(bill.number)) == 1


def test_a_dispute_is_opened_and_upheld_and_another_dismissed(desk, books):
    seen, bill = desk("alice"), bill_to_credit(books)
    for decision in ("uphold", "dismiss"):
        do(
            seen,
            f"invoice?number={bill.number}",
            press("Show the dispute", What_the_subscriber_says="We were away."),
            press("Open the dispute"),
        )
        number = max(one.dispute for one in books.read().disputes(None, bill.account))
        steps = {
            "uphold": (press("Show the credit note", Amount_to_give_back="0.99"), press("Uphold, and")),
            "dismiss": (press("Show the dismissal", Reason="ordered with the PIN"), press("Dismiss the")),
        }
        do(seen, f"dispute?number={number}", *steps[decision])
    states = [one.state for one in books.read().disputes(None, bill.account)]
    assert sorted(states) == ["dismissed", "upheld"]


def test_suspended_orders_are_readmitted_rejected_and_corrected(desk, books):
    seen = desk("alice")
    waiting = list(books.read().orders(OrderState.SUSPENDED, None, 50))
    cheap = next(one for one in waiting if one.reason == "price-mismatch")
    others = [one for one in waiting if one.reason == "no-evidence"]
    for order, verb, state in (
        (cheap, "Show readmission", "rated"),
        (others[0], "Show rejection", "rejected"),
    ):

        def choose(page, ref=order.ref) -> None:
            page.get_by_label(f"Choose order {ref}").check()

        def decide(page, verb=verb) -> None:
            page.get_by_role("button", name=verb).click()

        confirm = press("^(Readmit|Reject) 1", Reason="looked at the recording")
        do(seen, "suspense", lambda page, c=choose, d=decide: (c(page), d(page)), confirm)
        assert books.read().order(order.box, order.epoch, order.seq).state == state
    order = others[1]
    do(
        seen,
        f"order?ref={order.ref}",
        press("Show what would be billed", Lower_price="0.99"),
        press("Bill it as corrected", Reason="agreed on the telephone"),
    )
    assert books.read().order(order.box, order.epoch, order.seq).price_cents == 99


def test_a_batch_is_closed_as_shown_and_verified_and_keys_come_and_go(desk, books):
    seen = desk("alice")
    before = books.read().last_batch().batch

    def close(page) -> None:
        page.get_by_role("checkbox").check()
        page.get_by_role("button", name="Close batch").click()

    do(seen, "exports", close)
    assert books.read().last_batch().batch == before + 1
    do(seen, f"export?batch={before + 1}", press("Verify it again"))
    assert "✓" in seen.page.content() or "holds" in text(seen.page)
    do(seen, "export-keys", press("Make the key", Name_of_the_key="ledger-2"))
    assert seen.page.locator(".secret code").inner_text().startswith("stbx_")
    do(seen, "export-keys", press("Revoke for ever"))
    assert any(key.revoked_ms for key in books.read().export_keys())


def test_what_is_typed_into_the_search_box_leads_to_the_thing_and_stands_in_no_address(desk):
    seen = desk("alice")
    seen.page.get_by_role("searchbox").fill("nl-0005")
    seen.follow(seen.page.get_by_role("button", name="Search"))
    assert seen.page.url.endswith("/console/account?account=nl-0005")
    seen.page.get_by_role("searchbox").fill("nl-00")
    seen.follow(seen.page.get_by_role("button", name="Search"))
    seen.check("found", [WIDE, NARROW])
    assert seen.page.url.endswith("/console/find")


# --- every action of the privacy officer


def test_a_request_is_noted_extended_refused_and_answered(desk, books):
    seen = desk("dana")
    do(seen, "requests", press("Note it", Account="nl-0011"))
    number = max(one.request for one in books.read().requests(None, "nl-0011", 10))
    do(
        seen,
        f"request?number={number}",
        press("Take two more months", Why_more_time_is_needed="boxes of two homes"),
        press("Refuse the request", Why_it_is_refused="asked for a neighbour"),
    )
    assert books.read().request(number).state is RequestState.REFUSED
    do(seen, "request?number=3", press("It has been answered"))
    assert books.read().request(3).state is RequestState.ANSWERED


def test_an_erasure_is_previewed_with_other_terms_and_done(desk, books):
    seen = desk("dana")
    assert books.read().annexes_of("nl-0005")

    def give_up(page) -> None:
        page.get_by_role("checkbox").check()
        page.get_by_role("button", name="Preview again").click()

    do(seen, "request?number=2", give_up)
    assert books.read().request(2).state is RequestState.OPEN
    seen.follow(seen.page.get_by_role("button", name="Erase and answer"))
    assert books.read().request(2).state is RequestState.ANSWERED


def test_the_officer_looks_ahead_and_verifies_billings_audit(desk):
    seen = desk("dana")
    do(seen, "retention", press("Look ahead"))
    assert "Messages within their period" in text(seen.page)
    do(seen, "billing-audit", press("Verify the chain"))
    assert "The chain holds" in text(seen.page)


# --- every action about people; last in the file, since it changes who may do what


def test_a_second_sign_in_is_ended_from_the_first(desk, browser, address):
    seen, other = desk("bob"), Watched(browser, address)
    other.sign_in("bob")
    seen.follow(seen.page.get_by_role("link", name="Your sign-in"))
    seen.follow(seen.page.get_by_role("button", name="End all others"))
    other.page.goto(f"{address}/console/popularity")
    assert other.page.url.startswith(f"{address}/console/sign-in")
    seen.page.goto(f"{address}/console/popularity")
    seen.check("still-here", [WIDE])
    other.close()


def test_operators_are_given_roles_reset_disabled_and_enabled(desk):
    seen = desk("charlie")
    page = seen.page
    page.goto(f"{seen.address}/console/people")
    page.get_by_label("Role of bob", exact=True).select_option("billing")
    seen.follow(page.get_by_role("button", name="Change the role of bob"))
    assert page.get_by_label("Role of bob", exact=True).input_value() == "billing"
    seen.follow(page.get_by_role("button", name="Reset password of bob"))
    assert page.get_by_role("heading", name="Password reset", level=1).is_visible()
    assert re.fullmatch(r"[a-z2-7]{6}(-[a-z2-7]{6}){3}", page.locator(".secret code").inner_text())
    seen.follow(page.get_by_role("link", name="To all people"))
    seen.follow(page.get_by_role("button", name="Disable bob"))
    seen.follow(page.get_by_role("button", name="Enable bob"))
    assert page.get_by_role("button", name="Disable bob").is_visible()
    seen.check("people-after", [WIDE, NARROW])


def test_who_needs_a_second_factor_is_sent_to_set_one_up_and_sees_nothing_else(desk, browser, address):
    seen, other = desk("charlie"), Watched(browser, address)
    seen.page.goto(f"{address}/console/people")
    seen.page.get_by_role("checkbox", name="Privacy officer").check()
    seen.follow(seen.page.get_by_role("button", name="Require", exact=True))
    other.page.goto(f"{address}/console/sign-in")
    other.page.get_by_label("Name").fill("dana")
    other.page.get_by_label("Password").fill(filled.PASSWORD)
    other.follow(other.page.get_by_role("button", name="Sign in"))
    assert other.page.get_by_role("button", name="Set one up").is_visible()
    other.page.goto(f"{address}/console/subscriber?account=nl-0005")
    assert other.page.get_by_role("button", name="Set one up").is_visible()
    other.check("has-to-set-one-up", [WIDE, NARROW])
    other.close()
