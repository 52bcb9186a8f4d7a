import pytest

from headend.billing import suspense
from headend.billing.accounts import release_box
from headend.billing.reconcile import reconcile
from headend.billing.rows import NotFoundError, OrderState
from headend.billing.suspense import Correction, Decision
from shared import named
from tests.builders import HOUR, NOW_MS

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


def test_what_could_not_be_read_is_read_again_once_its_version_is_spoken(store, box, monkeypatch):
    monkeypatch.setattr(named, "SPOKEN_VERSIONS", (1,))
    box.submit(box.order())
    assert box.stored(1).reason == "unreadable"
    monkeypatch.undo()
    decide(store, suspense.readmit, f"{box.box}/1/1")
    assert (box.stored(1).state, box.stored(1).payable) == (OrderState.RATED, 499)
    assert reconcile(store.read()).closes


def test_a_suspended_order_that_could_not_be_delivered_is_not_billed(store, box):
    box.submit(box.order(price_cents=299), box.delivery(1, "failed"))
    assert (box.stored(1).state, box.stored(1).reason) == (OrderState.ZERO_RATED, "delivery-failed")
