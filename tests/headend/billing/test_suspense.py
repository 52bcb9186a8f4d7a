import json

import pytest

from headend.billing import suspense
from headend.billing.accounts import move_box, release_box
from headend.billing.catalogue import publish_catalogue
from headend.billing.invoices import raise_month
from headend.billing.reconcile import reconcile
from headend.billing.rows import NotFoundError, OrderState
from headend.billing.suspense import Correction, Decision
from shared import dsse, named
from shared.named import Evidence
from shared.weeks import Month
from tests.builders import CATALOGUE_KEY, DAY, HOUR, NOW_MS, SigningBox, account, billing_store, offer
from tests.campaigns import books

WHY = Decision("looked at it", "alice", NOW_MS)


def audit(store):
    rows = store.storage.read().execute("SELECT who, what FROM audit ORDER BY line DESC")
    return tuple(rows.fetchone())


def decide(store, what, ref):
    store.write(lambda tx: what(tx, ref, WHY))


def test_a_readmitted_order_is_billed_at_the_price_that_was_shown(store, box):
    box.submit(box.order(price_cents=299))
    decide(store, suspense.readmit, f"{box.box}/1/1")
    assert box.stored(1).state is OrderState.RATED
    assert store.read().ledger_totals(1, None)["unbilled"] == 299
    assert reconcile(store.read()).closes


def test_a_rejected_order_stands_with_an_audit_entry(store, box):
    box.submit(box.order(price_cents=299))
    decide(store, suspense.reject, f"{box.box}/1/1")
    assert box.stored(1).state is OrderState.REJECTED
    assert audit(store) == ("alice", "order rejected")


def test_an_unreadable_order_shows_no_price_and_can_only_be_rejected(store, box):
    box.submit(box.raw(price_cents=-1))
    with pytest.raises(suspense.NotSuspendedError):
        decide(store, suspense.readmit, f"{box.box}/1/1")
    decide(store, suspense.reject, f"{box.box}/1/1")


def test_what_is_not_suspended_cannot_be_decided_on(store, box):
    box.submit(box.order())
    with pytest.raises(suspense.NotSuspendedError):
        decide(store, suspense.reject, f"{box.box}/1/1")
    for nothing in ("nonsense", f"{box.box}/1/9"):
        with pytest.raises(NotFoundError):
            decide(store, suspense.reject, nothing)


def test_an_order_is_corrected_to_a_lower_price_and_never_to_a_higher_one(store, box):
    box.submit(box.order(price_cents=450))
    ref = f"{box.box}/1/1"
    for cents in (451, 0, -1):
        with pytest.raises(suspense.NotSuspendedError):
            store.write(lambda tx, cents=cents: suspense.correct(tx, ref, Correction(None, cents), WHY))
    row = store.write(lambda tx: suspense.correct(tx, ref, Correction(price_cents=300), WHY))
    assert (row.state, row.payable) == (OrderState.RATED, 300)
    assert row.reason == "corrected: price-mismatch"
    assert reconcile(store.read()).closes
    assert audit(store) == ("alice", "order corrected")


def test_an_order_with_a_promotion_is_corrected_to_no_more_than_the_screen_showed(store, box):
    box.submit(box.order(promotion="no", promotion_version=1, credit_cents=200))
    ref = f"{box.box}/1/1"
    with pytest.raises(suspense.NotSuspendedError, match="showed 299 cents"):
        store.write(lambda tx: suspense.correct(tx, ref, Correction(price_cents=300), WHY))
    row = store.write(lambda tx: suspense.correct(tx, ref, Correction(price_cents=299), WHY))
    assert (row.state, row.price_cents, row.credit_cents, row.payable) == (OrderState.RATED, 299, 0, 299)
    books.check(store)


