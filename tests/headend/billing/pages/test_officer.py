"""What the privacy officer sees and does at billing, and what billing hands over for a request."""

import io
import re
import zipfile
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import headend
from headend.billing.pages.answering import Requests
from headend.billing.pages.officer import Officer
from headend.billing.pages.telling import DEEDS
from headend.billing.requests import BadRequestError
from headend.billing.retention import record
from headend.billing.rows import NotFoundError, RequestState
from headend.kit.side import Done, Page
from tests import engines
from tests.builders import DAY, NOW_MS, SigningBox, visit

ZONE = ZoneInfo("Europe/Amsterdam")
TITLE = "A Very Particular Film"


class Desk:
    """Both sets of pages over one store, at a moment that a test may move."""

    def __init__(self, store) -> None:
        self.store = store
        self.now_ms = NOW_MS
        self.officer = Officer(store, lambda: self.now_ms, ZONE)
        self.requests = Requests(store, lambda: self.now_ms, ZONE, lambda _: None)
        self.parts = {part.path: part for one in (self.officer, self.requests) for part in one.pages()}
        self.deeds = {deed.path: deed for one in (self.officer, self.requests) for deed in one.deeds()}

    def look(self, path: str, **args: str) -> Page:
        part = self.parts[path]
        return part.render(visit(args, min(part.roles), who="dana"))

    def do(self, path: str, **args: str) -> Page | Done:
        return self.deeds[path].do(visit(args, "privacy-officer", who="dana"))

    def receive(self, kind: str = "erasure", account: str = "acc-1", received: str = "2026-10-07"):
        return self.do("requests", kind=kind, account=account, received=received)


@pytest.fixture
def desk(store):
    box = SigningBox(store).enrolled()
    box.submit(box.order(), box.order("bought", price_cents=1299), box.order(price_cents=1))
    return Desk(store)


def words(page: Page) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.inside))


def test_what_is_kept_is_told_with_rows_ground_and_period_and_without_a_title(desk):
    page = desk.look("subscriber", account="acc-1")
    assert page.about == ("acc-1",)
    told = words(page)
    assert "Titles of orders that are not billed yet 2 contract" in told
    assert "Titles of orders that wait for a decision 1 contract" in told
    assert "orders 3 bill what was ordered contract" in told
    assert TITLE not in page.inside
    assert "film-1" not in page.inside


def test_an_account_that_is_not_there_is_said_so_and_is_nobodys_look(desk):
    page = desk.look("subscriber", account="<b>acc-9")
    assert "There is no account &lt;b&gt;acc-9." in page.inside
    assert page.about == ()


def test_a_request_is_noted_and_listed_with_the_day_by_which_it_is_answered(desk):
    done = desk.receive()
    assert (done.where, done.told, done.about) == ("/console/request?number=1", "erasure 1", ("acc-1",))
    listed = desk.look("requests")
    assert "acc-1 Erasure 7 Oct 2026 7 Nov 2026 open" in words(listed)
    assert listed.about == ("acc-1",)


@pytest.mark.parametrize(
    "asked",
    [
        {"account": "acc-9"},
        {"kind": "forgetting"},
        {"received": "yesterday"},
        {"received": "2026-10-08"},
    ],
)
def test_a_request_that_cannot_be_is_refused_in_the_form_and_nothing_is_noted(desk, asked):
    page = desk.receive(**asked)
    assert page.status == 422
    assert 'role="alert"' in page.inside
    assert desk.store.read().requests(None, None, 10) == []


def test_an_erasure_is_previewed_and_then_done_and_answered(desk):
    desk.store.write(lambda tx: tx.set_order(_billed(tx, desk)))
    desk.receive()
    page = desk.look("request", number="1")
    assert "The titles of 1 order would go" in words(page)
    assert desk.store.read().annexes_of("acc-1")[0].offer == "film-1"
    desk.do("request/erase", number="1", step="preview", give_up_bought="yes")
    assert desk.store.read().request(1).state is RequestState.OPEN
    assert isinstance(desk.do("request/erase", number="1", step="do"), Done)
    assert desk.store.read().request(1).state is RequestState.ANSWERED
    assert "film-1" not in [one.offer for one in desk.store.read().annexes_of("acc-1")]
    again = desk.do("request/erase", number="1", step="do")
    assert again.status == 422


def _billed(tx, desk):
    from dataclasses import replace

    from headend.billing.rows import OrderState

    order = next(one for one in tx.orders_of("acc-1") if one.seq == 1)
    tx.forget_complaints(order.ref)
    return replace(order, state=OrderState.ZERO_RATED)


