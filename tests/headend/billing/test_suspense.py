import pytest

from headend.billing import suspense
from headend.billing.reconcile import reconcile
from headend.billing.store import NotFoundError, OrderState
from tests.builders import NOW_MS


def decide(store, what, ref):
    store.write(lambda tx: what(tx, ref, "looked at it", "alice", NOW_MS))


def test_a_readmitted_order_is_billed_at_the_price_that_was_shown(store, box):
    box.submit(box.order(price_cents=299))
    decide(store, suspense.readmit, f"{box.box}/1/1")
    assert box.stored(1).state is OrderState.RATED
    assert store.read().ledger_totals(None)["unbilled"] == 299
    assert reconcile(store.read()).closes


def test_a_rejected_order_stands_with_an_audit_entry(store, box):
    box.submit(box.order(price_cents=299))
    decide(store, suspense.reject, f"{box.box}/1/1")
    assert box.stored(1).state is OrderState.REJECTED
    audit = store.storage.read().execute("SELECT who, what FROM audit ORDER BY line DESC").fetchone()
    assert tuple(audit) == ("alice", "order rejected")


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