def test_an_order_is_corrected_to_the_offer_that_was_meant_and_opens_its_window(store, box):
    box.submit(box.order("film-one", vat_bp=900))
    ref = f"{box.box}/1/1"
    for nothing in (("film-1", 9), ("no", 1)):
        with pytest.raises(NotFoundError):
            store.write(lambda tx, no=nothing: suspense.correct(tx, ref, Correction(offer=no), WHY))
    row = store.write(lambda tx: suspense.correct(tx, ref, Correction(offer=("film-1", 1)), WHY))
    assert (row.state, row.vat_bp, row.display) == (OrderState.RATED, 2100, "film")
    box.submit(box.order(at_ms=NOW_MS + HOUR), now_ms=NOW_MS + HOUR)
    assert box.stored(2).reason == "open-window"


def test_a_readmitted_order_opens_its_window_and_pays_once_for_one_title(store, box):
    box.submit(box.order(price_cents=299))
    box.submit(box.order(at_ms=NOW_MS + HOUR), now_ms=NOW_MS + HOUR)
    assert box.stored(2).state is OrderState.RATED
    decide(store, suspense.readmit, f"{box.box}/1/1")
    assert (box.stored(1).state, box.stored(1).reason) == (OrderState.ZERO_RATED, "open-window")
    assert store.read().ledger_totals(1, None)["unbilled"] == 499


@pytest.mark.parametrize("changes", [{"currency": "USD"}, {"vat_bp": 1234}])
def test_what_cannot_stand_on_a_bill_is_not_readmitted_but_corrected(store, box, changes):
    box.submit(box.order(**changes))
    ref = f"{box.box}/1/1"
    with pytest.raises(suspense.NotSuspendedError):
        decide(store, suspense.readmit, ref)
    correction = Correction(offer=("film-1", 1), price_cents=499)
    assert store.write(lambda tx: suspense.correct(tx, ref, correction, WHY)).payable == 499


def test_an_order_of_a_released_box_is_billed_only_to_an_account_that_is_named(store, box):
    store.write(lambda tx: release_box(tx, box.box, "alice", NOW_MS))
    box.submit(box.order(at_ms=NOW_MS + 1), now_ms=NOW_MS + 1)
    ref = f"{box.box}/1/1"
    with pytest.raises(suspense.NotSuspendedError):
        decide(store, suspense.readmit, ref)
    row = store.write(lambda tx: suspense.correct(tx, ref, Correction(account="acc-1"), WHY))
    assert (row.account, row.state, row.month) == ("acc-1", OrderState.RATED, "2026-10")


@pytest.fixture
def upgraded(monkeypatch):
    """The headend has learnt the version after this one."""
    return lambda: monkeypatch.setattr(named, "SPOKEN_VERSIONS", (2, 3))


def test_what_could_not_be_read_is_read_again_once_its_version_is_spoken(store, box, upgraded):
    """Its time, account and month are those of its placing, not those of its neighbour in the chain."""
    store.write(lambda tx: tx.add_account(account("acc-2")))
    store.write(lambda tx: move_box(tx, box.box, "acc-2", "alice", NOW_MS + 30 * DAY))
    at = NOW_MS + 40 * DAY
    box.submit(box.order(at_ms=at, v=3), now_ms=at + HOUR)
    waiting = box.stored(1)
    assert (waiting.reason, waiting.account, waiting.effective_ms) == ("unreadable", "acc-1", NOW_MS)
    upgraded()
    decide(store, suspense.readmit, f"{box.box}/1/1")
    order, link = box.stored(1), store.read().link(box.box, 1, 1)
    assert (order.state, order.payable, order.reason) == (OrderState.RATED, 499, "readmitted: unreadable")
    assert (order.account, order.month, order.placed_ms, order.effective_ms) == ("acc-2", "2026-11", at, at)
    assert (order.received_ms, link.kind) == (at + HOUR, "order")
    said = json.loads(dsse.read(link.envelope).unverified_payload)
    assert order.title_hash == named.title_hash(said["salt"], "film-1")
    books.check(store)