def test_more_time_and_a_refusal_need_a_reason(desk):
    desk.receive()
    assert desk.do("request/refuse", number="1", why=" ").status == 422
    assert isinstance(desk.do("request/extend", number="1", why="boxes of three homes"), Done)
    assert "7 Jan 2027" in words(desk.look("request", number="1"))
    assert isinstance(desk.do("request/refuse", number="1", why="not theirs"), Done)
    assert "Reason not theirs" in words(desk.look("request", number="1"))


@pytest.mark.parametrize("number", ["", "0", "7", "1; DROP", "9" * 30])
def test_a_request_that_is_not_there_is_not_found(desk, number):
    with pytest.raises(NotFoundError):
        desk.look("request", number=number)


def test_billing_hands_over_an_archive_for_an_open_request_for_access_only(desk):
    desk.receive("access")
    assert "acc-1" in desk.look("access-requests").inside
    file = desk.requests.archive(visit({"number": "1"}, "billing", who="alice"))
    assert (file.filename, file.about) == ("archive-acc-1.zip", ("acc-1",))
    with zipfile.ZipFile(io.BytesIO(file.cleared.payload)) as whole:
        assert TITLE in whole.read("index.html").decode()
    assert "account records given" in [
        one.what for one in desk.store.read().audit_lines("acc-1", "alice", None, 5)
    ]
    desk.do("request/answer", number="1")
    assert "acc-1" not in desk.look("access-requests").inside
    with pytest.raises(BadRequestError):
        desk.requests.archive(visit({"number": "1"}, "billing"))


def test_the_officer_cannot_have_the_archive(desk):
    (offered,) = desk.requests.downloads()
    assert offered.roles == {"billing"}


def test_the_tile_asks_for_attention_a_week_before_the_deadline(desk):
    assert not desk.officer.tiles(visit({}, "privacy-officer"))[0].alarm
    desk.receive()
    assert not desk.officer.tiles(visit({}, "privacy-officer"))[0].alarm
    desk.now_ms = NOW_MS + 26 * DAY
    tile = desk.officer.tiles(visit({}, "privacy-officer"))[0]
    assert (tile.value, tile.note, tile.alarm) == ("1", "the next by 7 Nov 2026", True)
    assert desk.officer.tiles(visit({}, "billing")) == []


def test_retention_tells_what_stands_and_what_runs_did_and_looks_ahead_when_asked(desk):
    desk.store.write(lambda tx: record(tx, {"messages": 4}, NOW_MS))
    page = desk.look("retention")
    assert "Signed messages of boxes 3" in words(page)
    assert "messages 4" in page.inside
    assert "Signed messages that are due" not in page.inside
    ahead = desk.do("retention")
    assert "Titles of orders that are not billed yet 2" in words(ahead)


def test_billings_audit_is_filtered_paged_and_verified(desk):
    for n in range(120):
        desk.store.write(lambda tx, n=n: tx.add_audit(NOW_MS, "erin", "looked after", f"acc-{n}", ""))
    first = desk.look("billing-audit", who="erin")
    assert "acc-119<" in first.inside
    assert "acc-19<" not in first.inside
    older = re.search(r"before=(\d+)", first.inside)[1]
    assert "acc-19<" in desk.look("billing-audit", who="erin", before=older).inside
    assert desk.look("billing-audit", ref="acc-7").about == ("acc-7",)
    assert "The chain holds" in desk.do("billing-audit").inside


def test_a_line_of_the_audit_that_somebody_changed_is_named(desk):
    desk.store.write(lambda tx: tx.add_audit(NOW_MS, "erin", "looked after", "acc-1", ""))

    def tamper(connection) -> None:
        engines.unguard(connection, "audit")
        connection.execute("UPDATE audit SET who = 'mallory' WHERE line = 2")

    desk.store.storage.write(tamper)
    assert "The chain is broken at line 2" in desk.do("billing-audit").inside


def test_every_word_of_billings_audit_has_its_name_in_the_operators_language():
    house = Path(headend.__file__).parent
    written = set()
    for path in (*house.glob("billing/**/*.py"), *house.glob("cli/*.py")):
        written |= set(re.findall(r'add_audit\(\s*[^"]*?"([a-z]+(?: [a-z]+)+)"\s*,', path.read_text()))
    named = written - {"command line"}
    assert {"request received", "box moved", "export key created"} <= named
    assert named - set(DEEDS) == set()