def test_an_order_that_is_read_again_pays_once_with_what_was_ordered_within_its_window(store, box, upgraded):
    second = SigningBox(store, serial="SN-2").enrolled()
    at = NOW_MS + 10 * DAY
    box.submit(box.order(at_ms=at, v=3), now_ms=at)
    second.submit(second.order(at_ms=at + 2 * HOUR), now_ms=at + 2 * HOUR)
    upgraded()
    decide(store, suspense.readmit, f"{box.box}/1/1")
    assert (box.stored(1).state, box.stored(1).reason) == (OrderState.ZERO_RATED, "open-window")
    assert second.stored(1).state is OrderState.RATED
    books.check(store)


def test_an_order_that_is_read_again_is_bounded_by_its_neighbour_and_its_receipt(store, box, upgraded):
    box.submit(box.order("film-2", price_cents=399, at_ms=NOW_MS + HOUR), now_ms=NOW_MS + HOUR)
    box.submit(box.order(at_ms=NOW_MS, v=3), now_ms=NOW_MS + 2 * HOUR)
    box.submit(box.order("bought", price_cents=1299, at_ms=NOW_MS + DAY, v=3), now_ms=NOW_MS + 3 * HOUR)
    upgraded()
    decide(store, suspense.readmit, f"{box.box}/1/2")
    decide(store, suspense.readmit, f"{box.box}/1/3")
    assert [box.stored(seq).effective_ms for seq in (2, 3)] == [NOW_MS + HOUR, NOW_MS + 3 * HOUR]
    assert box.stored(2).placed_ms == NOW_MS


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"evidence": Evidence(**dict.fromkeys(named.Evidence.__struct_fields__, False))}, "no-evidence"),
        ({"price_cents": 9999}, "price-mismatch"),
        ({"promotion": "no", "promotion_version": 1, "credit_cents": 100}, "unknown-promotion"),
        ({"offer": "no-such-offer"}, "unknown-offer"),
    ],
)
@pytest.mark.parametrize("correction", [Correction(), Correction(price_cents=1)])
def test_an_order_that_is_read_again_waits_on_if_there_is_an_objection(
    store, box, upgraded, changes, reason, correction
):
    box.submit(box.order(v=3, **changes), now_ms=NOW_MS + HOUR)
    upgraded()
    row = store.write(lambda tx: suspense.correct(tx, f"{box.box}/1/1", correction, WHY))
    assert row == box.stored(1)
    assert (row.state, row.reason) == (OrderState.SUSPENDED, reason)
    assert row.price_cents == changes.get("price_cents", 499)
    assert audit(store) == ("alice", "message read again")
    assert store.read().last_entry()[0] == 0
    row = store.write(lambda tx: suspense.correct(tx, f"{box.box}/1/1", Correction(price_cents=300), WHY))
    assert (row.state, row.payable, row.reason) == (OrderState.RATED, 300, f"corrected: {reason}")
    books.check(store)


def test_an_order_that_is_read_again_is_corrected_at_once_if_there_is_no_objection(store, box, upgraded):
    box.submit(box.order(v=3))
    upgraded()
    row = store.write(lambda tx: suspense.correct(tx, f"{box.box}/1/1", Correction(price_cents=300), WHY))
    assert (row.state, row.payable) == (OrderState.RATED, 300)
    books.check(store)


def test_a_subscription_play_that_is_read_again_is_a_zero_line(store, box, upgraded):
    box.submit(box.order("included", v=3, price_cents=0))
    upgraded()
    decide(store, suspense.readmit, f"{box.box}/1/1")
    assert (box.stored(1).state, box.stored(1).reason) == (OrderState.ZERO_RATED, "subscription")


@pytest.mark.parametrize("billed", [False, True])
def test_a_delivery_report_that_is_read_again_is_applied_and_is_no_order(store, box, upgraded, billed):
    box.submit(box.order(), box.raw(type="delivery", v=3, order_seq=1, outcome="failed", at_ms=NOW_MS))
    later = NOW_MS + 30 * DAY
    if billed:
        raise_month(store, Month(2026, 10), later)
    upgraded()
    said = Decision("the headend speaks it now", "alice", later)
    row = store.write(lambda tx: suspense.readmit(tx, f"{box.box}/1/2", said))
    order, report = box.stored(1), box.stored(2)
    assert order.state is (OrderState.CREDITED if billed else OrderState.ZERO_RATED)
    assert order.reason == "delivery-failed"
    assert (row, report.state, report.reason) == (report, OrderState.ZERO_RATED, "delivery-report")
    assert (report.account, store.read().link(box.box, 1, 2).kind) == (None, "delivery")
    assert audit(store) == ("alice", "message read again")
    assert list(store.read().entries(1, 9))[-1].at_ms == later
    assert reconcile(store.read()).received == 2
    books.check(store)


def test_a_suspended_order_that_could_not_be_delivered_is_not_billed(store, box):
    box.submit(box.order(price_cents=299), box.delivery(1, "failed"))
    assert (box.stored(1).state, box.stored(1).reason) == (OrderState.ZERO_RATED, "delivery-failed")


@pytest.fixture
def previewed(tmp_path):
    """A box whose film has a preview of five minutes, and a name that is published later."""
    store = billing_store(tmp_path, offer(preview_minutes=5))
    yield SigningBox(store).enrolled()
    store.close()


def publish_later(store, name):
    sold = [offer(preview_minutes=5), offer(name, preview_minutes=5)]
    store.write(lambda tx: publish_catalogue(tx, sold, CATALOGUE_KEY, NOW_MS))


def test_a_suspended_order_that_was_stopped_within_its_preview_leaves_the_queue_at_once(previewed):
    box = previewed
    box.submit(box.order(price_cents=498), box.delivery(1, "stopped", NOW_MS + 60_000), now_ms=NOW_MS + HOUR)
    assert (box.stored(1).state, box.stored(1).reason) == (OrderState.ZERO_RATED, "stopped-in-preview")
    books.check(box.store)


@pytest.mark.parametrize(
    ("minutes", "state", "reason"),
    [
        (4, OrderState.ZERO_RATED, "stopped-in-preview"),
        (5, OrderState.RATED, "readmitted: unknown-offer"),
    ],
)
def test_a_stop_while_an_order_waited_holds_once_its_offer_is_known(previewed, minutes, state, reason):
    box = previewed
    reports = [box.order("late"), box.delivery(1, "confirmed"), box.order("other")]
    box.submit(*reports, box.delivery(1, "stopped", NOW_MS + minutes * 60_000), now_ms=NOW_MS + HOUR)
    assert box.stored(1).state is OrderState.SUSPENDED
    publish_later(box.store, "late")
    decide(box.store, suspense.readmit, f"{box.box}/1/1")
    assert (box.stored(1).state, box.stored(1).reason) == (state, reason)
    assert audit(box.store) == ("alice", "order readmitted")
    books.check(box.store)


def test_a_stop_holds_by_the_offer_that_was_meant(previewed):
    box = previewed
    said = [box.order("film-one"), box.delivery(1, "stopped", NOW_MS + 60_000)]
    box.submit(*said, now_ms=NOW_MS + HOUR)
    meant = Correction(offer=("film-1", 1))
    row = box.store.write(lambda tx: suspense.correct(tx, f"{box.box}/1/1", meant, WHY))
    assert (row.state, row.reason) == (OrderState.ZERO_RATED, "stopped-in-preview")
    assert box.store.read().last_entry()[0] == 0


@pytest.mark.parametrize("first", [1, 2])
def test_an_order_and_its_stop_are_read_again_in_either_order(previewed, upgraded, first):
    box = previewed
    stop = {"type": "delivery", "v": 3, "order_seq": 1, "outcome": "stopped", "at_ms": NOW_MS + 60_000}
    box.submit(box.order(v=3, price_cents=9999), box.raw(**stop), now_ms=NOW_MS + HOUR)
    upgraded()
    for seq in (first, 3 - first):
        decide(box.store, suspense.readmit, f"{box.box}/1/{seq}")
    assert [box.stored(seq).reason for seq in (1, 2)] == ["stopped-in-preview", "delivery-report"]
    books.check(box.store)
